"""All that our tables say of payments. No other module writes `payments`.

A payment is written down before the gateway is asked (`intend`), and its outcome once it is known (`decide`, `close`,
`settle`). The gateway's record is the truth about money: a payment that is undecided may have been captured.

The functions that return SQL are for statements about orders and reservations. Their `order_id` is SQL as well: a
column with its table's name, or a parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import OrderStatus, PaymentStatus
from orders.errors import StepFenced
from orders.payments.gateway import Charge, GatewayStatus

UNDECIDED: Final = frozenset({PaymentStatus.PENDING, PaymentStatus.UNKNOWN, PaymentStatus.ACTION_REQUIRED})

SETTLED: Final = frozenset({PaymentStatus.DECLINED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED})
"""Proof that the gateway holds no money of the order and never will: it need not be asked."""

STATUS_AT_GATEWAY: Final[Mapping[GatewayStatus, PaymentStatus]] = {
    GatewayStatus.CAPTURED: PaymentStatus.CAPTURED,
    GatewayStatus.DECLINED: PaymentStatus.DECLINED,
    GatewayStatus.VOIDED: PaymentStatus.VOIDED,
    GatewayStatus.REFUNDED: PaymentStatus.REFUNDED,
}
"""What is recorded of what the gateway says. An OPEN payment, and one whose customer must act, is undecided."""

_UNDECIDED: Final = "('PENDING', 'UNKNOWN', 'ACTION_REQUIRED')"
# In this order in the condition of the index `payments_undecided`. Of the others the saga itself asks now and then.
_UNTOLD: Final = "('PENDING', 'UNKNOWN')"

# The intent, made or found. ProcessPayment and RefundPayment both write this row, so Postgres puts a charge and its
# refund in an order, and the one that waited sees what the other left. They wait at the order: two inserts at once
# would meet in two unique indexes, of which ON CONFLICT can watch only one. An order may also be cancelled before
# anybody meant to charge it; no refund has left a closed payment behind then, so no charge begins once the saga has
# turned back.
_INTEND: Final = text("""
    WITH intent AS (
        INSERT INTO payments (order_id, provider_key, status, attempts, amount, currency)
        SELECT id, 'order-' || id, CAST(:status AS text), CAST(:attempts AS integer), total_amount, currency
        FROM orders WHERE id = :order_id AND NOT (CAST(:status AS text) = 'PENDING' AND EXISTS (
            SELECT FROM saga_steps
            WHERE order_id = :order_id AND step = 'CompleteOrder' AND status = 'FENCED'
        )) FOR NO KEY UPDATE
        ON CONFLICT (order_id) DO UPDATE
        SET attempts = payments.attempts + excluded.attempts, updated_at = now()
        RETURNING provider_key, status, attempts, amount, currency
    )
    SELECT intent.*, coalesce(orders.payment_method, '') AS payment_method
    FROM intent CROSS JOIN orders WHERE orders.id = :order_id
""")

# Only what is undecided can be decided: a payment that was closed meanwhile stays closed.
_DECIDE: Final = text(f"""
    UPDATE payments
    SET status = CAST(:status AS text), updated_at = now(),
        provider_payment_id = coalesce(CAST(:payment_id AS text), provider_payment_id),
        captured = CASE WHEN CAST(:status AS text) = 'CAPTURED' THEN amount ELSE captured END
    WHERE order_id = :order_id AND status IN {_UNDECIDED}
""")

_CLOSE: Final = text("""
    UPDATE payments
    SET status = CAST(:status AS text), updated_at = now(),
        provider_payment_id = coalesce(CAST(:payment_id AS text), provider_payment_id),
        captured = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE captured END,
        refunded = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE refunded END
    WHERE order_id = :order_id
