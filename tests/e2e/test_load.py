"""Many at once (trap T1: at 64 clients everything hung for good)."""

import asyncio
from uuid import uuid4

from tests.e2e.conftest import Cloud
from tools.audit.database import Scope, await_rest, check_database
from tools.client.orders_client import Accepted, Contact, Line, NewOrder, OrdersClient
from tools.cloud.catalogue import CURRENCY, MOUSE
from tools.cloud.stack import sign_in

CLIENTS = 100
REST_SECONDS = 120

ORDER = NewOrder(
    items=(Line(product_id=MOUSE.id, quantity=1),),
    currency=CURRENCY,
    payment_method="pm_card_visa",
    contact=Contact(email="ada@example.com"),
)


def test_a_hundred_clients_posting_at_once_are_all_answered_and_every_order_ends(
    running_cloud: Cloud,
) -> None:
    token = sign_in(running_cloud.settings, running_cloud.stack, "customer").access_token

    async def place_all(clients: int) -> list[Accepted]:
        # Each on a connection of its own, as a hundred clients would be.
        async def place_one() -> Accepted:
            async with OrdersClient.connect(running_cloud.stack["api_url"], token) as client:
                return await client.place(ORDER, str(uuid4()))

        async with asyncio.timeout(60):
            return await asyncio.gather(*(place_one() for _ in range(clients)))

    # The crowd meets functions that have started: on two cores ten cold starts take longer than a client waits.
    asyncio.run(place_all(10))
    scope = Scope.of([accepted.order_id for accepted in asyncio.run(place_all(CLIENTS))])
    assert scope.order_ids is not None
    assert len(scope.order_ids) == CLIENTS
    assert await_rest(running_cloud.engine, scope, REST_SECONDS) == []
    verdicts = check_database(running_cloud.engine, scope)
    assert [verdict.violations for verdict in verdicts if not verdict.holds] == []
