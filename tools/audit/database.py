"""The promises that the database can tell about: SQL over our tables and the payment gateway's ledger, side by side.

Every check is a query with one row per thing that it looked at, and what is wrong with it, if anything. A check holds
for orders that are at rest: wait until `unsettled` finds nothing. All checks of one audit see the same instant.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text

from orders.domain import TERMINAL_STATUSES
from orders.events import Consumer, NotificationRequested, OrderCreated, WebhookAttemptScheduled
from tools.audit import REST_SECONDS
from tools.audit.ledger import SIMULATOR, Ledger
from tools.audit.verdict import Verdict, Violation

_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Scope:
    """The orders that an audit is about: all of them, unless it is narrowed."""

    order_ids: frozenset[UUID] | None = None
    """These orders, each of which must exist: the ones that were answered with 202."""
    since: datetime | None = None
    """Orders accepted at this time or later, by the database's clock. With `order_ids` it adds what came since then and
    belongs to no order at all: charges and deliveries that nobody knows of."""

    @classmethod
    def of(cls, order_ids: Collection[UUID], since: datetime | None = None) -> "Scope":
        return cls(frozenset(order_ids), since)

    def parameters(self) -> dict[str, Any]:
        ids = None if self.order_ids is None else sorted(self.order_ids)
        return {"order_ids": ids, "since": self.since}


EVERY_ORDER: Final = Scope()


@dataclass(frozen=True)
class Promise:
    """A promise and the query that audits it: rows of (subject, problem or null, remark or null)."""

    number: str
    sentence: str
    rows: str

    def check(self, connection: Connection, scope: Scope, ledger: Ledger = SIMULATOR) -> Verdict:
        """Looks at everything in scope. The rows stay in the database, only what is wrong comes back."""
        found = connection.execute(
            text(
                f"{_SOURCES}, {_charged(ledger)}, "
                f"checked (subject, problem, remark) AS ({self.rows}) {_SUMMARY}"
            ),
            {**scope.parameters(), **_PARAMETERS, **ledger.parameters},
        ).one()
        return Verdict(
            self.number,
            self.sentence,
            found.checked,
            tuple(Violation(*pair) for pair in found.violations or ()),
            tuple(Violation(*pair) for pair in found.remarks or ()),
        )


_PARAMETERS: Final = {
    "terminal": sorted(TERMINAL_STATUSES),
    "order_created": OrderCreated.type,
    "notification_requested": NotificationRequested.type,
    "webhook_attempt": WebhookAttemptScheduled.type,
    "provider_events": Consumer.PROVIDER_EVENTS,
}

# What several checks start from.
_SOURCES: Final = """
    WITH given AS (
        SELECT CAST(:terminal AS text[]) AS terminal, CAST(:order_created AS text) AS order_created,
               CAST(:notification_requested AS text) AS notification_requested,
               CAST(:webhook_attempt AS text) AS webhook_attempt,
               CAST(:provider_events AS text) AS provider_events,
               CAST(:order_ids AS uuid[]) AS order_ids, CAST(:since AS timestamptz) AS since
    ), scope AS (
        SELECT orders.* FROM orders, given
        WHERE CASE WHEN given.order_ids IS NOT NULL THEN orders.id = ANY (given.order_ids)
                   ELSE given.since IS NULL OR orders.created_at >= given.since END
    )
