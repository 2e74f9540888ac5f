"""The customers whose payments wait for them: they act, fail to, or never come back, and not everybody hears of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

import pg8000.exceptions
from sqlalchemy.exc import DBAPIError

import payment_simulator.customers
from tools.chaos.system import SystemUnderTest
from tools.cloud import customers
from tools.cloud.customers import Act
from tools.errors import Unavailable

_LOOK_EVERY_SECONDS: Final = 0.5

_WAITING: Final = """
    SELECT order_id FROM payment_actions JOIN payments USING (order_id)
    WHERE payments.status = 'ACTION_REQUIRED' AND ended_at IS NULL AND payment_actions.expires_at > now()
"""
# The stock is held for so long that nobody would wait for it here.
_LET_TIME_RUN_OUT: Final = "UPDATE payment_actions SET expires_at = now() WHERE order_id = :order_id"


@contextmanager
def acting(system: SystemUnderTest) -> Iterator[None]:
    """Lets them act for as long as it is held."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(_LOOK_EVERY_SECONDS):
            # Faults strike here as well: it is tried again.
            with suppress(DBAPIError, pg8000.exceptions.Error, OSError, Unavailable):
                for (order_id,) in system.query(_WAITING):
                    _act(system, UUID(str(order_id)))

    thread = threading.Thread(target=work, name="customers")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _act(system: SystemUnderTest, order_id: UUID) -> None:
    """By the order's id, so that it is the same whenever somebody looks."""
    match order_id.int % 5:
        case 0 | 1:
            customers.act_on(system.engine, system.settings, system.stack, order_id, Act.COMPLETE)
        case 2:
            customers.act_on(system.engine, system.settings, system.stack, order_id, Act.FAIL)
        case 3:
            # Nobody is told: the wait's own time-out finds it.
            with system.engine.begin() as connection:
                payment_simulator.customers.complete(connection, f"order-{order_id}")
        case _:
            system.query(_LET_TIME_RUN_OUT, order_id=str(order_id))
