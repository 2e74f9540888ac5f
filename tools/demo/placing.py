"""Places the scenarios' orders and follows them to their end, as a client with a token would."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from tools.client.http import ApiError, Problem
from tools.client.orders_client import Accepted, NewOrder, OrdersClient, Progress
from tools.cloud import catalogue
from tools.cloud.catalogue import Product
from tools.cloud.settings import Settings
from tools.demo import cards
from tools.demo.scenarios import Post, Response, Scenario

PATIENCE_SECONDS: Final = 60
"""For one order to end. The longest scenario waits 2 + 4 + 8 s between the attempts of a payment."""

_POLL_SECONDS: Final = 0.1
_LOOKS_AT_ONCE: Final = 2
"""Requests for a status under way at the same time. Each more would cost the local cloud another process, which is
then missing for the orders themselves."""


@dataclass(frozen=True)
class PostResult:
    """One POST and its response."""

    post: Post
    milliseconds: float
    accepted: Accepted | None = None
    status: int = 202
    problem: Problem | None = None

    @property
    def response(self) -> Response:
        return Response(self.status, self.problem.name if self.problem else None)


@dataclass
class Followed:
    """An accepted order, as far as its owner has seen it."""

    post: Post
    accepted: Accepted
    posted_at: float
    progress: Progress | None = None
    has_acted: bool = False
    """Its customer has done what the payment provider asked of them."""
    trouble: str | None = None
    """Why its status could not be read, if it could not."""
    milliseconds: float | None = None
    """From the POST to the terminal state; None if it did not get there in time."""


@dataclass
class Run:
    """One scenario under way."""

    scenario: Scenario
    posted: list[PostResult] = field(default_factory=list)
    orders: dict[UUID, Followed] = field(default_factory=dict)
    is_started: bool = False
    is_over: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether an order of it did not end in time."""
        return self.is_over and any(order.milliseconds is None for order in self.orders.values())


@dataclass(frozen=True)
class SignedIn:
    """A user's client, and the account's own address: another one would have to be confirmed before it gets mails."""

    client: OrdersClient
    email: str
    payment_provider: str = Settings.payment_provider
    """Which the API takes payments through."""


ADMINISTRATOR: Final = "admin"

Clients = Mapping[str, SignedIn]
"""Of each user."""

Observer = Callable[[Run], None]
"""Is told when a run is over."""

Act = Callable[[UUID], object]
"""What an order's customer does at the payment provider, if they must."""


@dataclass(frozen=True)
class _Shared:
    """What the scenarios share while they are played."""

    clients: Clients
    observe: Observer
    act: Act
    looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LOOKS_AT_ONCE))


async def play(runs: Sequence[Run], clients: Clients, observe: Observer, act: Act) -> None:
    """Plays all scenarios. The slow ones wait in the background, one after another: they are those in which a
    payment method fails for a while, which stops nobody else's payments. The others take their turns, so
    that each is measured by itself, and what is posted at once competes with nothing else. They begin when the first
    slow one is over: by then the functions are warm, and what is measured is the pipeline and not their cold start.

    Once an order has not ended in time, no further scenario is begun: it would only wait as long for nothing.

    Raises:
        httpx.TransportError: the API does not answer.
    """
    shared = _Shared(clients, observe, act)
    async with asyncio.TaskGroup() as background:
        slow = [run for run in runs if run.scenario.is_slow]
        if slow:
            await _play(slow[0], shared)
            background.create_task(_play_one_after_another(slow[1:], shared))
        for run in runs:
            if not run.scenario.is_slow and not any(earlier.is_stuck for earlier in runs):
                await _play(run, shared)


async def _play_one_after_another(runs: Sequence[Run], shared: _Shared) -> None:
    for run in runs:
        await _play(run, shared)


async def _play(run: Run, shared: _Shared) -> None:
    run.is_started = True
    keys: dict[str, str] = {}
    posts = [
        (post, keys.setdefault(post.key, _new_key()) if post.key else _new_key())
        for post in run.scenario.posts
    ]
    async with asyncio.TaskGroup() as following:

        async def send(post: Post, key: str) -> None:
            signed_in = shared.clients[post.user]
            started = time.perf_counter()
            posted = await _post(signed_in, post, key)
            run.posted.append(posted)
            if posted.accepted and posted.accepted.order_id not in run.orders:
                order = Followed(post, posted.accepted, started)
                run.orders[posted.accepted.order_id] = order
                if post.is_cancelled:
                    await _cancel(signed_in.client, order)
                following.create_task(_follow(signed_in.client, order, shared))

        if run.scenario.is_simultaneous:
            for post, key in posts:
                following.create_task(send(post, key))
        else:
            for post, key in posts:
                await send(post, key)
    run.is_over = True
    shared.observe(run)


async def _post(signed_in: SignedIn, post: Post, key: str) -> PostResult:
    lines = [(product.id, quantity) for product, quantity in post.lines]
    order = NewOrder.of(
        lines, catalogue.CURRENCY, cards.method(post.card, signed_in.payment_provider), signed_in.email
    )
    started = time.perf_counter()
    try:
        accepted = await signed_in.client.place(order, key)
    except ApiError as error:
        return PostResult(post, _milliseconds_since(started), status=error.status, problem=error.problem)
    return PostResult(post, _milliseconds_since(started), accepted)


async def _cancel(client: OrdersClient, order: Followed) -> None:
    try:
        await client.cancel(order.accepted.order_id)
    except ApiError as error:
        order.trouble = str(error)


async def _return_one(administrator: OrdersClient, order: Followed, product: Product) -> None:
    try:
        await administrator.refund(order.accepted.order_id, {product.id: 1}, "Returned", _new_key())
    except ApiError as error:
        order.trouble = str(error)


async def _follow(client: OrdersClient, order: Followed, shared: _Shared) -> None:
    deadline = order.posted_at + PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        try:
            async with shared.looks:
                order.progress = await client.progress(order.accepted.order_id)
            order.trouble = None
        except ApiError as error:
            order.trouble = str(error)
        if order.progress and order.progress.status.is_terminal:
            order.milliseconds = _milliseconds_since(order.posted_at)
            if order.post.returned:
                await _return_one(shared.clients[ADMINISTRATOR].client, order, order.post.returned)
            return
        if order.progress and order.progress.next_action and not order.has_acted:
            order.has_acted = True
            await asyncio.to_thread(shared.act, order.accepted.order_id)
        await asyncio.sleep(_POLL_SECONDS)


def _new_key() -> str:
    return f"demo-{uuid4()}"


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