"""


def _charged(provider: Ledger) -> str:
    """What the provider really charged and gave back: by its keys (`ledger`), by refund, and for orders in scope."""
    return f"""
    ledger AS (
        SELECT key, count(*) FILTER (WHERE kind = 'CAPTURE') AS captures,
               coalesce(sum(amount) FILTER (WHERE kind = 'CAPTURE'), 0) AS captured,
               coalesce(sum(amount) FILTER (WHERE kind = 'REFUND'), 0) AS refunded,
               min(created_at) AS created_at
        FROM ({provider.rows}) AS entries GROUP BY key
    ), given_back AS (
        {provider.refunds}
    ), charged AS (
        SELECT scope.id AS order_id, ledger.* FROM scope
        JOIN payments ON payments.order_id = scope.id
        JOIN ledger ON ledger.key = payments.provider_key
    )
    """


_SUMMARY: Final = """
    SELECT count(*) AS checked,
           jsonb_agg(jsonb_build_array(subject, problem) ORDER BY subject) FILTER (WHERE problem <> '') AS violations,
           jsonb_agg(jsonb_build_array(subject, remark) ORDER BY subject) FILTER (WHERE remark <> '') AS remarks
    FROM checked
"""

_ACCEPTED_ORDERS_END: Final = Promise(
    "I1",
    "Every accepted order has one outbox row and reaches a terminal state",
    """
    SELECT accepted.id::text,
           CASE WHEN scope.id IS NULL THEN 'was answered with 202, but there is no such order'
           ELSE concat_ws(', ',
               CASE WHEN scope.status <> ALL (given.terminal) THEN 'is still ' || scope.status END,
               CASE WHEN coalesce(created.events, 0) <> 1
                    THEN coalesce(created.events, 0) || ' OrderCreated rows in the outbox' END)
           END,
           CASE WHEN scope.status = 'NEEDS_REVIEW' THEN 'needs review' END
    FROM given
    CROSS JOIN LATERAL (SELECT id FROM scope UNION SELECT unnest(given.order_ids)) AS accepted
    LEFT JOIN scope ON scope.id = accepted.id
    LEFT JOIN (SELECT subject, type, count(*) AS events FROM outbox GROUP BY subject, type) AS created
        ON created.subject = accepted.id AND created.type = given.order_created
    """,
)

# A charge that belongs to no payment of ours may be the second one of any order, so it breaks the promise too.
_CAPTURED_ONCE: Final = Promise(
    "I2",
    "At most one capture per order at the payment gateway",
    """
    SELECT order_id::text, CASE WHEN captures > 1 THEN captures || ' captures under ' || key END, NULL
    FROM charged
    UNION ALL
    SELECT key, 'was charged, but no payment has this key', NULL
    FROM ledger, given
    WHERE (given.since IS NOT NULL OR given.order_ids IS NULL)
      AND (given.since IS NULL OR ledger.created_at >= given.since)
      AND NOT EXISTS (SELECT FROM payments WHERE payments.provider_key = ledger.key)
    """,
)

_MONEY_MATCHES_STATUS: Final = Promise(
    "I3",
    "CONFIRMED: captured − refunded = total − refunds. CANCELLED: 0. By our books and the gateway's ledger",
    """
    SELECT scope.id::text,
           concat_ws(', ',
               CASE WHEN coalesce(charged.captured - charged.refunded, 0)
                         NOT BETWEEN due.amount - due.unrecorded AND due.amount
                    THEN scope.status || ': the gateway holds ' || coalesce(charged.captured - charged.refunded, 0)
                         || ' instead of ' || due.amount || ' (minor units)' END,
               CASE WHEN coalesce(payments.captured - payments.refunded, 0) <> due.amount
                    THEN scope.status || ': our books hold ' || coalesce(payments.captured - payments.refunded, 0)
                         || ' instead of ' || due.amount || ' (minor units)' END),
           NULL
    FROM scope LEFT JOIN charged ON charged.order_id = scope.id LEFT JOIN payments ON payments.order_id = scope.id
    CROSS JOIN LATERAL (
        SELECT CASE scope.status WHEN 'CONFIRMED' THEN scope.total_amount ELSE 0 END
                   - coalesce(sum(amount) FILTER (WHERE refunded_at IS NOT NULL), 0),
               coalesce(sum(amount) FILTER (WHERE refunded_at IS NULL AND status <> 'REJECTED'), 0)
        FROM refunds WHERE refunds.order_id = scope.id AND scope.status = 'CONFIRMED'
    ) AS due (amount, unrecorded)
    WHERE scope.status IN ('CONFIRMED', 'CANCELLED')
    """,
)

_STOCK_ADDS_UP: Final = Promise(
    "I4",
    "available + reserved + sold = stocked, never negative, as reservations and movements say",
    """
    SELECT stock.product_id::text,
           concat_ws(', ',
               CASE WHEN available + stock.reserved + stock.sold <> stocked
                    THEN format('%s available + %s reserved + %s sold is not %s stocked',
                                available, stock.reserved, stock.sold, stocked) END,
               CASE WHEN least(available, stock.reserved, stock.sold) < 0
                    THEN format('negative: %s available, %s reserved, %s sold',
                                available, stock.reserved, stock.sold) END,
               CASE WHEN (stock.reserved, stock.sold) <> (coalesce(held.reserved, 0), coalesce(held.sold, 0))
                    THEN format('%s reserved, %s sold, but reservations say %s and %s',
                                stock.reserved, stock.sold, coalesce(held.reserved, 0), coalesce(held.sold, 0)) END,
               CASE WHEN (stock.reserved, stock.sold) <> (coalesce(moved.reserved, 0), coalesce(moved.sold, 0))
                    THEN format('%s reserved, %s sold, but movements say %s and %s',
                                stock.reserved, stock.sold, coalesce(moved.reserved, 0), coalesce(moved.sold, 0)) END),
           NULL
    FROM stock CROSS JOIN given
    LEFT JOIN (
        SELECT product_id, sum(quantity) FILTER (WHERE status = 'ACTIVE') AS reserved,
               sum(quantity - returned) FILTER (WHERE status = 'CONFIRMED') AS sold
        FROM reservations GROUP BY product_id
    ) AS held ON held.product_id = stock.product_id
    LEFT JOIN (
        SELECT product_id,
               sum(CASE WHEN kind = 'RESERVED' THEN quantity
                        WHEN kind IN ('CONFIRMED', 'RELEASED', 'EXPIRED') THEN -quantity END) AS reserved,
               sum(CASE WHEN kind = 'CONFIRMED' THEN quantity
                        WHEN kind IN ('RESTORED', 'RETURNED') THEN -quantity END) AS sold
        FROM stock_movements GROUP BY product_id
    ) AS moved ON moved.product_id = stock.product_id
    WHERE (given.order_ids IS NULL AND given.since IS NULL)
       OR stock.product_id IN (SELECT product_id FROM order_items JOIN scope ON scope.id = order_items.order_id)
    """,
)

_NOTHING_HELD_BACK: Final = Promise(
    "I5",
    "A terminal order holds nothing back: a confirmed one bought every line, a cancelled one none",
    """
    SELECT scope.id::text || ' / ' || item.product_id,
           CASE WHEN held.status = 'ACTIVE' THEN scope.status || ', but its reservation is live'
                WHEN scope.status = 'CONFIRMED' AND (held.status, held.quantity)
                     IS DISTINCT FROM ('CONFIRMED', item.quantity)
                THEN format('CONFIRMED, but of %s units %s %s', item.quantity, coalesce(held.quantity, 0),
                            coalesce(held.status, 'reserved'))
                WHEN scope.status = 'CANCELLED' AND held.status = 'CONFIRMED'
                THEN format('CANCELLED, but %s units are sold', held.quantity) END,
           NULL
    FROM given, scope
    JOIN order_items AS item ON item.order_id = scope.id
    LEFT JOIN reservations AS held ON (held.order_id, held.product_id) = (item.order_id, item.product_id)
    WHERE scope.status = ANY (given.terminal)
    """,
)

# A trigger refuses illegal transitions. What it cannot see is a status that the saga's journal contradicts.
_STATUS_MATCHES_JOURNAL: Final = Promise(
    "I7",
    "Only legal transitions: what the saga's journal says of each order is its status",
    """
    SELECT scope.id::text,
           CASE WHEN coalesce(journal.completed, false) <> (scope.status = 'CONFIRMED')
                THEN scope.status || CASE WHEN journal.completed THEN ', but CompleteOrder succeeded'
                                          ELSE ', but CompleteOrder never succeeded' END
                WHEN coalesce(journal.cancelled, false) AND scope.status NOT IN ('CANCELLED', 'NEEDS_REVIEW')
                THEN scope.status || ', but MarkCancelled succeeded'
                WHEN scope.status = 'CANCELLED' AND scope.failure_reason IS NULL THEN 'CANCELLED without a reason'
                WHEN scope.status = 'CONFIRMED' AND scope.failure_reason IS NOT NULL
                THEN 'CONFIRMED, but failed: ' || scope.failure_reason
                WHEN NOT guard.enabled THEN 'the trigger that guards transitions is off' END,
           NULL
    FROM scope
    CROSS JOIN (
        SELECT coalesce(bool_or(tgenabled <> 'D'), false) AS enabled
        FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND tgname = 'orders_check_transition'
    ) AS guard
    LEFT JOIN (
        SELECT order_id, bool_or(step = 'CompleteOrder' AND status = 'SUCCEEDED') AS completed,
               bool_or(step = 'MarkCancelled' AND status = 'SUCCEEDED') AS cancelled
        FROM saga_steps GROUP BY order_id
    ) AS journal ON journal.order_id = scope.id
    """,
)

_OUTBOX_IS_DRAINED: Final = Promise(
    "I8",
    "An outbox row is published, pending or DEAD; at rest none is pending but later attempts at webhooks",
    """
    SELECT outbox.id::text,
           CASE WHEN outbox.status = 'PUBLISHED' AND published_at IS NULL THEN 'PUBLISHED, but nobody knows when'
                WHEN outbox.status <> 'PUBLISHED' AND published_at IS NOT NULL
                THEN outbox.status || ', but published at ' || published_at
                WHEN outbox.status = 'PENDING' AND outbox.type <> given.webhook_attempt
                THEN format('still PENDING after %s attempts%s', outbox.attempts, ': ' || last_error) END,
           CASE WHEN outbox.status = 'DEAD'
                THEN format('DEAD: %s of order %s: %s', outbox.type, outbox.subject, last_error) END
    FROM outbox JOIN scope ON scope.id = outbox.subject CROSS JOIN given
    """,
)

# Where an effect could have doubled: a delivery of nothing, a notification asked for twice, stock moved again.
_EFFECTS_ONCE: Final = Promise(
    "I9",
    "Each delivered event and each saga step took effect once",
    """
    SELECT inbox.consumer || ' / ' || inbox.event_id,
           CASE WHEN outbox.id IS NULL THEN 'was processed, but no such event was ever written' END, NULL
    FROM given, inbox LEFT JOIN outbox ON outbox.id = inbox.event_id
    WHERE outbox.subject IN (SELECT id FROM scope)
       -- What the provider tells has no row of ours.
       OR (outbox.id IS NULL AND consumer <> given.provider_events
           AND (given.since IS NOT NULL OR given.order_ids IS NULL)
           AND (given.since IS NULL OR processed_at >= given.since))
    UNION ALL
    SELECT concat_ws(' / ', outbox.subject, data ->> 'notification', data ->> 'channel', data ->> 'refundId'),
           CASE WHEN count(*) > 1 THEN 'was asked for ' || count(*) || ' times' END, NULL
    FROM outbox JOIN scope ON scope.id = outbox.subject CROSS JOIN given
    WHERE outbox.type = given.notification_requested
    GROUP BY outbox.subject, data ->> 'notification', data ->> 'channel', data ->> 'refundId'
    UNION ALL
    SELECT held.order_id::text || ' / ' || held.product_id,
           CASE WHEN coalesce(moves.trail, '{}') <> CASE held.status
                    WHEN 'ACTIVE' THEN ARRAY['RESERVED']
                    WHEN 'RESTORED' THEN ARRAY['RESERVED', 'CONFIRMED', 'RESTORED']
                    ELSE ARRAY['RESERVED', held.status] END
                  OR moves.least <> held.quantity OR moves.most <> held.quantity
                THEN format('%s × %s, but stock moved: %s', held.quantity, held.status,
                            coalesce(array_to_string(moves.trail, ', '), 'never')) END,
           NULL
    FROM reservations AS held JOIN scope ON scope.id = held.order_id
    LEFT JOIN (
        SELECT order_id, product_id, array_agg(kind ORDER BY id) AS trail, min(quantity) AS least, max(quantity) AS most
        FROM stock_movements GROUP BY order_id, product_id
    ) AS moves ON (moves.order_id, moves.product_id) = (held.order_id, held.product_id)
    """,
)

_ONE_KEY_ONE_ORDER: Final = Promise(
    "I10",
    "One order per user and Idempotency-Key",
    """
    SELECT scope.id::text,
           CASE WHEN count(known.key) <> 1 THEN count(known.key) || ' idempotency keys'
                WHEN bool_or(known.user_id <> scope.user_id) THEN 'its key is another user''s' END,
           NULL
    FROM scope LEFT JOIN idempotency_keys AS known ON known.order_id = scope.id
    GROUP BY scope.id
    """,
)

_TOLD_ONCE: Final = Promise(
    "I11",
    "At most one notification per order or refund, type and channel",
    """
    SELECT concat_ws(' / ', scope.id, told.refund_id, told.type, told.channel),
           CASE WHEN count(*) > 1 THEN 'was sent ' || count(*) || ' times' END,
           string_agg(told.status || ': ' || told.error, ', ')
               FILTER (WHERE told.status IN ('FAILED', 'UNCERTAIN', 'SUPPRESSED'))
    FROM notifications AS told LEFT JOIN refunds ON refunds.id = told.refund_id
    JOIN scope ON scope.id = coalesce(told.order_id, refunds.order_id)
    GROUP BY scope.id, told.refund_id, told.type, told.channel
    """,
)

_REFUNDED_ONCE: Final = Promise(
    "I13",
    "Refunds never exceed what was captured and sold, and each takes effect once",
    """
    SELECT granted.order_id::text,
           concat_ws(', ',
               CASE WHEN granted.amount > coalesce(payments.captured, 0)
                    THEN format('%s refunded of %s captured (minor units)', granted.amount,
                                coalesce(payments.captured, 0)) END,
               -- Of what is not confirmed all is given back; some of it may have been at the provider.
               CASE WHEN scope.status = 'CONFIRMED' AND granted.given_back <> coalesce(payments.refunded, 0)
                    THEN format('refunds of %s are given back, but our books say %s (minor units)',
                                granted.given_back, coalesce(payments.refunded, 0)) END),
           NULL
    FROM (
        SELECT order_id, coalesce(sum(amount) FILTER (WHERE status <> 'REJECTED'), 0) AS amount,
               coalesce(sum(amount) FILTER (WHERE refunded_at IS NOT NULL), 0) AS given_back
        FROM refunds GROUP BY order_id
    ) AS granted JOIN scope ON scope.id = granted.order_id LEFT JOIN payments ON payments.order_id = granted.order_id
    UNION ALL
    SELECT item.order_id::text || ' / ' || item.product_id,
           CASE WHEN sum(line.quantity) > item.quantity
                THEN format('%s units refunded of %s sold', sum(line.quantity), item.quantity) END,
           NULL
    FROM refunds AS refund JOIN scope ON scope.id = refund.order_id
    JOIN refund_lines AS line ON line.refund_id = refund.id
    JOIN order_items AS item ON (item.order_id, item.product_id) = (refund.order_id, line.product_id)
    WHERE refund.status <> 'REJECTED' GROUP BY item.order_id, item.product_id, item.quantity
    UNION ALL
    SELECT refund.id::text,
           concat_ws(', ',
               CASE WHEN refund.status = 'COMPLETED' AND refund.refunded_at IS NULL
                    THEN 'COMPLETED, but its money is not back' END,
               CASE WHEN refund.status = 'REJECTED' AND refund.refunded_at IS NOT NULL
                    THEN 'REJECTED, but its money is back' END,
               CASE WHEN refund.restocked_at IS NULL AND (refund.restock AND refund.status = 'COMPLETED')
                    THEN 'COMPLETED, but its units are not back' END,
               CASE WHEN refund.refunded_at IS NOT NULL AND refund.origin <> 'PROVIDER'
                         AND given.amount IS DISTINCT FROM refund.amount
                    THEN format('the gateway has given back %s of %s (minor units)', coalesce(given.amount, 0),
                                refund.amount) END,
               CASE WHEN (refund.restocked_at IS NOT NULL) <> (moved.lines IS NOT NULL)
                         OR moved.lines IS DISTINCT FROM asked.lines AND refund.restocked_at IS NOT NULL
                    THEN format('%s units came back of %s', coalesce(moved.units, 0), coalesce(asked.units, 0)) END),
           CASE WHEN refund.status = 'NEEDS_REVIEW' THEN 'needs review: ' || coalesce(refund.error, '') END
    FROM refunds AS refund JOIN scope ON scope.id = refund.order_id
    LEFT JOIN given_back AS given ON given.refund_key = 'refund-' || refund.id
    CROSS JOIN LATERAL (
        SELECT array_agg((product_id, quantity) ORDER BY product_id)::text, sum(quantity)
        FROM refund_lines WHERE refund_id = refund.id
    ) AS asked (lines, units)
    CROSS JOIN LATERAL (
        SELECT array_agg((product_id, CAST(quantity AS integer)) ORDER BY product_id)::text, sum(quantity)
        FROM stock_movements WHERE refund_id = refund.id AND kind = 'RETURNED'
    ) AS moved (lines, units)
    """,
)

PROMISES: Final = (
    _ACCEPTED_ORDERS_END,
    _CAPTURED_ONCE,
    _MONEY_MATCHES_STATUS,
    _STOCK_ADDS_UP,
    _NOTHING_HELD_BACK,
    _STATUS_MATCHES_JOURNAL,
    _OUTBOX_IS_DRAINED,
    _EFFECTS_ONCE,
    _ONE_KEY_ONE_ORDER,
    _TOLD_ONCE,
    _REFUNDED_ONCE,
)


_UNSETTLED: Final = f"""
    {_SOURCES}
    SELECT 'order ' || scope.id || ' is ' || scope.status FROM scope, given WHERE scope.status <> ALL (given.terminal)
    UNION ALL
    SELECT 'event ' || outbox.id || ' waits in the outbox'
    FROM outbox JOIN scope ON scope.id = outbox.subject CROSS JOIN given
    WHERE outbox.status = 'PENDING' AND outbox.type <> given.webhook_attempt
    UNION ALL
    SELECT 'notification event ' || outbox.id || ' is on its way'
    FROM given, outbox JOIN scope ON scope.id = outbox.subject
    WHERE outbox.type = given.notification_requested AND outbox.status = 'PUBLISHED'
      AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = outbox.id)
    UNION ALL
    SELECT 'refund ' || refund.id || ' is on its way'
    FROM refunds AS refund JOIN scope ON scope.id = refund.order_id WHERE refund.status = 'REQUESTED'
    UNION ALL
    SELECT told.type || ' for order ' || scope.id || ' is being sent'
    FROM notifications AS told LEFT JOIN refunds ON refunds.id = told.refund_id
    JOIN scope ON scope.id = coalesce(told.order_id, refunds.order_id) WHERE told.status = 'SENDING'
