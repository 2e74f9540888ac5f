"""The saga's journal: one row per order and step, which makes every step idempotent and fences the late ones.

`States.Timeout` does not stop a Lambda: a forward step may still be running, or be about to start, when its
compensation runs. Both write the *same* row, (order, forward step), so Postgres puts them in an order:

- forward first: the compensation waits for its commit, then undoes it and leaves COMPENSATED;
- compensation first: it leaves FENCED, and the forward step that comes late reads it and refuses.

Every compensation also closes CompleteOrder, the point of no return, so that an order is never confirmed while it is
being undone, nor undone once it is confirmed. That row then says why the saga has turned back, and from then on no
forward step begins: an execution that takes over from a dead one turns back at once, for the same reason.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from orders.domain import UNDOES, SagaStep, StepStatus
from orders.errors import (
    BusinessFailure,
    OrderAlreadyCompleted,
    OrderUnknown,
    StepFenced,
    business_failure,
)

_BEGIN: Final = text("""
    INSERT INTO saga_steps (order_id, step, status)
    SELECT :order_id, :step, 'SUCCEEDED'
    WHERE NOT EXISTS (
        SELECT FROM saga_steps WHERE order_id = :order_id AND step = 'CompleteOrder' AND status = 'FENCED'
    )
    ON CONFLICT (order_id, step) DO UPDATE SET attempts = saga_steps.attempts + 1
    RETURNING status, attempts, error
""")

_TURN_BACK: Final = text("""
    INSERT INTO saga_steps (order_id, step, status, attempts, error)
    VALUES (:order_id, 'CompleteOrder', 'FENCED', 0, :error)
    ON CONFLICT (order_id, step) DO UPDATE SET error = coalesce(saga_steps.error, excluded.error)
    WHERE saga_steps.status = 'FENCED'
    RETURNING error
""")

# A step that failed for good stays FAILED: that closes it as well, and says more to whoever reads it.
_CLOSE: Final = text("""
    INSERT INTO saga_steps (order_id, step, status, attempts)
    SELECT :order_id, step, 'FENCED', 0 FROM unnest(CAST(:steps AS text[])) AS step
    ON CONFLICT (order_id, step) DO UPDATE
    SET status = CASE
            WHEN saga_steps.status = 'SUCCEEDED' AND saga_steps.step <> 'CompleteOrder' THEN 'COMPENSATED'
            ELSE saga_steps.status
        END
    RETURNING step, status
""")

# CompleteOrder, and what its step would have found. The end that MarkCancelled had given the order is undone.
_COMPLETE_BY_OPERATOR: Final = text("""
    WITH undone AS (
        UPDATE saga_steps SET status = 'COMPENSATED'
        WHERE order_id = :order_id AND step = 'MarkCancelled' AND status = 'SUCCEEDED'
    )
    INSERT INTO saga_steps (order_id, step, status, attempts)
    SELECT :order_id, step, 'SUCCEEDED', 0 FROM unnest(ARRAY['CompleteOrder', 'SendConfirmation']) AS step
    ON CONFLICT (order_id, step) DO UPDATE SET status = 'SUCCEEDED', error = NULL
""")

_RECORD: Final = text("""
    INSERT INTO saga_steps (order_id, step, status, error) VALUES (:order_id, :step, :status, :error)
    ON CONFLICT (order_id, step) DO UPDATE SET attempts = saga_steps.attempts + 1
    RETURNING attempts
""")


def begin(connection: Connection, order_id: UUID, step: SagaStep) -> bool:
    """Opens a forward step in the transaction of its effect. True: do the work. False: it is done already.

    Raises:
        BusinessFailure: the step failed for good before; the same failure again.
        StepFenced: a compensation came first, its own or another.
        OrderUnknown: there is no such order.
    """
    try:
        recorded = connection.execute(_BEGIN, {"order_id": order_id, "step": step}).first()
    except IntegrityError as error:
        # The journal's only reference is to the order.
        raise OrderUnknown(f"there is no order {order_id}") from error
    if recorded is None:
        raise StepFenced(f"{step} came after the saga had turned back")
    match StepStatus(recorded.status):
        case StepStatus.SUCCEEDED:
            return bool(recorded.attempts == 1)
        case StepStatus.FAILED:
            failure = business_failure(recorded.error)
            assert failure is not None, "only business failures are recorded"
            raise failure(f"{step} failed before")
        case _:
            raise StepFenced(f"{step} was closed by its compensation")


def record_failure(connection: Connection, order_id: UUID, step: SagaStep, failure: BusinessFailure) -> None:
    """Remembers a business failure, in a transaction of its own, after the step's was rolled back."""
    connection.execute(
        _RECORD,
        {"order_id": order_id, "step": step, "status": StepStatus.FAILED, "error": type(failure).__name__},
    )


def turn_back(connection: Connection, order_id: UUID, error: str) -> str:
    """Bars every forward step, and returns why: `error`, by the name that Step Functions reports, unless an earlier
    compensation has given another reason.

    Raises:
        OrderAlreadyCompleted: the order is confirmed, nothing may be undone.
    """
    reason: str | None = connection.scalar(_TURN_BACK, {"order_id": order_id, "error": error})
    if reason is None:
        raise OrderAlreadyCompleted("the compensation came after the order was confirmed")
    return reason


def close(connection: Connection, order_id: UUID, *compensations: SagaStep) -> None:
    """Fences the steps that `compensations` undo, and CompleteOrder; waits for each that is under way.

    Raises:
        OrderAlreadyCompleted: the order is confirmed, nothing may be undone.
    """
    # In a fixed order, so that two compensations at once cannot deadlock.
    steps = sorted({*(UNDOES[compensation] for compensation in compensations), SagaStep.COMPLETE_ORDER})
    closed = connection.execute(_CLOSE, {"order_id": order_id, "steps": [str(step) for step in steps]})
    if (SagaStep.COMPLETE_ORDER, StepStatus.SUCCEEDED) in [(row.step, row.status) for row in closed]:
        raise OrderAlreadyCompleted(f"{', '.join(compensations)} came after the order was confirmed")


def complete_by_operator(connection: Connection, order_id: UUID) -> None:
    """Passes the point of no return by hand: a compensation that comes late now finds the order confirmed. Waits for
    one that is under way."""
    connection.execute(_COMPLETE_BY_OPERATOR, {"order_id": order_id})


def record_compensation(connection: Connection, order_id: UUID, compensation: SagaStep) -> bool:
    """Records that a compensation is complete, in the transaction of its effect. False: it was already."""
    attempts = connection.scalar(
        _RECORD, {"order_id": order_id, "step": compensation, "status": StepStatus.SUCCEEDED, "error": None}
    )
    return bool(attempts == 1)