""")

# The CHECK of the table refuses to give back more than was captured.
_GIVE_BACK: Final = text("""
    UPDATE payments
    SET refunded = refunded + CAST(:amount AS bigint), updated_at = now(),
        status = CASE WHEN refunded + CAST(:amount AS bigint) = captured THEN 'REFUNDED' ELSE status END
    WHERE order_id = :order_id
""")

# Only over the status that was compared: whoever has written since knows better.
_SETTLE: Final = text("""
    UPDATE payments
    SET status = CAST(:status AS text), updated_at = now(),
        provider_payment_id = coalesce(CAST(:payment_id AS text), provider_payment_id),
        captured = CASE WHEN CAST(:status AS text) IN ('CAPTURED', 'REFUNDED') THEN amount ELSE 0 END,
        refunded = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE 0 END
    WHERE order_id = :order_id AND status = CAST(:compared AS text)
    RETURNING order_id
""")

# The payment method is erased some time after an order's end. Nothing captures any more then, and a void or a refund
# needs the key alone.
_FIND: Final = text("""
    SELECT payments.provider_key, payments.status, payments.amount, payments.currency,
           payments.captured, payments.refunded, coalesce((
               SELECT sum(refund.amount) FROM refunds AS refund
               WHERE refund.order_id = orders.id AND refund.refunded_at IS NULL
                 AND refund.status IN ('REQUESTED', 'NEEDS_REVIEW')
           ), 0) AS on_their_way,
           coalesce((
               SELECT sum(refund.amount) FROM refunds AS refund
               WHERE refund.order_id = orders.id AND refund.origin = 'PROVIDER'
           ), 0) AS made_at_provider,
           coalesce(orders.payment_method, '') AS payment_method, orders.status AS order_status
    FROM payments JOIN orders ON orders.id = payments.order_id
    WHERE payments.order_id = :order_id
""")

# An event of the provider names the payment by our key, or only by the provider's own id.
_FIND_KNOWN: Final = text("""
    SELECT order_id, provider_key, clock_timestamp() AS looked_at FROM payments WHERE provider_key = CAST(:key AS text)
    UNION ALL
    SELECT order_id, provider_key, clock_timestamp() FROM payments WHERE provider_payment_id = :payment_id
    LIMIT 1
