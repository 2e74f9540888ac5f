"""What the customer of the simulated payment provider does on the local cloud, and how the pipeline learns of it."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine

from orders.payments import actions
from payment_simulator import customers
from tools.cloud import aws, local_cloud
from tools.cloud.settings import Settings
from tools.errors import Refused

Act = Callable[[Connection, str], bool]

COMPLETE: Final[Act] = customers.complete
"""They authenticate the payment."""
FAIL: Final[Act] = customers.fail


def act(settings: Settings, order_id: UUID, what: Act) -> None:
    """Does it, and tells the pipeline.

    Raises:
        LocalCloudError: the local cloud is not up.
        Refused: the order's payment does not wait for its customer.
    """
    engine = create_engine(local_cloud.require_up(settings)["database_url"])
    try:
        if not act_on(engine, settings, order_id, what):
            raise Refused(f"The payment of order {order_id} does not wait for its customer.")
    finally:
        engine.dispose()


def act_on(engine: Engine, settings: Settings, order_id: UUID, what: Act) -> bool:
    """The same on a database that is known. False: the payment does not wait for its customer."""
    with engine.begin() as connection:
        if not what(connection, f"order-{order_id}"):
            return False
    with engine.begin() as connection:
        token = actions.end(connection, order_id)
    if token is not None:
        actions.wake(aws.sagas(settings), token)
    return True
