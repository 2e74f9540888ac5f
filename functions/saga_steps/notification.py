"""The steps that tell the customer. They write to the outbox: a mail server that is down delays a mail, no order.

Each is one step away from the order's end, so what is written says nothing that the end could belie: that the payment
was received and the items are set aside, or that the order could not be completed, which is as true if it needs review.
"""

from uuid import UUID

from sqlalchemy import Connection

from functions.saga_steps.transaction import forward
from orders import notifications, saga
from orders.db import Database
from orders.domain import FailureReason, Notification, SagaStep
from orders.trace import Trace


def send_confirmation(database: Database, order_id: UUID, trace: Trace) -> Notification:
    """Asks for the confirmation.

    Raises:
        StepFenced: the customer has been told that the order is cancelled.
    """
    told = Notification.ORDER_CONFIRMED

    def effect(connection: Connection) -> None:
        notifications.request(connection, order_id, told, trace)

    forward(database, order_id, SagaStep.SEND_CONFIRMATION, effect)
    return told


def send_cancellation(
    database: Database, order_id: UUID, reason: FailureReason, trace: Trace
) -> Notification:
    """Asks for the cancellation's message, once; no confirmation can follow it.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
    """
    told = Notification.for_cancellation(reason)

    def work(connection: Connection) -> None:
        saga.close(connection, order_id, SagaStep.SEND_CANCELLATION)
        if saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION):
            notifications.request(connection, order_id, told, trace)

    database.transact(work)
    return told