""")

# The touch is the claim: nobody else claims it before the time is over again. The CASE is the condition of the index.
_CLAIM_UNDECIDED: Final = text(f"""
    UPDATE payments SET updated_at = now()
    WHERE order_id = ANY (ARRAY(
        SELECT order_id FROM payments
        WHERE CASE WHEN status IN {_UNTOLD} THEN true ELSE false END
          AND updated_at < now() - make_interval(secs => :untouched_seconds)
        ORDER BY updated_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING order_id
""")


@dataclass(frozen=True)
class Payment:
    """An order's payment by our record."""

    key: str
    """Never changes, so that the gateway recognises a repeated request."""
    charge: Charge
    status: PaymentStatus


@dataclass(frozen=True)
class RecordedPayment(Payment):
    """The same with its money, in minor units."""

    captured: int
    refunded: int
    on_their_way: int
    """Refunds that the gateway may have given back, and of which that is not recorded."""
    made_at_provider: int
    """Those in `refunded` that we have not made."""


@dataclass(frozen=True)
class KnownPayment:
    """A payment of ours that an event of the provider is about."""

    order_id: UUID
    key: str
    looked_at: datetime
    """By the database's clock: what the gateway says after that is at least as new."""


@dataclass(frozen=True)
class Intent(Payment):
    """What is known of the payment before the gateway is asked."""

    attempts: int


def intend(connection: Connection, order_id: UUID, *, if_new: PaymentStatus) -> Intent:
    """Makes the order's payment with the status `if_new`, or finds it. One that is made PENDING counts an attempt.

    Raises:
        StepFenced: a charge is meant, and the saga has turned back.
    """
    attempts = 1 if if_new is PaymentStatus.PENDING else 0
    row = connection.execute(_INTEND, {"order_id": order_id, "status": if_new, "attempts": attempts}).first()
    if row is None:
        raise StepFenced("ProcessPayment came after the saga had turned back")
    return Intent(
        key=row.provider_key,
        charge=Charge(row.amount, row.currency, row.payment_method),
        status=PaymentStatus(row.status),
        attempts=row.attempts,
    )


def decide(
    connection: Connection, order_id: UUID, status: PaymentStatus, payment_id: str | None = None
) -> None:
    """Records what a charge came to: CAPTURED, DECLINED, UNKNOWN or ACTION_REQUIRED. A payment that was decided before
    stays so."""
    connection.execute(_DECIDE, {"order_id": order_id, "status": status, "payment_id": payment_id})


def close(connection: Connection, order_id: UUID, status: PaymentStatus, payment_id: str) -> None:
    """Records that the gateway holds no money and never will: `status` is one of `SETTLED`."""
    connection.execute(_CLOSE, {"order_id": order_id, "status": status, "payment_id": payment_id})


def give_back(connection: Connection, order_id: UUID, amount: int) -> None:
    """Records that the gateway has given back `amount` more, in minor units. The caller sees to it that it does so once
    for each refund."""
    connection.execute(_GIVE_BACK, {"order_id": order_id, "amount": amount})


def settle(
    connection: Connection, order_id: UUID, status: PaymentStatus, payment_id: str, *, compared: PaymentStatus
) -> bool:
    """Brings the record in line with the gateway's. False: it is not `compared` any more, and was left as it is."""
    parameters = {"order_id": order_id, "status": status, "payment_id": payment_id, "compared": compared}
    return connection.execute(_SETTLE, parameters).first() is not None


def find(connection: Connection, order_id: UUID) -> tuple[RecordedPayment, OrderStatus] | None:
    """The order's payment and the order's status; None if it has no payment."""
    row = connection.execute(_FIND, {"order_id": order_id}).first()
    if row is None:
        return None
    charge = Charge(row.amount, row.currency, row.payment_method)
    payment = RecordedPayment(
        row.provider_key,
        charge,
        PaymentStatus(row.status),
        row.captured,
        row.refunded,
        int(row.on_their_way),
        int(row.made_at_provider),
    )
    return payment, OrderStatus(row.order_status)


def find_known(connection: Connection, key: str | None, payment_id: str) -> KnownPayment | None:
    """The payment that has our `key`, or else the provider's `payment_id`; None if it is none of ours."""
    row = connection.execute(_FIND_KNOWN, {"key": key, "payment_id": payment_id}).first()
    return None if row is None else KnownPayment(row.order_id, row.provider_key, row.looked_at)


def claim_undecided(connection: Connection, untouched_seconds: int, limit: int) -> list[UUID]:
    """The orders of up to `limit` payments that are undecided and were not touched for so long. They are touched."""
    parameters = {"untouched_seconds": untouched_seconds, "limit": limit}
    return list(connection.scalars(_CLAIM_UNDECIDED, parameters))


def held(order_id: str) -> str:
    """SQL: the money of an order that was captured and not refunded, in minor units."""
    return f"coalesce((SELECT captured - refunded FROM payments WHERE payments.order_id = {order_id}), 0)"


def may_hold_money(order_id: str) -> str:
    """SQL: whether money of an order is held, or nobody has found out yet."""
    return f"""EXISTS (
        SELECT FROM payments WHERE payments.order_id = {order_id}
          AND (captured <> refunded OR status IN {_UNDECIDED})
    )"""


def is_in_flight(order_id: str) -> str:
    """SQL: whether the customer is paying just now, or has paid and the order is on its way."""
    return f"""EXISTS (
        SELECT FROM payments JOIN orders ON orders.id = payments.order_id
        WHERE payments.order_id = {order_id} AND orders.status = 'PROCESSING'
          AND (payments.status IN {_UNDECIDED} OR payments.status = 'CAPTURED')
    )"""
