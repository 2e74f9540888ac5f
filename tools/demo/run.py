"""One run of the demonstration on a local cloud that is up, and its progress while it runs.

The progress is a live display on a terminal, and a line for each scenario that is over anywhere else.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx
from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine, create_engine, text

from orders.domain import OrderStatus
from tools.audit import REST_SECONDS, dead_letters, executions, ledger
from tools.audit.database import (
    Scope,
    await_rest,
    charges,
    check_database,
    notices,
    now,
    snapshot,
)
from tools.audit.executions import Visit
from tools.audit.ledger import Ledger
from tools.audit.mailbox import check_mailbox
from tools.client.orders_client import OrdersClient
from tools.cloud import aws, catalogue, customers
from tools.cloud.customers import Act
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in
from tools.console import COLOURS, Console
from tools.demo import cards
from tools.demo.comparison import Records, compare
from tools.demo.placing import ADMINISTRATOR, PATIENCE_SECONDS, Observer, Run, SignedIn, play
from tools.demo.report import Report
from tools.demo.scenarios import scenarios
from tools.errors import LocalCloudError
from tools.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_USERS: Final = ("customer", "other", ADMINISTRATOR)
_IS_WAITED_FOR: Final = text("SELECT task_token IS NOT NULL FROM payment_actions WHERE order_id = :order_id")


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

    with (
        catalogue.on_sale(settings, own_products),
        cards.on_the_table(stack),
        live_display(runs, console) as observe,
    ):
        try:
            asyncio.run(_play(settings, stack, runs, observe, engine))
        except* httpx.TransportError as errors:
            raise LocalCloudError(f"The API does not answer: {errors.exceptions[0]!r}") from errors

    order_ids = [order_id for run in runs for order_id in run.orders]
    scope = Scope.of(order_ids, started)
    with console.status("Waiting for the last mails and checking every promise"):
        under_way = await_rest(engine, scope)
        booked = ledger.read(engine, stack)
        records = _records(engine, aws.sagas(settings), stack, booked, order_ids)
        verdicts = [*check_database(engine, scope, booked), *check_mailbox(settings, order_ids)]
        after = dead_letters.depths(sqs, stack)
    return Report(
        results=tuple(compare(run, records) for run in runs),
        verdicts=tuple(verdicts),
        dead_letters={queue: (before[queue], depth) for queue, depth in after.items()},
        under_way=tuple(under_way),
    )


async def _play(settings: Settings, stack: Stack, runs: list[Run], observe: Observer, engine: Engine) -> None:
    def act(order_id: UUID) -> None:
        # The execution of a customer who is faster does not wait, and the wait is what is to be seen.
        wait_until(lambda: _is_waited_for(engine, order_id), PATIENCE_SECONDS)
        customers.act_on(engine, settings, stack, order_id, Act.COMPLETE)

    async with AsyncExitStack() as connections:
        clients = {
            user: SignedIn(
                await connections.enter_async_context(
                    OrdersClient.connect(stack["api_url"], sign_in(settings, stack, user).access_token)
                ),
                stack["users"][user]["email"],
                stack["payment_provider"],
            )
            for user in _USERS
        }
        await play(runs, clients, observe, act)


def _is_waited_for(engine: Engine, order_id: UUID) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(_IS_WAITED_FOR, {"order_id": order_id}))


def _records(
    engine: Engine, client: "SFNClient", stack: Stack, booked: Ledger, order_ids: Iterable[UUID]
) -> Records:
    """Everything about these orders, which are at rest."""
    scope = Scope.of(order_ids := list(order_ids))
    deadline = time.monotonic() + REST_SECONDS
    visits = {
        order_id: _visits(client, executions.execution_arn(stack["state_machine_arn"], order_id), deadline)
        for order_id in order_ids
    }
    with snapshot(engine) as connection:
        return Records(visits, charges(connection, scope, booked), notices(connection, scope))


def _visits(client: "SFNClient", arn: str, deadline: float) -> tuple[Visit, ...]:
    """The order ends a moment before its execution does."""
    wait_until(lambda: not executions.is_running(client, arn), deadline - time.monotonic(), every=0.2)
    return executions.visits(client, arn)


_FRAMES_PER_SECOND: Final = 8
_BAR_WIDTH: Final = 16


@contextmanager
def live_display(runs: Sequence[Run], console: Console) -> Iterator[Observer]:
    """Shows the runs for as long as it is held; yields whom to tell when one is over."""
    if not console.is_terminal:
        yield lambda run: console.print(f"{run.scenario.name}: {_standing(run).plain.strip()}")
        return
    picture = _Display(runs)
    with Live(picture, console=console, refresh_per_second=_FRAMES_PER_SECOND, transient=True):
        yield lambda run: None


class _Display:
    """Drawn anew for each frame from the state of the runs."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._started = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for run in self._runs:
            table.add_row(self._mark(run), run.scenario.name, _bar(run), _standing(run))
        over = sum(run.is_over for run in self._runs)
        elapsed = time.monotonic() - self._started
        table.add_row("", Text(f"{over} of {len(self._runs)} scenarios over, {elapsed:.0f} s", "dim"))
        return table

    def _mark(self, run: Run) -> RenderableType:
        if run.is_over:
            return Text("●", "green")
        return self._spinner if run.is_started else Text("○", "dim")


def _bar(run: Run) -> RenderableType:
    total = len(run.scenario.posts) + sum(run.scenario.endings.values())
    done = len(run.posted) + sum(order.milliseconds is not None for order in run.orders.values())
    return ProgressBar(total=total, completed=done, width=_BAR_WIDTH)


def _standing(run: Run) -> Text:
    """Where the scenario's orders stand, e.g. `5 × CONFIRMED  3 × CANCELLED`, and how posts were refused."""
    line = Text()
    statuses = Counter(
        order.progress.status if order.progress else OrderStatus.PENDING for order in run.orders.values()
    )
    for status, number in sorted(statuses.items()):
        line.append(f"{number} × {status}  " if number > 1 else f"{status}  ", COLOURS[status])
    refused = Counter(posted.response for posted in run.posted if posted.accepted is None)
    for response, number in refused.items():
        line.append(f"{number} × {response}  " if number > 1 else f"{response}  ", "yellow")
    if not run.is_over and len(run.orders) == 1:
        (order,) = run.orders.values()
        if order.progress and order.progress.steps:
            line.append(f"{order.progress.steps[-1].name}", "dim")
    return line
