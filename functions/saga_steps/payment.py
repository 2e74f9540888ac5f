"""The steps that take the order's money and give it back.

The gateway is an outside system: no transaction of ours spans a call to it. So what we are about to ask is written
down before we ask it, under a key that never changes (`order-<order id>`), and whoever comes after an attempt whose
end nobody recorded asks the gateway what became of it before doing anything.

If the customer has to act first, the execution waits, and comes back to ask. Whatever wakes it says nothing of the
payment, only that a look may be worth it.
"""

from collections.abc import Callable
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection

from functions.saga_steps.transaction import forward
from orders import outbox, saga
from orders.db import Database
from orders.domain import PaymentStatus, SagaStep
from orders.errors import (
    BusinessFailure,
    PaymentActionRequired,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    PaymentNotCompleted,
    StepFenced,
    business_failure,
)
from orders.events import PaymentCaptured, PaymentRefunded, Trace
from orders.payments import actions, records
from orders.payments.actions import Recorded
from orders.payments.gateway import GatewayPayment, GatewayStatus, PaymentGateway
from orders.payments.reconciliation import give_back
from orders.payments.records import SETTLED, STATUS_AT_GATEWAY, UNDECIDED, Intent


class Wait(StrEnum):
    """What became of a wait for the customer."""

    BEGUN = "BEGUN"
    ENDED = "ENDED"


def process(database: Database, gateway: PaymentGateway, order_id: UUID, trace: Trace) -> PaymentStatus:
    """Captures the order's total, at most once (promise I2), however often and however concurrently it is called.

    Raises:
        PaymentDeclined, FraudSuspected, PaymentNotCompleted: final; a repeated call raises the same.
        PaymentActionRequired: wait for the customer, then call again.
        PaymentGatewayUnavailable: try again. The outcome may be unknown; the next attempt asks first.
        PaymentGatewayCircuitOpen: the gateway was not asked; try again when it has had its rest.
        StepFenced: RefundPayment came first. What the gateway has captured by then, that one gives back.
    """
    intent = database.transact_alone(
        lambda connection: records.intend(connection, order_id, if_new=PaymentStatus.PENDING)
    )
    if intent.status not in UNDECIDED:
        return _repeat(database, order_id, intent)
    has_waited = intent.status is PaymentStatus.ACTION_REQUIRED
    try:
        payment = _capture(gateway, intent)
        if payment.status is GatewayStatus.ACTION_REQUIRED:
            has_waited = True
            payment = _let_customer_act(database, gateway, order_id, intent.key, payment)
    except PaymentGatewayTimeout as error:
        if not has_waited:
            database.transact_alone(
                lambda connection: records.decide(connection, order_id, PaymentStatus.UNKNOWN)
            )
        # The state machine and the customer's failure reason know the general name only.
        raise PaymentGatewayUnavailable("the gateway did not answer in time") from error
    except BusinessFailure as error:
        failure = error

        def decline(connection: Connection) -> None:
            saga.record_failure(connection, order_id, SagaStep.PROCESS_PAYMENT, failure)
            if has_waited:
                actions.end(connection, order_id)
            if not isinstance(failure, PaymentNotCompleted):
                records.decide(connection, order_id, PaymentStatus.DECLINED)

        database.transact(decline)
        if has_waited:
            # A call before this one may have failed in another way: the same again.
            database.transact(lambda connection: saga.begin(connection, order_id, SagaStep.PROCESS_PAYMENT))
        raise

    def capture(connection: Connection, order_id: UUID) -> None:
        if has_waited:
            actions.end(connection, order_id)
        records.decide(connection, order_id, PaymentStatus.CAPTURED, payment.payment_id)
        captured = PaymentCaptured(amount=intent.charge.amount, currency=intent.charge.currency)
        outbox.add(connection, order_id, captured, trace)

    forward(database, order_id, SagaStep.PROCESS_PAYMENT, capture)
    return PaymentStatus.CAPTURED


def wait(database: Database, wake: Callable[[str], object], order_id: UUID, token: str) -> Wait:
    """Keeps the token that wakes the execution when the customer has acted; wakes it at once if the wait is over.

    Raises:
        ServiceUnavailable: it could not be woken.
    """
    if database.transact_alone(lambda connection: actions.keep_token(connection, order_id, token)):
        return Wait.BEGUN
    wake(token)
    return Wait.ENDED


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
        if intent.status is PaymentStatus.ACTION_REQUIRED:
            actions.end(connection, order_id)
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
    """Captures, unless the gateway says what an earlier call has come to: CAPTURED, or ACTION_REQUIRED."""
    # An earlier attempt, or another one under way, may have captured without being able to tell.
    payment = gateway.find(intent.key) if intent.attempts > 1 else None
    if payment is None or payment.status is GatewayStatus.OPEN:
        payment = gateway.capture(intent.key, intent.charge)
    return _unless_closed(payment)


def _let_customer_act(
    database: Database, gateway: PaymentGateway, order_id: UUID, key: str, payment: GatewayPayment
) -> GatewayPayment:
    """Records what the customer must do. Returns the payment if it is CAPTURED by then.

    Raises:
        PaymentActionRequired: they have not acted yet.
        PaymentNotCompleted: they have not, and their time is over.
        PaymentDeclined, FraudSuspected, StepFenced: as for `process`.
    """
    assert payment.action is not None, "the gateway says what there is to do"
    action = payment.action

    def record(connection: Connection) -> Recorded:
        recorded = actions.record(connection, order_id, action)
        records.decide(connection, order_id, PaymentStatus.ACTION_REQUIRED, payment.payment_id)
        return recorded

    recorded = database.transact(record)
    if recorded.is_new:
        # Who acted before it was recorded has woken nobody.
        payment = _unless_closed(gateway.find(key) or payment)
    if payment.status is GatewayStatus.CAPTURED:
        return payment
    if recorded.is_over:
        raise PaymentNotCompleted("the customer did not act while the stock was held")
    raise PaymentActionRequired("the customer must act first")


def _unless_closed(payment: GatewayPayment) -> GatewayPayment:
    match payment.status:
        case GatewayStatus.DECLINED:
            failure = business_failure(payment.error or "") or PaymentDeclined
            raise failure(f"the gateway declined payment {payment.payment_id}")
        case GatewayStatus.VOIDED | GatewayStatus.REFUNDED:
            raise StepFenced(f"payment {payment.payment_id} is {payment.status}")
        case _:
            return payment
