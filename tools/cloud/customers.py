"""What a customer does at the payment provider of the local cloud, and how the pipeline learns of it."""

import json
from enum import Enum
from typing import Final
from uuid import UUID

import httpx
from sqlalchemy import Engine, create_engine, text

from orders.contract import API_PREFIX
from orders.ids import uuid7
from payment_simulator import customers
from payment_simulator.webhooks import sign
from tools.cloud import aws, local_cloud
from tools.cloud.local_cloud import WEBHOOK_SECRET
from tools.cloud.settings import STRIPE, Settings
from tools.cloud.stack import Stack, StripeFake
from tools.errors import Refused, Unavailable
from tools.stripe.server import StripeServer
from tools.waiting import wait_until


class Act(Enum):
    COMPLETE = "complete"
    """They authenticate the payment."""
    FAIL = "fail"


_TOLD: Final = {Act.COMPLETE: "payment.captured", Act.FAIL: "payment.declined"}
_PAYMENT_ID: Final = text("SELECT CAST(payment_id AS text) FROM gateway.payments WHERE key = :key")
_SECONDS: Final = 30


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
        payment_id = connection.scalar(_PAYMENT_ID, {"key": key})
    _tell(settings, stack, {"id": str(uuid7()), "type": _TOLD[what], "paymentId": payment_id, "key": key})
    return True


def _tell(settings: Settings, stack: Stack, event: dict[str, str]) -> None:
    """Sends the simulator's webhook, again and again as providers do.

    Raises:
        Unavailable: the API has not taken it. The saga looks by itself in a few minutes.
    """
    body = json.dumps(event).encode()
    (secret, *_) = aws.secrets(settings).get_secret_value(SecretId=WEBHOOK_SECRET)["SecretString"].split()
    url = f"{stack['api_url']}{API_PREFIX}/webhooks/payments/simulator"

    def is_taken() -> bool:
        headers = {"Content-Type": "application/json", **sign(body, secret)}
        try:
            return httpx.post(
                url, content=body, headers=headers, timeout=_SECONDS, trust_env=False
            ).is_success
        except httpx.HTTPError:
            return False

    if not wait_until(is_taken, _SECONDS, every=1):
        raise Unavailable("The API does not take the payment provider's webhook")


def _act_at_stripe(stripe: StripeFake, key: str, what: Act) -> bool:
    server = StripeServer(stripe["url"])
    secret = server.client_secret(key, stripe["api_key"])
    if secret is None:
        return False
    server.authenticate(secret, success=what is Act.COMPLETE)
    return True
