"""The host dies: `kill -9` of everything but Postgres while orders are under way, and `up` again."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Engine, create_engine, text

from orders.domain import OrderStatus
from tests.e2e.identities import Identities
from tools.audit.database import Scope, await_rest, check_database
from tools.audit.mailbox import check_mailbox
from tools.client.orders_client import Accepted, Contact, Line, NewOrder, OrdersClient
from tools.cloud import catalogue, emulator, local_cloud
from tools.cloud.local_cloud import Sandbox
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in

ORDERS = 100
AT_ONCE = 4
"""Posts at a time: what is under way when everything dies are the sagas."""
DONE_BEFORE = 1
"""Orders that have ended when everything dies, at least: it dies in the middle."""
METHODS = ("pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_declined", "pm_card_timeout")
REST_SECONDS = 300

pytestmark = pytest.mark.timeout(600)


def test_all_orders_end_no_promise_is_broken_and_everybody_is_who_they_were(breakable_cloud: Sandbox) -> None:
    settings = breakable_cloud.settings
    stack = local_cloud.up(settings, print)
    engine = create_engine(stack["database_url"])
    identities = Identities.of(breakable_cloud, stack)
    placed = asyncio.run(place_and_await_some(settings, stack, engine))
    ids = [accepted.order_id for accepted in placed]
    kill_everything_but_postgres(settings)
    ended_before = statuses(engine, ids)
    assert 0 < sum(status.is_terminal for status in ended_before) < ORDERS, "it was killed in the middle"

    identities.assert_kept(local_cloud.up(settings, print))
    scope = Scope.of(ids)
    assert await_rest(engine, scope, REST_SECONDS) == []
    verdicts = [*check_database(engine, scope), *check_mailbox(settings, ids)]
    assert [verdict for verdict in verdicts if not verdict.holds] == []
    assert OrderStatus.NEEDS_REVIEW not in statuses(engine, ids)
    engine.dispose()


async def place_and_await_some(settings: Settings, stack: Stack, engine: Engine) -> list[Accepted]:
    """Places all orders, and returns as soon as the first few have ended."""
    token = sign_in(settings, stack, "customer").access_token
    counter = asyncio.Semaphore(AT_ONCE)

    async def place(number: int) -> Accepted:
        async with counter:
            return await client.place(order(number), f"killed-{number}")

    async with OrdersClient.connect(stack["api_url"], token) as client:
        placed = await asyncio.gather(*(place(number) for number in range(ORDERS)))
        ids = [accepted.order_id for accepted in placed]
        while sum(status.is_terminal for status in statuses(engine, ids)) < DONE_BEFORE:
            await asyncio.sleep(0.05)
    return placed


def order(number: int) -> NewOrder:
    return NewOrder(
        items=(
            Line(product_id=catalogue.KEYBOARD.id, quantity=1),
            Line(product_id=catalogue.MOUSE.id, quantity=2),
        ),
        currency=catalogue.CURRENCY,
        payment_method=METHODS[number % len(METHODS)],
        contact=Contact(email="ada@example.com"),
    )


def statuses(engine: Engine, ids: Sequence[UUID]) -> list[OrderStatus]:
    with engine.connect() as connection:
        found = connection.scalars(text("SELECT status FROM orders WHERE id = ANY(:ids)"), {"ids": list(ids)})
        return [OrderStatus(status) for status in found]


def kill_everything_but_postgres(settings: Settings) -> None:
    """At once, parents first: nobody gets to notice that another one is gone."""
    parent = emulator.daemon(settings).find()
    assert parent is not None
    victims = [parent, *parent.children(recursive=True)]
    for process in victims:
        process.kill()
    psutil.wait_procs(victims, timeout=5)
