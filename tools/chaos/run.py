"""One run on a cloud that is up: orders and faults together, healing, rest, judgement."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tools.audit.checks import Scope
from tools.chaos import checker
from tools.chaos.arena import Arena, arena
from tools.chaos.customers import Posted, Progress, post_all
from tools.chaos.evidence import Evidence, gather
from tools.chaos.healing import await_quiet, open_orders
from tools.chaos.nemesis import Nemesis
from tools.chaos.plan import Plan, PlannedOrder
from tools.chaos.report import FaultCount, Report
from tools.chaos.strikes import Strikes
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.demo.evidence import now

_LOOK_EVERY_SECONDS: Final = 0.5
_WARM_UP_SECONDS: Final = 60.0
_VICTIMS_SECONDS: Final = 40.0
"""How long faults may wait for a victim when the last order is posted."""

Say = Callable[[str], None]
"""Takes one line about what goes on."""


def perform(settings: Settings, stack: Stack, plan: Plan, say: Say) -> Report:
    """Carries the plan out on a cloud that is up. The cloud is of no further use."""
    with arena(settings, stack, plan) as prepared:
        return _perform(prepared, plan, say)


def _perform(prepared: Arena, plan: Plan, say: Say) -> Report:
    started = now(prepared.engine)
    strikes, began = Strikes(), time.monotonic()
    nemesis = Nemesis(prepared, plan, strikes)

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:4.0f} s  {what}")

    warm = _place(prepared, plan.warm_up, lambda _: None)
    _await_end(prepared)
    tell(f"Warm. Seed {plan.seed}: {len(plan.orders)} orders and {len(plan.faults)} faults")
    try:
        posted = _place(prepared, plan.orders, nemesis.advance)
        nemesis.advance(plan.seconds)
        tell(f"All orders are posted, {len(strikes.all)} strikes so far")
        nemesis.await_victims(_VICTIMS_SECONDS)
    finally:
        # Also for a run that is interrupted: nothing may stand still when the cloud is stopped.
        nemesis.heal()
    tell(f"Healed, after {len(strikes.all)} strikes")
    quiet = await_quiet(prepared, Scope(since=started), tell)
    tell("At rest" if not quiet.under_way else "Not at rest")
    evidence = gather(prepared, nemesis, (*warm, *posted), started, quiet)
    return _report(plan, strikes, nemesis, evidence, time.monotonic() - began)


def _place(prepared: Arena, orders: Sequence[PlannedOrder], progress: Progress) -> tuple[Posted, ...]:
    return asyncio.run(post_all(prepared.settings, prepared.stack, orders, prepared.products, progress))


def _await_end(prepared: Arena) -> None:
    """Until the first orders have ended: then the functions are warm, and a fault meets work instead of a start."""
    deadline = time.monotonic() + _WARM_UP_SECONDS
    while open_orders(prepared) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_SECONDS)


def _report(plan: Plan, strikes: Strikes, nemesis: Nemesis, evidence: Evidence, seconds: float) -> Report:
    struck = {**strikes.counts(), **checker.struck(evidence)}
    return Report(
        plan=plan,
        statuses=Counter(evidence.statuses.values()),
        faults=tuple(
            FaultCount(fault, struck.get(fault, 0), minimum) for fault, minimum in plan.minimum.items()
        ),
        strikes=strikes.all,
        verdicts=checker.judge(evidence),
        under_way=tuple(evidence.quiet.under_way),
        failures_of_nemesis=tuple(nemesis.failures),
        terminal_seconds=evidence.quiet.terminal_seconds,
        quiet_seconds=evidence.quiet.seconds,
        redriven=tuple(evidence.quiet.redriven),
        repairs=evidence.repairs,
        seconds=seconds,
    )