"""

_NOTICES: Final = f"""
    {_SOURCES}
    SELECT scope.id AS order_id, array_agg(told.type ORDER BY sent_at, told.type) AS types
    FROM notifications AS told LEFT JOIN refunds ON refunds.id = told.refund_id
    JOIN scope ON scope.id = coalesce(told.order_id, refunds.order_id)
    WHERE told.status = 'SENT' AND channel = 'email' GROUP BY scope.id
"""


@dataclass(frozen=True)
class Charge:
    """What the gateway's ledger holds for one order, in minor units."""

    captures: int = 0
    captured: int = 0
    refunded: int = 0


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one instant for as long as it is held, and changes nothing."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        # An audit over a large table may take longer than what is granted to a request.
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("SET LOCAL statement_timeout = '60s'"))
        yield connection


def check_database(engine: Engine, scope: Scope = EVERY_ORDER, ledger: Ledger = SIMULATOR) -> list[Verdict]:
    """Checks every promise that the database can tell about, in the order of their numbers, at one instant."""
    with snapshot(engine) as connection:
        return [promise.check(connection, scope, ledger) for promise in PROMISES]


def broken_at_once(
    connection: Connection, numbers: Collection[str], scope: Scope = EVERY_ORDER, ledger: Ledger = SIMULATOR
) -> list[str]:
    """The violations of the promises with these numbers, in words, by one statement: for who looks very often."""
    chosen = [promise for promise in PROMISES if promise.number in numbers]
    found = " UNION ALL ".join(
        f"SELECT * FROM (VALUES ('{promise.number}')) AS promise (number), "
        f"({promise.rows}) AS row (subject, problem, remark)"
        for promise in chosen
    )
    return list(
        connection.scalars(
            text(
                f"{_SOURCES}, {_charged(ledger)} "
                f"SELECT concat_ws(': ', number, subject, problem) FROM ({found}) AS checked "
                "WHERE problem <> ''"
            ),
            {**scope.parameters(), **_PARAMETERS, **ledger.parameters},
        )
    )


