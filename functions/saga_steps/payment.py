"""The steps that take the order's money and give it back.

The gateway is an outside system: no transaction of ours spans a call to it. So what we are about to ask is written
down before we ask it, under a key that never changes (`order-<order id>`), and whoever comes after an attempt whose
end nobody recorded asks the gateway what became of it before doing anything.
"""

from uuid import UUID

from sqlalchemy import Connection

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
from orders.events import PaymentCaptured, PaymentRefunded, Trace
from orders.payments import records
from orders.payments.gateway import GatewayPayment, GatewayStatus, PaymentGateway
from orders.payments.reconciliation import give_back
from orders.payments.records import SETTLED, STATUS_AT_GATEWAY, UNDECIDED, Intent


def process(database: Database, gateway: PaymentGateway, order_id: UUID, trace: Trace) -> PaymentStatus:
    """Captures the order's total, at most once (promise I2), however often and however concurrently it is called.

    Raises:
        PaymentDeclined, FraudSuspected: final; a repeated call raises the same.
        PaymentGatewayUnavailable: try again. The outcome may be unknown; the next attempt asks first.
        PaymentGatewayCircuitOpen: the gateway was not asked; try again when it has had its rest.
        StepFenced: RefundPayment came first. What the gateway has captured by then, that one gives back.
    """
    intent = database.transact_alone(
        lambda connection: records.intend(connection, order_id, if_new=PaymentStatus.PENDING)
    )
    if intent.status not in UNDECIDED:
        return _repeat(database, order_id, intent)
    try:
        payment = _capture(gateway, intent)
    except PaymentGatewayTimeout as error:
        database.transact_alone(
            lambda connection: records.decide(connection, order_id, PaymentStatus.UNKNOWN)
        )
        # The state machine and the customer's failure reason know the general name only.
        raise PaymentGatewayUnavailable("the gateway did not answer in time") from error
    except BusinessFailure as error:
        failure = error

        def decline(connection: Connection) -> None:
            saga.record_failure(connection, order_id, SagaStep.PROCESS_PAYMENT, failure)
            records.decide(connection, order_id, PaymentStatus.DECLINED)

        database.transact(decline)
        raise

    def capture(connection: Connection, order_id: UUID) -> None:
        records.decide(connection, order_id, PaymentStatus.CAPTURED, payment.payment_id)
        captured = PaymentCaptured(amount=intent.charge.amount, currency=intent.charge.currency)
        outbox.add(connection, order_id, captured, trace)

    forward(database, order_id, SagaStep.PROCESS_PAYMENT, capture)
    return PaymentStatus.CAPTURED


def refund(database: Database, gateway: PaymentGateway, order_id: UUID, trace: Trace) -> PaymentStatus:
    """Sees to it that the customer's money is, and stays, with the customer.

    A charge that is under way or comes late meets the closed payment, the closed step in the journal, or the voided
    key at the gateway. What was captured before that is given back.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
        PaymentGatewayUnavailable: try again.
    """

    def close(connection: Connection) -> Intent:
        saga.close(connection, order_id, SagaStep.REFUND_PAYMENT)
        intent = records.intend(connection, order_id, if_new=PaymentStatus.VOIDED)
        if intent.status in SETTLED:
            saga.record_compensation(connection, order_id, SagaStep.REFUND_PAYMENT)
        return intent

    intent = database.transact(close)
    if intent.status in SETTLED:
        return intent.status
    payment = give_back(gateway, intent, gateway.find(intent.key))
    status = STATUS_AT_GATEWAY[payment.status]

    def record(connection: Connection) -> None:
        records.close(connection, order_id, status, payment.payment_id)
        is_first = saga.record_compensation(connection, order_id, SagaStep.REFUND_PAYMENT)
        if is_first and status is PaymentStatus.REFUNDED:
            refunded = PaymentRefunded(amount=intent.charge.amount, currency=intent.charge.currency)
            outbox.add(connection, order_id, refunded, trace)

    database.transact(record)
    return status


def _repeat(database: Database, order_id: UUID, intent: Intent) -> PaymentStatus:
    """What a call before this one came to."""

    def work(connection: Connection) -> None:
        # The journal knows how it ended, and raises if that was no success.
        saga.begin(connection, order_id, SagaStep.PROCESS_PAYMENT)
        if intent.status is not PaymentStatus.CAPTURED:
            raise StepFenced(f"the payment is {intent.status}")

    # Not in the transaction that locked the payment: RefundPayment locks the two the other way round.
    database.transact(work)
    return PaymentStatus.CAPTURED


def _capture(gateway: PaymentGateway, intent: Intent) -> GatewayPayment:
    if intent.attempts > 1:
        # An earlier attempt, or another one under way, may have captured without being able to tell.
        earlier = gateway.find(intent.key)
        if earlier is not None and earlier.status is GatewayStatus.CAPTURED:
            return earlier
    payment = gateway.capture(intent.key, intent.charge)
    if payment.status is not GatewayStatus.CAPTURED:
        raise StepFenced(f"payment {payment.payment_id} was given back")
    return payment
