"""After the last fault: waiting until nothing moves any more, as an operator would, who redrives what was given up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from orders.domain import TERMINAL_STATUSES
from tools.audit import dead_letters
from tools.audit.database import Scope, snapshot, unsettled
from tools.chaos.poison import is_planted
from tools.chaos.system import SystemUnderTest
from tools.cloud import aws
from tools.cloud.queues import depth

REST_SECONDS: Final = 300
"""An order that has not ended by then is lost."""

_LOOK_EVERY_SECONDS: Final = 1.0
_TELL_EVERY_SECONDS: Final = 15.0

_OPEN_ORDERS: Final = "SELECT count(*) FROM orders WHERE status <> ALL (CAST(:terminal AS text[]))"


@dataclass
class Rest:
    """How the system came to rest."""

    under_way: list[str] = field(default_factory=list)
    """What had not come to rest in time."""
    terminal_seconds: float | None = None
    """From the healing until every order had ended; None if that has not happened."""
    seconds: float = 0.0
    """From the healing until nothing moved any more."""
    redriven: list[str] = field(default_factory=list)
    """Events that had been given up and were put back into their queues."""


def redrive_until_rest(system: SystemUnderTest, scope: Scope, say: Callable[[str], None]) -> Rest:
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
        time.sleep(_LOOK_EVERY_SECONDS)


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
        if not is_planted(letter.body) and letter.event is not None:
            dead_letters.redrive(sqs, system.stack, letter)
            redriven.append(f"{letter.event.type} of order {letter.event.subject}")
    return redriven
