"""What a run has left behind, read from everywhere: Postgres and the gateway's ledger, the queues, the mailbox, the
executions, the functions' logs. `checker` judges it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orders.domain import OrderStatus
from orders.executions import order_of
from tools.audit.checks import Scope, Verdict, audit, snapshot
from tools.chaos import dead_letters
from tools.chaos.arena import Arena, function_name
from tools.chaos.customers import Posted
from tools.chaos.dead_letters import DeadLetter
from tools.chaos.healing import Quiet
from tools.chaos.nemesis import Nemesis
from tools.cloud import aws, mailbox

# Where an order that needs review is announced.
_ANNOUNCERS: Final = ("MarkCancelled", "Maintenance")
_NEEDS_REVIEW: Final = "needs review"

_STATUSES: Final = "SELECT id, status FROM orders"
_DEAD: Final = "SELECT id FROM outbox WHERE status = 'DEAD'"
_REPAIRS: Final = "SELECT kind, order_id, detail FROM repairs ORDER BY id"
_CHARGED: Final = """
    SELECT count(DISTINCT payments.order_id) FROM orders
    JOIN payments ON payments.order_id = orders.id
    JOIN gateway.entries ON entries.key = payments.provider_key AND entries.kind = 'CAPTURE'
    WHERE orders.payment_method = 'pm_card_timeout'
"""


@dataclass(frozen=True)
class Execution:
    """One execution of the state machine, for an order."""

    name: str
    order_id: UUID | None
    started: datetime
    stopped: datetime | None
    """None: it runs."""


@dataclass(frozen=True)
class Repaired:
    """An entry of the book of repairs."""

    kind: str
    order_id: UUID
    detail: str


@dataclass(frozen=True)
class Evidence:
    """Everything that there is to know."""

    verdicts: tuple[Verdict, ...]
    """On what SQL and the mailbox can tell."""
    posted: tuple[Posted, ...]
    statuses: Mapping[UUID, OrderStatus]
    """Of every order in the database."""
    executions: tuple[Execution, ...]
    dead_letters: tuple[DeadLetter, ...]
    planted: Mapping[str, str]
    """Poison messages: their queues, by their marks."""
    dead_rows: frozenset[UUID]
    """Outbox rows that were given up."""
    buried: frozenset[UUID]
    """Poison that was planted in the outbox."""
    announced: frozenset[UUID]
    """Orders of which a function's log says that they need review."""
    quiet: Quiet
    charged_before_timeout: int
    """Orders whose gateway charged and did not answer."""
    repairs: tuple[Repaired, ...]
    """What maintenance and reconciliation have put right."""


def gather(
    arena: Arena, nemesis: Nemesis, posted: Iterable[Posted], started: datetime, quiet: Quiet
) -> Evidence:
    """Reads it all, when the system is at rest."""
    posted = tuple(posted)
    statuses = {order_id: OrderStatus(status) for order_id, status in arena.query(_STATUSES)}
    accepted = {order_id for order in posted for order_id in order.order_ids}
    scope = Scope.of(accepted | statuses.keys(), started)
    with snapshot(arena.engine) as connection:
        verdicts = audit(connection, scope)
    in_review = {order for order, status in statuses.items() if status is OrderStatus.NEEDS_REVIEW}
    ((charged,),) = arena.query(_CHARGED)
    return Evidence(
        verdicts=(*verdicts, *mailbox.audit(arena.settings, statuses.keys())),
        posted=posted,
        statuses=statuses,
        executions=_executions(arena),
        dead_letters=tuple(dead_letters.read(aws.queues(arena.settings), arena.stack)),
        planted=dict(nemesis.planted),
        dead_rows=frozenset(event_id for (event_id,) in arena.query(_DEAD)),
        buried=frozenset(nemesis.buried),
        announced=_announced(arena) if in_review else frozenset(),
        quiet=quiet,
        charged_before_timeout=int(charged),
        repairs=tuple(Repaired(*repair) for repair in arena.query(_REPAIRS)),
    )


def _executions(arena: Arena) -> tuple[Execution, ...]:
    pages = (
        aws.sagas(arena.settings)
        .get_paginator("list_executions")
        .paginate(stateMachineArn=arena.stack["state_machine_arn"])
    )
    return tuple(
        Execution(found["name"], order_of(found["name"]), found["startDate"], found.get("stopDate"))
        for page in pages
        for found in page["executions"]
    )


def _announced(arena: Arena) -> frozenset[UUID]:
    return frozenset(
        order_id
        for function in _ANNOUNCERS
        for page in aws.logs(arena.settings)
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{function_name(function)}")
        for event in page["events"]
        if (order_id := _in_review(event["message"])) is not None
    )


def _in_review(line: str) -> UUID | None:
    """The order of a log line that says so."""
    if _NEEDS_REVIEW not in line:
        return None
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return UUID(entry["order_id"]) if "order_id" in entry else None
