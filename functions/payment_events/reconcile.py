"""The use case: the event's order, its payment and the gateway are compared, and put right where a rule says how."""

from sqlalchemy import Connection

from orders import inbox
from orders.db import Database
from orders.events import CloudEvent, Consumer
from orders.observability import logger
from orders.payments import reconciliation
from orders.payments.gateway import PaymentGateway


def reconcile(database: Database, gateway: PaymentGateway, event: CloudEvent) -> None:
    """Reconciles the event's order, once for each event (promise I9): a refund is the gateway's to give once, and what
    is recorded of it is recorded with the delivery.

    The event only says where to look. By the time it arrives the order may have gone on.

    Raises:
        PaymentGatewayUnavailable, DatabaseUnavailable: deliver the event again later.
        LookupError: the order has no payment; the event is wrong.
    """
    if database.transact_alone(
        lambda connection: inbox.was_processed(connection, Consumer.PAYMENT_EVENTS, event.id)
    ):
        logger.info("Payment event was dealt with before")
        return
    found = reconciliation.reconcile(database, gateway, event.subject)

    def record(connection: Connection) -> reconciliation.Recorded | None:
        is_first = inbox.record(connection, Consumer.PAYMENT_EVENTS, event.id)
        return found.record(connection) if is_first else None

    recorded = database.transact(record)
    logger.info("Payment was reconciled", verdict=found.verdict)
    if recorded:
        recorded.report()
