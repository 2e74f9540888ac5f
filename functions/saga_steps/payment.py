"""The steps that take the order's money and give it back.

The gateway is an outside system: no transaction of ours spans a call to it. So what we are about to ask is written
down before we ask it, under a key that never changes (`order-<order id>`), and whoever comes after an attempt whose
end nobody recorded asks the gateway what became of it before doing anything.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from functions.saga_steps.transaction import forward
from orders import outbox, saga
from orders.db import Database
from orders.domain import PaymentStatus, SagaStep
from orders.errors import (
    BusinessFailure,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    StepFenced,
)
from orders.events import PaymentCaptured, PaymentRefunded
from orders.payments.gateway import Charge, GatewayPayment, GatewayStatus, PaymentGateway
from orders.trace import Trace

# The intent, made or found. Both steps write this row, so Postgres puts a charge and its refund in an order, and the
# one that waited sees what the other left. They wait at the order: two inserts at once would meet in two unique
# indexes, of which ON CONFLICT can watch only one. An order may also be cancelled before anybody meant to charge it;
# no refund has left a closed payment behind then, so no charge begins once the saga has turned back.
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
    SELECT intent.*, orders.payment_method, journal.status IS NOT NULL AS is_journaled
    FROM intent CROSS JOIN orders LEFT JOIN saga_steps AS journal ON journal.order_id = orders.id
        AND journal.step = 'ProcessPayment'
    WHERE orders.id = :order_id
""")

# Only what is undecided can be decided: a payment that was closed meanwhile stays closed.
_DECIDE: Final = text("""
    UPDATE payments
    SET status = CAST(:status AS text), updated_at = now(),
        provider_payment_id = coalesce(CAST(:payment_id AS text), provider_payment_id),
        captured = CASE WHEN CAST(:status AS text) = 'CAPTURED' THEN amount ELSE captured END
    WHERE order_id = :order_id AND status IN ('PENDING', 'UNKNOWN')
""")

_GIVE_BACK: Final = text("""
    UPDATE payments
    SET status = CAST(:status AS text), updated_at = now(),
        provider_payment_id = coalesce(CAST(:payment_id AS text), provider_payment_id),
        captured = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE captured END,
        refunded = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE refunded END
    WHERE order_id = :order_id
""")

_UNDECIDED: Final = frozenset({PaymentStatus.PENDING, PaymentStatus.UNKNOWN})

# Proof that the gateway holds no money of this order and never will: it need not be asked.
_SETTLED: Final = frozenset({PaymentStatus.DECLINED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED})

# What a refund leaves behind, by what the gateway says in the end.
_CLOSED: Final = {
    GatewayStatus.VOIDED: PaymentStatus.VOIDED,
    GatewayStatus.DECLINED: PaymentStatus.DECLINED,
    GatewayStatus.REFUNDED: PaymentStatus.REFUNDED,
}


@dataclass(frozen=True)
class _Intent:
    """What is known of the order's payment before the gateway is asked."""

    key: str
    charge: Charge
    status: PaymentStatus
    attempts: int
    is_journaled: bool
    """ProcessPayment has been taken, has failed for good, or is fenced."""


def process(database: Database, gateway: PaymentGateway, order_id: UUID, trace: Trace) -> PaymentStatus:
    """Captures the order's total, at most once (promise I2), however often and however concurrently it is called.

    Raises:
        PaymentDeclined, FraudSuspected: final; a repeated call raises the same.
        PaymentGatewayUnavailable: try again. The outcome may be unknown; the next attempt asks first.
        PaymentGatewayCircuitOpen: the gateway was not asked; try again when it has had its rest.
        StepFenced: RefundPayment came first. What the gateway has captured by then, that one gives back.
    """
    intent = database.transact_alone(
        lambda connection: _intend(connection, order_id, if_new=PaymentStatus.PENDING)
    )
    if intent.is_journaled or intent.status not in _UNDECIDED:
        return _replay(database, order_id, intent)
    try:
        payment = _capture(gateway, intent)
    except PaymentGatewayTimeout as error:
        database.transact_alone(lambda connection: _decide(connection, order_id, PaymentStatus.UNKNOWN))
        # The state machine and the customer's failure reason know the general name only.
        raise PaymentGatewayUnavailable("the gateway did not answer in time") from error
    except BusinessFailure as error:
        failure = error

        def decline(connection: Connection) -> None:
            saga.record_failure(connection, order_id, SagaStep.PROCESS_PAYMENT, failure)
            _decide(connection, order_id, PaymentStatus.DECLINED)

        database.transact(decline)
        raise

    def capture(connection: Connection) -> None:
        _decide(connection, order_id, PaymentStatus.CAPTURED, payment.payment_id)
        captured = PaymentCaptured(amount=intent.charge.amount, currency=intent.charge.currency)
        outbox.add(connection, order_id, captured, trace)

    forward(database, order_id, SagaStep.PROCESS_PAYMENT, capture)
    return PaymentStatus.CAPTURED


