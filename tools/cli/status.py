"""What runs and what it is busy with, as tables for a terminal."""

import re
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from tools.cloud import aws, emulator, postgres, stack
from tools.cloud.processes import Daemon
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack

# Not the functions that CDK brings into a deploy: their names are PascalCase.
_FUNCTION_NAME: Final = re.compile(rf"orders-{STAGE}-([a-z-]+)")
_WAITING: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"


def show(settings: Settings, console: Console) -> bool:
    """Prints the state; False if the local cloud is not up."""
    daemons = [postgres.daemon(settings)]
    if settings.port is not None:
        daemons.append(emulator.daemon(settings))
    console.print(_processes(daemons))
    deployed = stack.read(settings)
    if deployed is None or not emulator.answers(settings) or postgres.daemon(settings).find() is None:
        console.print("The local cloud is not up. Start it with: make up")
        return False
    console.print(f"API      {deployed['api_url']}/api/v1\nDetails  {settings.stack_file}\n")
    console.print(_orders(settings))
    try:
        console.print(_queues(settings, deployed))
        console.print(_functions(settings))
    except (BotoCoreError, ClientError) as error:
        console.print(f"The emulator answers, but not as it should: {error}")
        return False
    return True


def _processes(daemons: Iterable[Daemon]) -> Table:
    table = _table("Process", "State", "Log")
    for daemon in daemons:
        process = daemon.find()
        table.add_row(
            daemon.name, f"running, process {process.pid}" if process else "stopped", str(daemon.log)
        )
    return table


def _orders(settings: Settings) -> Table:
    table = _table("Orders", "Number")
    with postgres.connect(settings) as connection:
        for status, number in connection.run(
            "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status"
        ):
            table.add_row(status, str(number))
        ((waiting,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'PENDING'")
        ((dead,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'DEAD'")
    table.add_row("events not published yet", str(waiting))
    table.add_row("events given up (DEAD)", str(dead))
    return table


def _queues(settings: Settings, deployed: Stack) -> Table:
    table = _table("Queue", "Waiting", "In flight", "Dead letters")
    client = aws.queues(settings)
    for name, queue in deployed["queues"].items():
        depth = client.get_queue_attributes(QueueUrl=queue["url"], AttributeNames=[_WAITING, _IN_FLIGHT])
        dead = client.get_queue_attributes(QueueUrl=queue["dlq_url"], AttributeNames=[_WAITING])
        numbers = depth["Attributes"]
        table.add_row(name, numbers[_WAITING], numbers[_IN_FLIGHT], dead["Attributes"][_WAITING])
    return table


def _functions(settings: Settings) -> Table:
    table = _table("Function", "Timeout", "Reserved concurrency", "State")
    client = aws.functions(settings)
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = _FUNCTION_NAME.fullmatch(function["FunctionName"])
            if name:
                concurrency = client.get_function_concurrency(FunctionName=name[0])
                table.add_row(
                    name[1],
                    f"{function['Timeout']} s",
                    str(concurrency.get("ReservedConcurrentExecutions", "")),
                    function.get("State", ""),
                )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
