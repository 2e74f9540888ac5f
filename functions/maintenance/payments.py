"""Payments whose outcome nobody recorded are settled with the gateway."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from functions.maintenance.deadline import PAYMENT_SECONDS, TRANSACTION_SECONDS, Deadline
from orders.db import Database
from orders.errors import PaymentGatewayUnavailable
from orders.observability import logger
from orders.payments.gateway import PaymentGateway
from orders.payments.reconciliation import judge

PATIENCE_SECONDS: Final = 60
"""How long a saga has to find out for itself. It touches the payment with each of its attempts."""
BATCH_SIZE: Final = 5

# The touch is the claim: another round does not look at it before the patience is over again. The CASE is the condition
# of `payments_undecided`.
_CLAIM: Final = text("""
    UPDATE payments SET updated_at = now()
    WHERE order_id = ANY (ARRAY(
        SELECT order_id FROM payments
        WHERE CASE WHEN status IN ('PENDING', 'UNKNOWN') THEN true ELSE false END
          AND updated_at < now() - make_interval(secs => :patience)
        ORDER BY updated_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING order_id
""")


def settle_payments(database: Database, gateway: PaymentGateway, deadline: Deadline) -> int:
    """Asks the gateway about each; answers how many records it could bring in line. A gateway that does not answer
    ends it for this round.

    Raises:
        DatabaseUnavailable: try again.
    """
    settled = 0
    while deadline.allows(TRANSACTION_SECONDS + PAYMENT_SECONDS):
        claimed = _claim(database)
        for order_id in claimed:
            if not deadline.allows(PAYMENT_SECONDS):
                return settled
            try:
                judgement = judge(database, gateway, order_id)
            except PaymentGatewayUnavailable as error:
                logger.info("Payments stay unsettled for now", reason=str(error))
                return settled
            if database.transact(judgement.record):
                judgement.report()
                settled += 1
        if len(claimed) < BATCH_SIZE:
            break
    return settled


def _claim(database: Database) -> list[UUID]:
    parameters = {"patience": PATIENCE_SECONDS, "limit": BATCH_SIZE}
    return database.transact_alone(lambda connection: list(connection.scalars(_CLAIM, parameters)))
