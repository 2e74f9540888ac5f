"""What runs and what it is busy with, as tables for a terminal."""

import re
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table

from tools.cloud import aws, emulator, local_cloud, postgres
from tools.cloud.aws import depth
from tools.cloud.processes import Daemon
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack
from tools.console import Console, table

# Not the functions that CDK brings into a deploy: their names are PascalCase.
_FUNCTION_NAME: Final = re.compile(rf"orders-{STAGE}-([a-z-]+)")


def show(settings: Settings, console: Console) -> bool:
    """Prints the state; False if the local cloud is not up."""
    daemons = [postgres.daemon(settings)]
    if settings.port is not None:
        daemons.append(emulator.daemon(settings))
    console.print(_processes(daemons))
    deployed = local_cloud.find_up(settings)
    if deployed is None:
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
    shown = table("Process", "State", "Log")
    for daemon in daemons:
        process = daemon.find()
        shown.add_row(
            daemon.name, f"running, process {process.pid}" if process else "stopped", str(daemon.log)
        )
    return shown


def _orders(settings: Settings) -> Table:
    shown = table("Orders", "Number")
    with postgres.connect(settings) as connection:
        for status, number in connection.run(
            "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status"
        ):
            shown.add_row(status, str(number))
        ((waiting,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'PENDING'")
        ((dead,),) = connection.run("SELECT count(*) FROM outbox WHERE status = 'DEAD'")
    shown.add_row("events not published yet", str(waiting))
    shown.add_row("events given up (DEAD)", str(dead))
    return shown


def _queues(settings: Settings, deployed: Stack) -> Table:
    shown = table("Queue", "Waiting", "In flight", "Dead letters")
    client = aws.queues(settings)
    for name, queue in deployed["queues"].items():
        held, dead = depth(client, queue["url"]), depth(client, queue["dlq_url"])
        shown.add_row(name, str(held.waiting), str(held.in_flight), str(dead.waiting))
    return shown


def _functions(settings: Settings) -> Table:
    shown = table("Function", "Timeout", "Reserved concurrency", "State")
    client = aws.functions(settings)
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = _FUNCTION_NAME.fullmatch(function["FunctionName"])
            if name:
                concurrency = client.get_function_concurrency(FunctionName=name[0])
                shown.add_row(
                    name[1],
                    f"{function['Timeout']} s",
                    str(concurrency.get("ReservedConcurrentExecutions", "")),
                    function.get("State", ""),
                )
    return shown
