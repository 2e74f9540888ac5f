"""Payments whose outcome nobody recorded are settled with the gateway."""

from typing import Final

from functions.maintenance.deadline import PAYMENT_SECONDS, TRANSACTION_SECONDS, Deadline
from orders.db import Database
from orders.errors import PaymentGatewayUnavailable
from orders.observability import logger
from orders.payments import records
from orders.payments.gateway import PaymentGateway
from orders.payments.reconciliation import reconcile

PATIENCE_SECONDS: Final = 60
"""How long a saga has to find out for itself. It touches the payment with each of its attempts."""
BATCH_SIZE: Final = 5


def settle_payments(database: Database, gateway: PaymentGateway, deadline: Deadline) -> int:
    """Asks the gateway about each; returns how many records it could bring in line. A gateway that does not answer
    ends it for this round.

    Raises:
        DatabaseUnavailable: try again.
    """
    settled = 0
    while deadline.allows(TRANSACTION_SECONDS + PAYMENT_SECONDS):
        claimed = database.transact_alone(
            lambda connection: records.claim_undecided(connection, PATIENCE_SECONDS, BATCH_SIZE)
        )
        for order_id in claimed:
            if not deadline.allows(PAYMENT_SECONDS):
                return settled
            try:
                reconciliation = reconcile(database, gateway, order_id)
            except PaymentGatewayUnavailable as error:
                logger.info("Payments stay unsettled for now", reason=str(error))
                return settled
            recorded = database.transact(reconciliation.record)
            if recorded:
                recorded.report()
                settled += 1
        if len(claimed) < BATCH_SIZE:
            break
    return settled
