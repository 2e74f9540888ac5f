"""The demonstration: orders of every kind at once, what became of each, and whether the promises held."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import httpx
from rich.console import Console
from sqlalchemy import Engine, create_engine

from tools.audit.checks import Scope, Verdict, audit, snapshot
from tools.client.client import OrdersClient, sign_in
from tools.cloud import aws, mailbox
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.demo.board import board
from tools.demo.evidence import await_rest, dead_letters, gather, now
from tools.demo.placing import Observer, Run, play
from tools.demo.scenarios import scenarios
from tools.demo.stock import on_sale
from tools.demo.verdict import Result, judge
from tools.errors import LocalCloudError

_USERS: Final = ("customer", "other")


@dataclass(frozen=True)
class Report:
    """What a run of the demonstration came to."""

    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    dead_letters: Mapping[str, tuple[int, int]]
    """Messages in each queue's dead-letter queue, before the run and after it."""
    under_way: tuple[str, ...]
    """What had not come to rest in time."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is not as it should be, a line each. Nothing: the demonstration succeeded."""
        return (
            *(
                f"{result.scenario.name}: {difference}"
                for result in self.results
                for difference in result.differences
            ),
            *(f"not at rest: {thing}" for thing in self.under_way),
            *(
                f"{verdict.promise} broken: {violation.subject} {violation.problem}"
                for verdict in self.verdicts
                for violation in verdict.violations
            ),
            *(
                f"{queue}: {after - before} messages ended in its dead-letter queue"
                for queue, (before, after) in self.dead_letters.items()
                if after > before
            ),
        )


def perform(settings: Settings, stack: Stack, console: Console) -> Report:
    """Runs all scenarios against a cloud that is up, and audits the orders that they made.

    Raises:
        LocalCloudError: the API does not answer.
    """
    engine = create_engine(stack["database_url"])
    try:
        return _perform(settings, stack, console, engine)
    finally:
        engine.dispose()


def _perform(settings: Settings, stack: Stack, console: Console, engine: Engine) -> Report:
    sqs = aws.queues(settings)
    before = dead_letters(sqs, stack)
    started = now(engine)
    runs = [Run(scenario) for scenario in scenarios()]
    own_products = [product for run in runs for product in run.scenario.products]

    with on_sale(engine, own_products), board(runs, console) as observe:
        try:
            asyncio.run(_play(settings, stack, runs, observe))
        except* httpx.TransportError as errors:
            raise LocalCloudError(f"The API does not answer: {errors.exceptions[0]!r}") from errors

    order_ids = [order_id for run in runs for order_id in run.orders]
    scope = Scope.of(order_ids, started)
    with console.status("Waiting for the last mails and auditing the books"):
        under_way = await_rest(engine, scope)
        evidence = gather(engine, aws.sagas(settings), stack, order_ids)
        with snapshot(engine) as connection:
            verdicts = [*audit(connection, scope), *mailbox.audit(settings, order_ids)]
        after = dead_letters(sqs, stack)
    return Report(
        results=tuple(judge(run, evidence) for run in runs),
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
