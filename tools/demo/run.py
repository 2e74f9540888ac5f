"""One run of the demonstration on a local cloud that is up."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx
from rich.console import Console
from sqlalchemy import Engine, create_engine

from tools.audit import dead_letters, executions
from tools.audit.database import (
    REST_SECONDS,
    Scope,
    await_rest,
    charges,
    check_database,
    notices,
    now,
    snapshot,
)
from tools.audit.executions import Visit
from tools.audit.mailbox import check_mailbox
from tools.client.orders_client import OrdersClient
from tools.cloud import aws, catalogue
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in
from tools.demo.comparison import Records, compare
from tools.demo.live_display import live_display
from tools.demo.placing import Observer, Run, play
from tools.demo.report import Report
from tools.demo.scenarios import scenarios
from tools.errors import LocalCloudError
from tools.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_USERS: Final = ("customer", "other")


def run_demo(settings: Settings, stack: Stack, console: Console) -> Report:
    """Runs all scenarios against a cloud that is up, and audits the orders that they made.

    Raises:
        LocalCloudError: the API does not answer.
    """
    engine = create_engine(stack["database_url"])
    try:
        return _run(settings, stack, console, engine)
    finally:
        engine.dispose()


def _run(settings: Settings, stack: Stack, console: Console, engine: Engine) -> Report:
    sqs = aws.queues(settings)
    before = dead_letters.depths(sqs, stack)
    started = now(engine)
    runs = [Run(scenario) for scenario in scenarios()]
    own_products = [product for run in runs for product in run.scenario.products]

    with catalogue.on_sale(settings, own_products), live_display(runs, console) as observe:
        try:
            asyncio.run(_play(settings, stack, runs, observe))
        except* httpx.TransportError as errors:
            raise LocalCloudError(f"The API does not answer: {errors.exceptions[0]!r}") from errors

    order_ids = [order_id for run in runs for order_id in run.orders]
    scope = Scope.of(order_ids, started)
    with console.status("Waiting for the last mails and checking every promise"):
        under_way = await_rest(engine, scope)
        records = _records(engine, aws.sagas(settings), stack, order_ids)
        verdicts = [*check_database(engine, scope), *check_mailbox(settings, order_ids)]
        after = dead_letters.depths(sqs, stack)
    return Report(
        results=tuple(compare(run, records) for run in runs),
        verdicts=tuple(verdicts),
        dead_letters={queue: (before[queue], depth) for queue, depth in after.items()},
        under_way=tuple(under_way),
    )


async def _play(settings: Settings, stack: Stack, runs: list[Run], observe: Observer) -> None:
    async with AsyncExitStack() as connections:
        clients = {
            user: await connections.enter_async_context(
                OrdersClient.connect(stack["api_url"], sign_in(settings, stack, user).access_token)
            )
            for user in _USERS
        }
        await play(runs, clients, observe)


def _records(engine: Engine, client: "SFNClient", stack: Stack, order_ids: Iterable[UUID]) -> Records:
    """Everything about these orders, which are at rest."""
    scope = Scope.of(order_ids := list(order_ids))
    deadline = time.monotonic() + REST_SECONDS
    visits = {
        order_id: _visits(client, executions.execution_arn(stack["state_machine_arn"], order_id), deadline)
        for order_id in order_ids
    }
    with snapshot(engine) as connection:
        return Records(visits, charges(connection, scope), notices(connection, scope))


def _visits(client: "SFNClient", arn: str, deadline: float) -> tuple[Visit, ...]:
    """The order ends a moment before its execution does."""
    wait_until(lambda: not executions.is_running(client, arn), deadline - time.monotonic(), every=0.2)
    return executions.visits(client, arn)
