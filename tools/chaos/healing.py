"""After the last fault: waiting until nothing moves any more, as an operator would, who redrives what was given up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from orders.domain import TERMINAL_STATUSES
from tools.audit.checks import Scope, snapshot, unsettled
from tools.chaos import dead_letters
from tools.chaos.arena import Arena
from tools.cloud import aws

QUIET_SECONDS: Final = 300
"""An order that has not ended by then is lost."""

_LOOK_EVERY_SECONDS: Final = 1.0
_TELL_EVERY_SECONDS: Final = 15.0
_DEPTHS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

_OPEN_ORDERS: Final = "SELECT count(*) FROM orders WHERE status <> ALL (CAST(:terminal AS text[]))"


@dataclass
class Quiet:
    """How the system came to rest."""

    under_way: list[str] = field(default_factory=list)
    """What had not come to rest in time."""
    terminal_seconds: float | None = None
    """From the healing until every order had ended; None if that has not happened."""
    seconds: float = 0.0
    """From the healing until nothing moved any more."""
    redriven: list[str] = field(default_factory=list)
    """Events that had been given up and were put back into their queues."""


def await_quiet(arena: Arena, scope: Scope, say: Callable[[str], None]) -> Quiet:
    """Waits until all orders have ended, every message is processed or given up, and no execution runs."""
    quiet = Quiet()
    started = told = time.monotonic()
    while True:
        quiet.seconds = time.monotonic() - started
        if quiet.terminal_seconds is None and not open_orders(arena):
            quiet.terminal_seconds = quiet.seconds
        quiet.redriven += _redrive(arena)
        quiet.under_way = _under_way(arena, scope)
        if not quiet.under_way or quiet.seconds > QUIET_SECONDS:
            return quiet
        if time.monotonic() - told > _TELL_EVERY_SECONDS:
            told = time.monotonic()
            say(f"{len(quiet.under_way)} things under way, e.g.: {quiet.under_way[0]}")
        time.sleep(_LOOK_EVERY_SECONDS)


def open_orders(arena: Arena) -> int:
    """How many orders have not ended."""
    ((number,),) = arena.query(_OPEN_ORDERS, terminal=sorted(TERMINAL_STATUSES))
    return int(number)


def _under_way(arena: Arena, scope: Scope) -> list[str]:
    with snapshot(arena.engine) as connection:
        found = unsettled(connection, scope)
    running = aws.sagas(arena.settings).list_executions(
        stateMachineArn=arena.stack["state_machine_arn"], statusFilter="RUNNING"
    )
    found += [f"execution {execution['name']} runs" for execution in running["executions"]]
    sqs = aws.queues(arena.settings)
    for name, queue in arena.stack["queues"].items():
        answer = sqs.get_queue_attributes(QueueUrl=queue["url"], AttributeNames=list(_DEPTHS))
        depth = sum(int(number) for number in answer["Attributes"].values())
        if depth:
            found.append(f"{depth} messages in {name}")
    return found


def _redrive(arena: Arena) -> list[str]:
    """Puts back what was not planted: it was given up in an outage, and is as good as any other."""
    sqs = aws.queues(arena.settings)
    redriven = []
    for letter in dead_letters.read(sqs, arena.stack):
        if letter.mark is None and letter.event is not None:
            dead_letters.redrive(sqs, arena.stack, letter)
            redriven.append(f"{letter.event.type} of order {letter.event.subject}")
    return redriven
