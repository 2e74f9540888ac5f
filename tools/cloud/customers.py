"""What a customer does at the payment provider of the local cloud, and how the pipeline learns of it."""

from enum import Enum
from uuid import UUID

from sqlalchemy import Engine, create_engine

from orders.payments import actions
from payment_simulator import customers
from tools.cloud import aws, local_cloud
from tools.cloud.settings import STRIPE, Settings
from tools.cloud.stack import Stack, StripeFake
from tools.errors import Refused
from tools.stripe.server import StripeServer


class Act(Enum):
    COMPLETE = "complete"
    """They authenticate the payment."""
    FAIL = "fail"


def act(settings: Settings, order_id: UUID, what: Act) -> None:
    """Does it, and tells the pipeline.

    Raises:
        Unavailable: the local cloud is not up.
        Refused: the order's payment does not wait for its customer.
    """
    stack = local_cloud.require_up(settings)
    engine = create_engine(stack["database_url"])
    try:
        if not act_on(engine, settings, stack, order_id, what):
            raise Refused(f"The payment of order {order_id} does not wait for its customer.")
    finally:
        engine.dispose()


def act_on(engine: Engine, settings: Settings, stack: Stack, order_id: UUID, what: Act) -> bool:
    """The same on a cloud that is known. False: the payment does not wait for its customer."""
    key = f"order-{order_id}"
    if stack["payment_provider"] == STRIPE:
        # Its webhook tells the pipeline.
        return _act_at_stripe(stack["stripe"], key, what)
    with engine.begin() as connection:
        at_simulator = customers.complete if what is Act.COMPLETE else customers.fail
        if not at_simulator(connection, key):
            return False
    with engine.begin() as connection:
        token = actions.end(connection, order_id)
    if token is not None:
        actions.wake(aws.sagas(settings), token)
    return True


def _act_at_stripe(stripe: StripeFake, key: str, what: Act) -> bool:
    server = StripeServer(stripe["url"])
    secret = server.client_secret(key, stripe["api_key"])
    if secret is None:
        return False
    server.authenticate(secret, success=what is Act.COMPLETE)
    return True