def unsettled(connection: Connection, scope: Scope = EVERY_ORDER) -> list[str]:
    """What is still under way, in given. Nothing: the orders are at rest and an audit tells the truth."""
    return list(connection.scalars(text(_UNSETTLED), {**scope.parameters(), **_PARAMETERS}))


def await_rest(engine: Engine, scope: Scope = EVERY_ORDER, seconds: float = REST_SECONDS) -> list[str]:
    """Waits until nothing about the orders is under way any more; returns what still is after that time."""
    deadline = time.monotonic() + seconds
    while True:
        with snapshot(engine) as connection:
            under_way = unsettled(connection, scope)
        if not under_way or time.monotonic() > deadline:
            return under_way
        time.sleep(_POLL_SECONDS)


def now(engine: Engine) -> datetime:
    """The database's clock."""
    with engine.connect() as connection:
        return connection.execute(select(func.now())).scalar_one()


def charges(
    connection: Connection, scope: Scope = EVERY_ORDER, ledger: Ledger = SIMULATOR
) -> dict[UUID, Charge]:
    """What the gateway charged, by order; an order that is not there was never charged."""
    found = connection.execute(
        text(f"{_SOURCES}, {_charged(ledger)} SELECT order_id, captures, captured, refunded FROM charged"),
        {**scope.parameters(), **_PARAMETERS, **ledger.parameters},
    )
    return {row.order_id: Charge(row.captures, int(row.captured), int(row.refunded)) for row in found}


def notices(connection: Connection, scope: Scope = EVERY_ORDER) -> dict[UUID, tuple[str, ...]]:
    """The types of the mails that were sent, by order: every order has an e-mail address."""
    found = connection.execute(text(_NOTICES), {**scope.parameters(), **_PARAMETERS})
    return {row.order_id: tuple(row.types) for row in found}
