"""What runs and what it is busy with, as tables for a terminal."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import RenderableType

from orders.contract import API_PREFIX
from tools.cli.commands import listing, show
from tools.cloud import aws, emulator, local_cloud, postgres, stripe_server
from tools.cloud.aws import depth
from tools.cloud.processes import Daemon
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack

Row = dict[str, Any]

_QUEUE_COLUMNS: Final = {
    "Queue": "queue",
    "Waiting": "waiting",
    "In flight": "inFlight",
    "Dead letters": "deadLetters",
}
_FUNCTION_COLUMNS: Final = {
    "Function": "function",
    "Timeout, s": "timeoutSeconds",
    "Reserved concurrency": "reservedConcurrency",
    "State": "state",
}
# Not the functions that CDK brings into a deploy: their names are PascalCase.
_FUNCTION_NAME: Final = re.compile(rf"orders-{STAGE}-([a-z-]+)")


def show_status(settings: Settings) -> bool:
    """Prints the state; False if the local cloud is not up."""
    daemons = [postgres.daemon(settings)]
    if settings.port is not None:
        daemons.append(emulator.daemon(settings))
    if stripe_server.has_records(settings) or stripe_server.daemon(settings).find():
        daemons.append(stripe_server.daemon(settings))
    processes = list(_processes(daemons))
    document: dict[str, Any] = {"up": False, "processes": processes}
    lines: list[RenderableType] = [listing(processes, {"Process": "name", "State": "state", "Log": "log"})]
    deployed = local_cloud.find_up(settings)
    if deployed is None:
        show(document, *lines, "The local cloud is not up. Start it with: make up")
        return False
    api_url = f"{deployed['api_url']}{API_PREFIX}"
    orders = list(_orders(settings))
    document |= {"apiUrl": deployed["api_url"], "orders": orders}
    lines += [
        f"API      {api_url}/docs\nDetails  {settings.stack_file}\n",
        listing(orders, {"Orders": "status", "Number": "number"}, numbers=("Number",)),
    ]
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        queues, functions = list(_queues(settings, deployed)), list(_functions(settings))
    except (BotoCoreError, ClientError) as error:
        show(document, *lines, f"The emulator answers, but not as it should: {error}")
        return False
    document |= {"up": True, "queues": queues, "functions": functions}
    show(document, *lines, listing(queues, _QUEUE_COLUMNS), listing(functions, _FUNCTION_COLUMNS))
    return True


def _processes(daemons: Iterable[Daemon]) -> Iterator[Row]:
    for daemon in daemons:
        process = daemon.find()
        state = f"running, process {process.pid}" if process else "stopped"
        yield {"name": daemon.name, "state": state, "log": str(daemon.log)}


def _orders(settings: Settings) -> Iterator[Row]:
    with postgres.connect(settings) as connection:
        for status, number in connection.run(
            "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status"
        ):
            yield {"status": status, "number": number}
        ((waiting,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'PENDING'")
        ((dead,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'DEAD'")
    yield {"status": "events not published yet", "number": waiting}
    yield {"status": "events given up (DEAD)", "number": dead}


def _queues(settings: Settings, deployed: Stack) -> Iterator[Row]:
    client = aws.queues(settings)
    for name, queue in deployed["queues"].items():
        held, dead = depth(client, queue["url"]), depth(client, queue["dlq_url"])
        yield {
            "queue": name,
            "waiting": held.waiting,
            "inFlight": held.in_flight,
            "deadLetters": dead.waiting,
        }


def _functions(settings: Settings) -> Iterator[Row]:
    client = aws.functions(settings)
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = _FUNCTION_NAME.fullmatch(function["FunctionName"])
            if name:
                concurrency = client.get_function_concurrency(FunctionName=name[0])
                yield {
                    "function": name[1],
                    "timeoutSeconds": function["Timeout"],
                    "reservedConcurrency": concurrency.get("ReservedConcurrentExecutions"),
                    "state": function.get("State"),
                }
