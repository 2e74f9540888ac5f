"""The steps that look at stock, hold it, sell it, and give it back."""

from uuid import UUID

from sqlalchemy import Connection

from functions.saga_steps.transaction import compensate, forward
from orders import inventory, lifecycle, outbox
from orders.db import Database
from orders.domain import OrderStatus, ReservationStatus, SagaStep
from orders.events import InventoryReserved, Trace


def verify(database: Database, order_id: UUID) -> OrderStatus:
    """Begins the order, and ends it early if it is hopeless. It holds nothing: another buyer may still be quicker.

    Raises:
        InsufficientStock: final.
    """

    def effect(connection: Connection, order_id: UUID) -> None:
        lifecycle.begin(connection, order_id)
        inventory.verify_available(connection, order_id)

    forward(database, order_id, SagaStep.VERIFY_STOCK, effect, on_failure=lifecycle.begin)
    return OrderStatus.PROCESSING


def reserve(database: Database, order_id: UUID, ttl_seconds: int, trace: Trace) -> ReservationStatus:
    """Holds every line of the order for `ttl_seconds`, or none.

    Raises:
        InsufficientStock: final.
        StepFenced: the reservation was released before it was made.
    """

    def effect(connection: Connection, order_id: UUID) -> None:
        inventory.reserve(connection, order_id, ttl_seconds)
        outbox.add(connection, order_id, InventoryReserved(ttl_seconds=ttl_seconds), trace)

    forward(database, order_id, SagaStep.RESERVE_INVENTORY, effect)
    return ReservationStatus.ACTIVE


def release(database: Database, order_id: UUID) -> ReservationStatus:
    """Gives up what is held.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
    """
    compensate(database, order_id, SagaStep.RELEASE_RESERVATION, inventory.release)
    return ReservationStatus.RELEASED


def confirm(database: Database, order_id: UUID) -> ReservationStatus:
    """Turns what is held into what is sold.

    Raises:
        ReservationExpired: final; some line is no longer held.
        StepFenced: the sale was undone before it was made.
    """
    forward(database, order_id, SagaStep.CONFIRM_RESERVATION, inventory.confirm)
    return ReservationStatus.CONFIRMED


def restore(database: Database, order_id: UUID) -> ReservationStatus:
    """Takes back what was sold.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
    """
    compensate(database, order_id, SagaStep.RESTORE_INVENTORY, inventory.restore)
    return ReservationStatus.RESTORED
