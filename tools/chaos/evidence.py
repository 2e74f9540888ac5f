"""What a run has left behind: what is on record about its orders, and what only the run knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tools.audit import evidence
from tools.audit.database import Scope
from tools.audit.evidence import Evidence
from tools.chaos.customers import PostedOrder
from tools.chaos.healing import Rest
from tools.chaos.nemesis import Nemesis
from tools.chaos.system import SystemUnderTest

_ORDERS: Final = "SELECT id FROM orders"
_DEAD: Final = "SELECT id FROM outbox WHERE status = 'DEAD'"
_REPAIRS: Final = "SELECT kind, order_id, detail FROM repairs ORDER BY id"
_CHARGED: Final = """
    SELECT count(DISTINCT payments.order_id) FROM orders
    JOIN payments ON payments.order_id = orders.id
    JOIN gateway.entries ON entries.key = payments.provider_key AND entries.kind = 'CAPTURE'
    WHERE orders.payment_method = 'pm_card_timeout'
"""


@dataclass(frozen=True)
class Repair:
    """A repair as the system recorded it."""

    kind: str
    order_id: UUID
    detail: str


@dataclass(frozen=True)
class RunEvidence:
    """Everything that there is to know."""

    on_record: Evidence
    posted: tuple[PostedOrder, ...]
    dead_rows: frozenset[UUID]
    """Outbox rows that were given up."""
    planted_rows: frozenset[UUID]
    """Poison that was planted in the outbox."""
    rest: Rest
    charged_before_timeout: int
    """Orders whose gateway charged and did not answer."""
    repairs: tuple[Repair, ...]
    """What maintenance and reconciliation have put right."""


def gather(
    system: SystemUnderTest, nemesis: Nemesis, posted: Iterable[PostedOrder], started: datetime, rest: Rest
) -> RunEvidence:
    """Reads it all, when the system is at rest."""
    posted = tuple(posted)
    accepted = {order_id for order in posted for order_id in order.order_ids}
    existing = {order_id for (order_id,) in system.query(_ORDERS)}
    ((charged,),) = system.query(_CHARGED)
    return RunEvidence(
        on_record=evidence.gather(
            system.settings,
            system.stack,
            system.engine,
            Scope.of(accepted | existing, started),
            nemesis.planted_messages,
        ),
        posted=posted,
        dead_rows=frozenset(event_id for (event_id,) in system.query(_DEAD)),
        planted_rows=frozenset(nemesis.planted_rows),
        rest=rest,
        charged_before_timeout=int(charged),
        repairs=tuple(Repair(*repair) for repair in system.query(_REPAIRS)),
    )
