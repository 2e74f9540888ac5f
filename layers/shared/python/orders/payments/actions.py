"""What the customer must do before a payment can be captured, and the execution that waits for it. No other module
writes `payment_actions`.

A task token only wakes an execution, which then asks the gateway: the truth never comes with the token. So a wake-up
that comes twice, late or for nothing does no harm, and one that is lost costs the time until the execution looks by
itself. An action is recorded and ended under a lock on its order: whoever ends it, e.g. to cancel the order, either
finds the action, or is seen by the step that is about to record it.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders import executions
from orders.aws import sdk_calls
from orders.errors import StepFenced
from orders.payments.gateway import CustomerAction

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# By itself: only a statement that begins when the lock is held sees what the one before has left.
_LOCK: Final = text("SELECT FROM orders WHERE id = :order_id FOR NO KEY UPDATE")

# Its time is set once, however often the execution comes back to wait. Nobody waits for an order that is being undone.
_RECORD: Final = text("""
    WITH before AS (
        SELECT ended_at FROM payment_actions WHERE order_id = :order_id
    ), recorded AS (
        INSERT INTO payment_actions (order_id, type, client_secret, expires_at)
        SELECT :order_id, :type, CAST(:client_secret AS text), coalesce(min(expires_at), now())
        FROM reservations WHERE order_id = :order_id AND status = 'ACTIVE'
        HAVING NOT EXISTS (
            SELECT FROM saga_steps WHERE order_id = :order_id AND step = 'CompleteOrder' AND status = 'FENCED'
        )
        ON CONFLICT (order_id) DO UPDATE
        SET type = excluded.type, client_secret = excluded.client_secret, ended_at = NULL
        RETURNING expires_at
    )
    SELECT expires_at <= now() AS is_over, EXISTS (SELECT FROM before WHERE ended_at IS NULL) AS was_open
    FROM recorded
""")

# Waits for an `end` that is under way, and sees it.
_KEEP_TOKEN: Final = text("""
    UPDATE payment_actions SET task_token = :token
    WHERE order_id = :order_id AND ended_at IS NULL
    RETURNING order_id
""")

# Also of one that had ended: whoever ended it may have died before they could wake anybody.
_END: Final = text("""
    UPDATE payment_actions SET ended_at = coalesce(ended_at, now()), client_secret = NULL
    WHERE order_id = :order_id
    RETURNING task_token
""")


@dataclass(frozen=True)
class Recorded:
    """An action as `record` leaves it."""

    is_over: bool
    """The customer's time is over: the stock was held for so long."""
    is_new: bool
    """It was recorded or opened again just now. What happened before that has woken nobody: ask the gateway again."""


def record(connection: Connection, order_id: UUID, action: CustomerAction) -> Recorded:
    """Records what the customer must do, until the first of the order's reservations ends; opens it again if it had
    ended. Call it before `records.decide`, since it locks the order.

    Raises:
        StepFenced: the saga has turned back.
    """
    connection.execute(_LOCK, {"order_id": order_id})
    parameters = {"order_id": order_id, "type": action.type, "client_secret": action.client_secret}
    row = connection.execute(_RECORD, parameters).first()
    if row is None:
        raise StepFenced("the customer's action came after the saga had turned back")
    return Recorded(is_over=row.is_over, is_new=not row.was_open)


def keep_token(connection: Connection, order_id: UUID, token: str) -> bool:
    """Keeps the token that wakes the waiting execution. False: there is nothing to wait for, so wake it at once."""
    return connection.execute(_KEEP_TOKEN, {"order_id": order_id, "token": token}).first() is not None


def end(connection: Connection, order_id: UUID) -> str | None:
    """Marks that the wait for the customer is over, for whatever reason; there may have been none. Returns the token to
    `wake` an execution with once this is committed, if one may be waiting.

    To turn the saga back, do that first in the same transaction.
    """
    connection.execute(_LOCK, {"order_id": order_id})
    token: str | None = connection.scalar(_END, {"order_id": order_id})
    return token


def wake(client: "SFNClient", token: str) -> bool:
    """Lets the waiting execution look at its payment. False: nobody waits with that token, which is no error.

    Raises:
        ServiceUnavailable: try again, or leave it: the execution looks by itself in a few minutes.
    """
    gone = client.exceptions.TaskTimedOut, client.exceptions.TaskDoesNotExist, client.exceptions.InvalidToken
    with sdk_calls("Step Functions"):
        try:
            client.send_task_success(taskToken=token, output="{}")
        except gone:
            return False
    return True


def waker(attempts: int = executions.ATTEMPTS) -> Callable[[str], bool]:
    """`wake` with a client of Step Functions that is made at its first use: most orders wait for nobody."""
    connect = functools.cache(executions.connect)
    return lambda token: wake(connect(attempts), token)