def _replay(database: Database, order_id: UUID, intent: _Intent) -> PaymentStatus:
    def work(connection: Connection) -> None:
        # The journal knows how it ended, and raises if that was no success.
        saga.begin(connection, order_id, SagaStep.PROCESS_PAYMENT)
        if intent.status is not PaymentStatus.CAPTURED:
            raise StepFenced(f"the payment is {intent.status}")

    # Not in the transaction that locked the payment: RefundPayment locks the two the other way round.
    database.transact(work)
    return PaymentStatus.CAPTURED


def refund(database: Database, gateway: PaymentGateway, order_id: UUID, trace: Trace) -> PaymentStatus:
    """Sees to it that the customer's money is, and stays, with the customer.

    A charge that is under way or comes late meets the closed payment, the closed step in the journal, or the voided
    key at the gateway. What was captured before that is given back.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
        PaymentGatewayUnavailable: try again.
    """

    def close(connection: Connection) -> _Intent:
        saga.close(connection, order_id, SagaStep.REFUND_PAYMENT)
        intent = _intend(connection, order_id, if_new=PaymentStatus.VOIDED)
        if intent.status in _SETTLED:
            saga.record_compensation(connection, order_id, SagaStep.REFUND_PAYMENT)
        return intent

    intent = database.transact(close)
    if intent.status in _SETTLED:
        return intent.status
    payment = _give_back(gateway, intent)
    status = _CLOSED[payment.status]

    def record(connection: Connection) -> None:
        connection.execute(
            _GIVE_BACK, {"order_id": order_id, "status": status, "payment_id": payment.payment_id}
        )
        is_first = saga.record_compensation(connection, order_id, SagaStep.REFUND_PAYMENT)
        if is_first and status is PaymentStatus.REFUNDED:
            refunded = PaymentRefunded(amount=intent.charge.amount, currency=intent.charge.currency)
            outbox.add(connection, order_id, refunded, trace)

    database.transact(record)
    return status


def _intend(connection: Connection, order_id: UUID, *, if_new: PaymentStatus) -> _Intent:
    """Makes the order's payment with status `if_new`, or finds it.

    Raises:
        StepFenced: a charge is meant, and the saga has turned back.
    """
    attempts = 1 if if_new is PaymentStatus.PENDING else 0
    row = connection.execute(_INTEND, {"order_id": order_id, "status": if_new, "attempts": attempts}).first()
    if row is None:
        raise StepFenced("ProcessPayment came after the saga had turned back")
    return _Intent(
        key=row.provider_key,
        charge=Charge(row.amount, row.currency, row.payment_method),
        status=PaymentStatus(row.status),
        attempts=row.attempts,
        is_journaled=row.is_journaled,
    )


def _capture(gateway: PaymentGateway, intent: _Intent) -> GatewayPayment:
    if intent.attempts > 1:
        # An earlier attempt, or another one under way, may have captured without being able to tell.
        earlier = gateway.find(intent.key)
        if earlier is not None and earlier.status is GatewayStatus.CAPTURED:
            return earlier
    payment = gateway.capture(intent.key, intent.charge)
    if payment.status is not GatewayStatus.CAPTURED:
        raise StepFenced(f"payment {payment.payment_id} was given back")
    return payment


def _decide(
    connection: Connection, order_id: UUID, status: PaymentStatus, payment_id: str | None = None
) -> None:
    connection.execute(_DECIDE, {"order_id": order_id, "status": status, "payment_id": payment_id})


def _give_back(gateway: PaymentGateway, intent: _Intent) -> GatewayPayment:
    payment = gateway.find(intent.key)
    if payment is None or payment.status is GatewayStatus.OPEN:
        # Answers CAPTURED if a capture was quicker.
        payment = gateway.void(intent.key, intent.charge)
    if payment.status is GatewayStatus.CAPTURED:
        payment = gateway.refund(intent.key)
    return payment
