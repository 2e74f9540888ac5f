"""One run on a cloud that is up: orders and faults together, healing, rest, judgement."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tools.audit.database import Scope, now
from tools.chaos.customers import PostedOrder, Progress, post_all
from tools.chaos.evidence import RunEvidence, gather
from tools.chaos.healing import open_orders, redrive_until_rest
from tools.chaos.injections import InjectionLog
from tools.chaos.nemesis import Nemesis
from tools.chaos.plan import Plan, PlannedOrder
from tools.chaos.report import FaultCount, Report
from tools.chaos.system import SystemUnderTest, prepare
from tools.chaos.verdicts import judge, struck
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack

_LOOK_EVERY_SECONDS: Final = 0.5
_WARM_UP_SECONDS: Final = 60.0
_VICTIMS_SECONDS: Final = 40.0
"""How long faults may wait for a victim when the last order is posted."""

Say = Callable[[str], None]
"""Takes one line about what goes on."""


def run(settings: Settings, stack: Stack, plan: Plan, say: Say) -> Report:
    """Carries the plan out on a cloud that is up. The cloud is of no further use."""
    with prepare(settings, stack, plan) as system:
        return _run(system, plan, say)


def _run(system: SystemUnderTest, plan: Plan, say: Say) -> Report:
    started = now(system.engine)
    injections, began = InjectionLog(), time.monotonic()
    nemesis = Nemesis(system, plan, injections)

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:4.0f} s  {what}")

    warm = _place(system, plan.warm_up, lambda _: None)
    _await_end(system)
    tell(f"Warm. Seed {plan.seed}: {len(plan.orders)} orders and {len(plan.faults)} faults")
    try:
        posted = _place(system, plan.orders, nemesis.advance)
        nemesis.advance(plan.seconds)
        tell(f"All orders are posted, {len(injections.all)} strikes so far")
        nemesis.await_victims(_VICTIMS_SECONDS)
    finally:
        # Also for a run that is interrupted: nothing may stand still when the cloud is stopped.
        nemesis.heal()
    tell(f"Healed, after {len(injections.all)} strikes")
    rest = redrive_until_rest(system, Scope(since=started), tell)
    tell("At rest" if not rest.under_way else "Not at rest")
    evidence = gather(system, nemesis, (*warm, *posted), started, rest)
    return _report(plan, injections, nemesis, evidence, time.monotonic() - began)


def _place(
    system: SystemUnderTest, orders: Sequence[PlannedOrder], progress: Progress
) -> tuple[PostedOrder, ...]:
    return asyncio.run(post_all(system.settings, system.stack, orders, system.products, progress))


def _await_end(system: SystemUnderTest) -> None:
    """Until the first orders have ended: then the functions are warm, and a fault meets work instead of a start."""
    deadline = time.monotonic() + _WARM_UP_SECONDS
    while open_orders(system) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_SECONDS)


def _report(
    plan: Plan, injections: InjectionLog, nemesis: Nemesis, evidence: RunEvidence, seconds: float
) -> Report:
    counts = {**injections.counts(), **struck(evidence)}
    return Report(
        plan=plan,
        statuses=Counter(evidence.on_record.statuses.values()),
        faults=tuple(
            FaultCount(fault, counts.get(fault, 0), minimum) for fault, minimum in plan.minimum.items()
        ),
        injections=injections.all,
        verdicts=judge(evidence),
        under_way=tuple(evidence.rest.under_way),
        failures_of_nemesis=tuple(nemesis.failures),
        terminal_seconds=evidence.rest.terminal_seconds,
        rest_seconds=evidence.rest.seconds,
        redriven=tuple(evidence.rest.redriven),
        repairs=evidence.repairs,
        seconds=seconds,
    )
