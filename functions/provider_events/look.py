"""The use case: an event of the payment provider says which payment to look at, and the provider says how it stands.

Nothing of the event is believed (promise I14), so a forged, late, doubled or out-of-order one changes nothing that the
provider's present state does not.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from orders import inbox
from orders.contract import Metric
from orders.db import Database
from orders.domain import OrderStatus
from orders.events import Consumer
from orders.observability import correlate, count, logger, valid_correlation_id
from orders.payments import actions, disputes, reconciliation, records
from orders.payments.gateway import DisputeStatus, GatewayPayment, GatewayStatus, PaymentGateway
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import ProviderMessage

NEEDED_SECONDS: Final = 10.0
"""Three looks and a refund at a gateway that takes its 2 seconds for each, and what is recorded of them."""

_METRICS: Final = {
    DisputeStatus.OPEN: Metric.PAYMENT_DISPUTES_OPENED,
    DisputeStatus.LOST: Metric.PAYMENT_DISPUTES_LOST,
}


def look(
    database: Database,
    gateway: PaymentGateway,
    wake: Callable[[str], object],
    provider: PaymentProvider,
    message: ProviderMessage,
) -> None:
    """Wakes the order's saga if it waits for its customer and need not any more; records what the provider has done
    with the payment without us: refunds, disputes, outcomes that nobody recorded. Once for each event (promise I9).

    Raises:
        PaymentGatewayUnavailable, ServiceUnavailable, DatabaseUnavailable: deliver the message again later.
    """
    correlate(valid_correlation_id(message.correlation_id) or "", event_id=str(message.id))
    if database.transact_alone(
        lambda connection: inbox.was_processed(connection, Consumer.PROVIDER_EVENTS, message.id)
    ):
        logger.info("Event of the payment provider was dealt with before")
        return
    known = database.transact_alone(
        lambda connection: records.find_known(connection, message.key, message.payment_id)
    )
    if known is None or message.provider is not provider:
        count(Metric.PROVIDER_EVENTS_UNKNOWN)
        logger.warning(
            "Event of the payment provider about a payment that is none of ours", type=message.type
        )
        return
    order_id = known.order_id
    logger.append_keys(order_id=str(order_id))
    found = reconciliation.reconcile(database, gateway, order_id)
    at_gateway = found.at_gateway
    if found.order_status is OrderStatus.PROCESSING and not _waits_for_customer(at_gateway):
        # Before the event is recorded as dealt with: whoever dies in between wakes it again.
        token = database.transact(lambda connection: actions.end(connection, order_id))
        if token:
            wake(token)
    contested = gateway.find_disputes(known.key) if at_gateway and at_gateway.captured else ()

    def record(connection: Connection) -> tuple[reconciliation.Recorded | None, list[DisputeStatus]] | None:
        if not inbox.record(connection, Consumer.PROVIDER_EVENTS, message.id):
            return None
        return found.record(connection), disputes.record(connection, order_id, contested, known.looked_at)

    recorded = database.transact(record)
    if recorded:
        repaired, news = recorded
        if repaired:
            repaired.report()
        _report(news)


def _waits_for_customer(at_gateway: GatewayPayment | None) -> bool:
    return at_gateway is not None and at_gateway.status is GatewayStatus.ACTION_REQUIRED


def _report(news: Sequence[DisputeStatus]) -> None:
    for status in news:
        if status in _METRICS:
            count(_METRICS[status])
        logger.warning("Dispute of a payment", status=status)
