"""The customers of a run: each posts its order as the plan says, and does not give up before it has a response."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import httpx

from orders.domain import CancellationOutcome
from tools.chaos.plan import PlannedOrder
from tools.client.http import ApiError
from tools.client.orders_client import Contact, NewOrder, OrdersClient
from tools.cloud.catalogue import CURRENCY
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in

PATIENCE_SECONDS: Final = 90
"""For one response, over any number of attempts."""

_AT_ONCE: Final = 4
"""Posts that wait for a response at the same time. A machine that is slow today is then slow, instead of starting a
hundred processes that all need longer for it than they are given."""
_PAUSE_SECONDS: Final = 0.5
_SERVER_ERRORS: Final = 500
_CONFLICT: Final = 409
_TOO_MANY: Final = 429


@dataclass(frozen=True)
class FinalResponse:
    """What one post came to in the end."""

    status: int
    """0: nothing, for as long as the customer waited."""
    order_id: UUID | None = None
    is_replay: bool = False


@dataclass(frozen=True)
class Cancellation:
    """What the request to cancel an order came to in the end."""

    status: int
    """0: nothing, for as long as the customer waited."""
    outcome: CancellationOutcome | None = None


@dataclass(frozen=True)
class PostedOrder:
    """A planned order, and the responses to its posts."""

    planned: PlannedOrder
    responses: tuple[FinalResponse, ...]
    changed: FinalResponse | None = None
    """The response to another body under the same key, if one was posted."""
    cancellation: Cancellation | None = None
    """If its customer has cancelled it."""

    @property
    def order_ids(self) -> frozenset[UUID]:
        """One, if all is well."""
        return frozenset(response.order_id for response in self.responses if response.order_id is not None)


Progress = Callable[[float], None]
"""Is told the planned time of each order as it is posted: how far the run has come."""


async def post_all(
    settings: Settings,
    stack: Stack,
    orders: Sequence[PlannedOrder],
    products: Sequence[UUID],
    progress: Progress,
    earlier: Sequence[PostedOrder] = (),
) -> tuple[PostedOrder, ...]:
    """Posts the orders, each at its time or when those before it have their responses, and cancels earlier ones at
    theirs. Returns the earlier ones and then the new ones when all have their responses."""
    async with AsyncExitStack() as connections:
        clients = {
            user: await connections.enter_async_context(
                OrdersClient.connect(stack["api_url"], sign_in(settings, stack, user).access_token)
            )
            for user in {order.user for order in (*orders, *(posted.planned for posted in earlier))}
        }
        started, counter = time.monotonic(), asyncio.Semaphore(_AT_ONCE)

        async def post(order: PlannedOrder) -> PostedOrder:
            await asyncio.sleep(max(0.0, started + order.at - time.monotonic()))
            email = stack["users"][order.user]["email"]
            customer = _Customer(clients[order.user], email, order, products, counter, progress)
            return await customer.post()

        async def give_back(posted: PostedOrder) -> PostedOrder:
            at = posted.planned.returned_at
            if at is None or not posted.order_ids:
                return posted
            await asyncio.sleep(max(0.0, started + at - time.monotonic()))
            client = clients[posted.planned.user]
            return replace(posted, cancellation=await _cancel_until_final(client, min(posted.order_ids)))

        return tuple(await asyncio.gather(*map(give_back, earlier), *map(post, orders)))


@dataclass(frozen=True)
class _Customer:
    """Somebody with one order."""

    client: OrdersClient
    email: str
    """Of the account: others would have to be confirmed before they get mails."""
    order: PlannedOrder
    products: Sequence[UUID]
    counter: asyncio.Semaphore
    progress: Progress

    async def post(self) -> PostedOrder:
        lines = [(self.products[place], quantity) for place, quantity in self.order.lines]
        body = NewOrder.of(lines, CURRENCY, self.order.payment_method, self.email)
        responses = await asyncio.gather(
            *(self._send(body, self.order.copies > 1) for _ in range(self.order.copies))
        )
        changed = None
        if self.order.is_changed:
            other = body.model_copy(update={"contact": Contact(email="somebody.else@example.com")})
            changed = await self._send(other, takes_conflict=True)
        posted = PostedOrder(self.order, tuple(responses), changed)
        if self.order.cancelled_after is None or not posted.order_ids:
            return posted
        await asyncio.sleep(self.order.cancelled_after)
        cancellation = await _cancel_until_final(self.client, min(posted.order_ids))
        return replace(posted, cancellation=cancellation)

    async def _send(self, body: NewOrder, takes_conflict: bool) -> FinalResponse:
        async with self.counter:
            self.progress(self.order.at)
            return await _until_final(self.client, body, self.order.key, takes_conflict)


async def _cancel_until_final(client: OrdersClient, order_id: UUID) -> Cancellation:
    """The first response that is final. It may be sent again as often as it takes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            cancelled = await client.cancel(order_id)
        except httpx.TransportError:
            pass
        except ApiError as error:
            if error.status < _SERVER_ERRORS and error.status != _TOO_MANY:
                return Cancellation(error.status)
        else:
            return Cancellation(202, cancelled.outcome)
        await asyncio.sleep(_PAUSE_SECONDS)
    return Cancellation(0)


async def _until_final(client: OrdersClient, body: NewOrder, key: str, takes_conflict: bool) -> FinalResponse:
    """The first response that is final: a function that was killed leads to an error of the server.

    `takes_conflict`: that the same key is in flight is final, because it was posted more than once.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            accepted = await client.place(body, key)
        except httpx.TransportError:
            pass
        except ApiError as error:
            is_passing = error.status >= _SERVER_ERRORS or error.status in (_CONFLICT, _TOO_MANY)
            if not is_passing or (takes_conflict and error.status == _CONFLICT):
                return FinalResponse(error.status)
        else:
            return FinalResponse(202, accepted.order_id, accepted.replayed)
        await asyncio.sleep(_PAUSE_SECONDS)
    return FinalResponse(0)
