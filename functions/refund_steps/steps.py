"""The steps that carry out a refund. Each may be repeated at any time, also at the same time as itself: its effect is
recorded in one transaction with the mark, on the refund's row, that it has happened."""

from uuid import UUID

from sqlalchemy import Connection

from functions.refund_steps.events import RefundFailure, RefundStepEvent
from orders import refunds
from orders.contract import Metric
from orders.db import Database
from orders.domain import RefundStatus, RefundStep
from orders.errors import OrderIncomplete
from orders.events import Trace
from orders.observability import count, logger
from orders.payments.gateway import PaymentGateway, RefundRefused
from orders.refunds import Refund


def take(database: Database, gateway: PaymentGateway, event: RefundStepEvent) -> RefundStatus:
    """Takes the step that the event names; see there."""
    match event.step:
        case RefundStep.BEGIN_REFUND:
            return begin(database, event.refund_id)
        case RefundStep.REFUND_PAYMENT:
            return refund_payment(database, gateway, event.refund_id, event.trace)
        case RefundStep.RESTOCK_ITEMS:
            return restock(database, event.refund_id)
        case RefundStep.SEND_REFUND_NOTICE:
            return complete(database, event.refund_id, event.trace)
        case RefundStep.MARK_FOR_REVIEW:
            assert event.failure is not None, "the state machine says why"
            return require_review(database, event.refund_id, event.failure)


def begin(database: Database, refund_id: UUID) -> RefundStatus:
    """Looks whether anything may be done for the refund.

    Raises:
        RefundClosed: nothing may.
    """
    return _find(database, refund_id).status


def refund_payment(
    database: Database, gateway: PaymentGateway, refund_id: UUID, trace: Trace
) -> RefundStatus:
    """Has the provider give the money back, once: a repeated call asks under the same key, whatever became of the one
    before.

    Raises:
        RefundClosed: nothing may be done for the refund.
        RefundRefused: final.
        PaymentGatewayUnavailable: try again; the outcome may be unknown.
    """
    refund = _find(database, refund_id)
    if refund.is_given_back:
        return refund.status
    try:
        # No transaction of ours spans a call to an outside system.
        gateway.refund_part(refund.payment_key, refund.refund_key, refund.amount)
    except RefundRefused as refusal:
        error = f"{RefundRefused.__name__}: {refusal}"
        database.transact_alone(lambda connection: refunds.record_error(connection, refund_id, error))
        raise
    database.transact(lambda connection: refunds.record_refunded(connection, refund_id, trace))
    return refund.status


def restock(database: Database, refund_id: UUID) -> RefundStatus:
    """Puts the units back to stock, if they are to be.

    Raises:
        RefundClosed: nothing may be done for the refund.
        OrderIncomplete: final; what is to be put back is not sold.
    """
    refund = _find(database, refund_id)
    if refund.restock:
        database.transact(lambda connection: refunds.restock(connection, refund_id))
    return refund.status


def complete(database: Database, refund_id: UUID, trace: Trace) -> RefundStatus:
    """Completes the refund, and asks for the customer's message and webhooks in the same statement.

    Raises:
        RefundClosed: nothing may be done for the refund.
        OrderIncomplete: final; money or stock is not back.
    """

    def work(connection: Connection) -> bool:
        is_first = refunds.complete(connection, refund_id, trace)
        if not is_first and refunds.find(connection, refund_id).status is not RefundStatus.COMPLETED:
            raise OrderIncomplete("the refund's money or stock is not back")
        return is_first

    if database.transact(work):
        count(Metric.REFUNDS_COMPLETED)
    return RefundStatus.COMPLETED


def require_review(database: Database, refund_id: UUID, failure: RefundFailure) -> RefundStatus:
    """Leaves the refund to an operator."""
    database.transact_alone(lambda connection: refunds.require_review(connection, refund_id, failure.error))
    # Counted on every call, new or not: this is what an alarm watches, and the call that made it so may have been
    # killed before its metrics were out.
    count(Metric.REFUNDS_NEEDING_REVIEW)
    logger.error("Refund needs review", failed_step=failure.step, error=failure.error)
    return RefundStatus.NEEDS_REVIEW


def _find(database: Database, refund_id: UUID) -> Refund:
    refund = database.transact_alone(lambda connection: refunds.find(connection, refund_id))
    logger.append_keys(order_id=str(refund.order_id))
    return refund
