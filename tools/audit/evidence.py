"""Everything on record about the orders of a local cloud, and the verdicts on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine, text

from infra.names import kebab
from orders.domain import OrderStatus
from tools.audit import dead_letters, ledger
from tools.audit.database import EVERY_ORDER, Scope, check_database
from tools.audit.dead_letters import DeadLetter, check_given_up
from tools.audit.executions import Execution, check_executions, read_executions
from tools.audit.mailbox import check_mailbox
from tools.audit.verdict import NUMBERS, Verdict
from tools.cloud import aws, emulator
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack

# Where an order that needs review is announced.
_ANNOUNCERS: Final = ("MarkCancelled", "Maintenance")
_NEEDS_REVIEW: Final = "needs review"

_STATUSES: Final = "SELECT id, status FROM orders"
_IN_REVIEW: Final = "SELECT id FROM orders WHERE status = 'NEEDS_REVIEW' AND updated_at >= :since"

_RESENT: Final = """
    SELECT order_id, count(*) AS number FROM operator_actions WHERE action = 'NOTIFICATION_RESENT' GROUP BY order_id
"""


@dataclass(frozen=True)
class Evidence:
    """What is on record."""

    verdicts: tuple[Verdict, ...]
    """On what the database and the mailbox can tell."""
    statuses: Mapping[UUID, OrderStatus]
    """Of every order in the database."""
    executions: tuple[Execution, ...]
    dead_letters: tuple[DeadLetter, ...]
    in_review: frozenset[UUID]
    """Orders that need review, since the logs begin."""
    announced: frozenset[UUID]
    """Orders of which a function's log says that they need review."""
    planted: Mapping[str, str] = field(default_factory=dict)
    """Poison messages of a run of chaos: their queues, by a mark in their bodies."""


def gather(
    settings: Settings,
    stack: Stack,
    engine: Engine,
    scope: Scope = EVERY_ORDER,
    planted: Mapping[str, str] | None = None,
) -> Evidence:
    """Reads it all, of orders at rest: see `database.await_rest`."""
    with engine.connect() as connection:
        statuses = {row.id: OrderStatus(row.status) for row in connection.execute(text(_STATUSES))}
        in_review = frozenset(connection.scalars(text(_IN_REVIEW), {"since": _logs_begin(settings)}))
        resent = {row.order_id: row.number for row in connection.execute(text(_RESENT))}
    return Evidence(
        verdicts=(
            *check_database(engine, scope, ledger.read(engine, stack)),
            *check_mailbox(settings, statuses.keys(), resent),
        ),
        statuses=statuses,
        executions=read_executions(aws.sagas(settings), stack["state_machine_arn"]),
        dead_letters=dead_letters.read(aws.queues(settings), stack),
        in_review=in_review,
        announced=_announced(settings) if in_review else frozenset(),
        planted=planted or {},
    )


def judge(evidence: Evidence) -> list[Verdict]:
    """The verdicts on every promise, in the order of their numbers."""
    return in_order(
        *evidence.verdicts,
        check_executions(evidence.executions),
        check_given_up(
            evidence.dead_letters,
            evidence.statuses.keys(),
            evidence.in_review,
            evidence.announced,
            evidence.planted,
        ),
    )


def in_order(*verdicts: Verdict) -> list[Verdict]:
    """The verdicts by the numbers of their promises; those on the same one stay in their order."""
    return sorted(verdicts, key=lambda verdict: NUMBERS.index(verdict.promise))


def _logs_begin(settings: Settings) -> datetime:
    """An emulator that was started anew has no logs of what happened before."""
    process = emulator.daemon(settings).find()
    return datetime.fromtimestamp(process.create_time() if process else 0, UTC)


def _announced(settings: Settings) -> frozenset[UUID]:
    return frozenset(
        order_id
        for function in _ANNOUNCERS
        for page in aws.logs(settings)
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/orders-{STAGE}-{kebab(function)}")
        for event in page["events"]
        if (order_id := _order_in_review(event["message"])) is not None
    )


def _order_in_review(line: str) -> UUID | None:
    """The order of a log line that says that it needs review."""
    if _NEEDS_REVIEW not in line:
        return None
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return UUID(entry["order_id"]) if "order_id" in entry else None
