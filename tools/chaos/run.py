"""One run on a cloud that is up: orders and faults together, healing, waiting for rest, judgement.

After the last fault it waits as an operator would, who redrives what was given up.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from orders.domain import TERMINAL_STATUSES
from tools.audit import dead_letters
from tools.audit.database import Scope, now, snapshot, unsettled
from tools.chaos.acting import acting
from tools.chaos.customers import PostedOrder, Progress, post_all
from tools.chaos.faults import InjectionLog
from tools.chaos.nemesis import Nemesis
from tools.chaos.plan import Plan, PlannedOrder
from tools.chaos.poison import is_planted
from tools.chaos.report import FaultCount, Report
from tools.chaos.system import SystemUnderTest, prepare
from tools.chaos.verdicts import Rest, RunEvidence, gather, judge, struck
from tools.cloud import aws
from tools.cloud.aws import depth
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.waiting import wait_until

REST_SECONDS: Final = 300
"""An order that has not ended by then is lost."""

_LOOK_EVERY_SECONDS: Final = 0.5
_LOOK_FOR_REST_EVERY_SECONDS: Final = 1.0
_TELL_EVERY_SECONDS: Final = 15.0
_VICTIMS_SECONDS: Final = 40.0
"""How long faults may wait for a victim when the last order is posted."""

Say = Callable[[str], None]
"""Takes one line about what goes on."""

_OPEN_ORDERS: Final = "SELECT count(*) FROM orders WHERE status <> ALL (CAST(:terminal AS text[]))"


def run(settings: Settings, stack: Stack, plan: Plan, say: Say) -> Report:
    """Carries the plan out on a cloud that is up. The cloud is of no further use."""
    with prepare(settings, stack, plan) as system, acting(system):
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
        posted = _place(system, plan.orders, nemesis.advance, warm)
        nemesis.advance(plan.seconds)
        tell(f"All orders are posted, {len(injections.all)} strikes so far")
        nemesis.await_victims(_VICTIMS_SECONDS)
    finally:
        # Also for a run that is interrupted: nothing may stand still when the cloud is stopped.
        nemesis.heal()
    tell(f"Healed, after {len(injections.all)} strikes")
    rest = redrive_until_rest(system, Scope(since=started), tell)
    tell("At rest" if not rest.under_way else "Not at rest")
    evidence = gather(system, nemesis, posted, started, rest)
    return _report(plan, injections, nemesis, evidence, time.monotonic() - began)


def _place(
    system: SystemUnderTest,
    orders: Sequence[PlannedOrder],
    progress: Progress,
    earlier: Sequence[PostedOrder] = (),
) -> tuple[PostedOrder, ...]:
    return asyncio.run(post_all(system.settings, system.stack, orders, system.products, progress, earlier))


def _await_end(system: SystemUnderTest) -> None:
    """Until the first orders have ended: then the functions are warm, and a fault meets work instead of a start."""
    wait_until(lambda: not open_orders(system), REST_SECONDS, _LOOK_EVERY_SECONDS)


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


def redrive_until_rest(system: SystemUnderTest, scope: Scope, say: Say) -> Rest:
    """Waits until all orders have ended, every message is processed or given up, and no execution runs; redrives what
    was given up meanwhile."""
    rest = Rest()
    started = told = time.monotonic()
    while True:
        rest.seconds = time.monotonic() - started
        if rest.terminal_seconds is None and not open_orders(system):
            rest.terminal_seconds = rest.seconds
        rest.redriven += _redrive(system)
        rest.under_way = _under_way(system, scope)
        if not rest.under_way or rest.seconds > REST_SECONDS:
            return rest
        if time.monotonic() - told > _TELL_EVERY_SECONDS:
            told = time.monotonic()
            say(f"{len(rest.under_way)} things under way, e.g.: {rest.under_way[0]}")
        time.sleep(_LOOK_FOR_REST_EVERY_SECONDS)


def open_orders(system: SystemUnderTest) -> int:
    """How many orders have not ended."""
    ((number,),) = system.query(_OPEN_ORDERS, terminal=sorted(TERMINAL_STATUSES))
    return int(number)


def _under_way(system: SystemUnderTest, scope: Scope) -> list[str]:
    with snapshot(system.engine) as connection:
        found = unsettled(connection, scope)
    running = aws.sagas(system.settings).list_executions(
        stateMachineArn=system.stack["state_machine_arn"], statusFilter="RUNNING"
    )
    found += [f"execution {execution['name']} runs" for execution in running["executions"]]
    sqs = aws.queues(system.settings)
    for name, queue in system.stack["queues"].items():
        if messages := depth(sqs, queue["url"]).total:
            found.append(f"{messages} messages in {name}")
    return found


def _redrive(system: SystemUnderTest) -> list[str]:
    """Puts back what was not planted: it was given up in an outage, and is as good as any other."""
    sqs = aws.queues(system.settings)
    redriven = []
    for letter in dead_letters.read(sqs, system.stack):
        if not is_planted(letter.body) and letter.given_up is not None:
            dead_letters.redrive(sqs, system.stack, letter)
            redriven.append(str(letter.given_up))
    return redriven
