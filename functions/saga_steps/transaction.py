"""A step's transaction: its effect and its row in the saga's journal, together or not at all."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Connection

from functions.saga_steps.events import CancellationEvent
from orders import saga
from orders.db import Database
from orders.domain import SagaStep
from orders.errors import BusinessFailure

Effect = Callable[[Connection, UUID], object]
"""What a step does to its order, in the caller's transaction."""


def forward(
    database: Database, order_id: UUID, step: SagaStep, effect: Effect, on_failure: Effect | None = None
) -> bool:
    """Takes a forward step once. False: an earlier call has taken it, and this one changed nothing.

    A business failure is remembered in a transaction of its own, since the effect's was rolled back; `on_failure`
    joins that one.

    Raises:
        BusinessFailure: final; a repeated call raises the same.
        StepFenced: the step's compensation came first.
        DatabaseUnavailable: try again.
    """

    def work(connection: Connection) -> bool:
        is_first = saga.begin(connection, order_id, step)
        if is_first:
            effect(connection, order_id)
        return is_first

    try:
        return database.transact(work)
    except BusinessFailure as error:
        failure = error

        def remember(connection: Connection) -> None:
            saga.record_failure(connection, order_id, step, failure)
            if on_failure is not None:
                on_failure(connection, order_id)

        database.transact(remember)
        raise


def turn_back(database: Database, event: CancellationEvent) -> CancellationEvent:
    """Bars the way forward, and returns the event with the reason that the first compensation gave. An execution that
    took over from a dead one only knows that its first step was refused.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
        DatabaseUnavailable: try again.
    """
    error = database.transact_alone(
        lambda connection: saga.turn_back(connection, event.order_id, event.failure.error)
    )
    return event.because_of(error)


def compensate(database: Database, order_id: UUID, compensation: SagaStep, effect: Effect) -> None:
    """Undoes a step's effect and bars it from happening later.

    `effect` runs on every call and finds for itself what there is to undo: nothing, if the step never happened or
    is undone already.

    Raises:
        OrderAlreadyCompleted: the order is confirmed, nothing was undone.
        DatabaseUnavailable: try again.
    """

    def work(connection: Connection) -> None:
        saga.close(connection, order_id, compensation)
        effect(connection, order_id)
        saga.record_compensation(connection, order_id, compensation)

    database.transact(work)
