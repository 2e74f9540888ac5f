"""What can be known of the orders from elsewhere than the API: the database, the gateway's ledger, Step Functions,
the queues."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Engine, func, select

from tools.audit import executions
from tools.audit.checks import Scope, charges, notices, snapshot, unsettled
from tools.audit.executions import Visit
from tools.cloud.stack import Stack
from tools.demo.verdict import Evidence

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

REST_SECONDS: Final = 30
"""For what follows the end of the last order: its mail, and the end of its execution."""

_POLL_SECONDS: Final = 0.2


def now(engine: Engine) -> datetime:
    """The database's clock."""
    with engine.connect() as connection:
        return connection.execute(select(func.now())).scalar_one()


def await_rest(engine: Engine, scope: Scope, seconds: float = REST_SECONDS) -> list[str]:
    """Waits until nothing about the orders is under way any more; answers what still is after that time."""
    deadline = time.monotonic() + seconds
    while True:
        with snapshot(engine) as connection:
            under_way = unsettled(connection, scope)
        if not under_way or time.monotonic() > deadline:
            return under_way
        time.sleep(_POLL_SECONDS)


def gather(engine: Engine, client: "SFNClient", stack: Stack, order_ids: Iterable[UUID]) -> Evidence:
    """Everything about these orders, which are at rest."""
    scope = Scope.of(order_ids := list(order_ids))
    deadline = time.monotonic() + REST_SECONDS
    visits = {
        order_id: _visits(client, executions.execution_arn(stack["state_machine_arn"], order_id), deadline)
        for order_id in order_ids
    }
    with snapshot(engine) as connection:
        return Evidence(visits, charges(connection, scope), notices(connection, scope))


def dead_letters(client: "SQSClient", stack: Stack) -> dict[str, int]:
    """How many messages each dead-letter queue holds, by the name of the queue that gave them up."""
    return {name: _depth(client, queue["dlq_url"]) for name, queue in stack["queues"].items()}


def _visits(client: "SFNClient", arn: str, deadline: float) -> tuple[Visit, ...]:
    """The order ends a moment before its execution does."""
    while executions.is_running(client, arn) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return executions.visits(client, arn)


def _depth(client: "SQSClient", url: str) -> int:
    answer = client.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(int(number) for number in answer["Attributes"].values())
