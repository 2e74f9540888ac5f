"""The system under test: a deployed local cloud, with the nemesis's two proxies between its parts.

Nothing of this is the product's code. The database's secret names another directory, the relay is told another endpoint
for SQS, and two settings are less patient than where nobody watches.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psutil
from sqlalchemy import Engine, NullPool, create_engine

from infra.names import kebab
from orders.db import Credentials
from orders.ids import uuid7
from tools.chaos import function_processes
from tools.chaos.faults import DatabaseFaults
from tools.chaos.plan import Plan
from tools.chaos.sqs_proxy import SqsProxy
from tools.cloud import aws, catalogue, emulator, postgres
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack
from tools.postgres_proxy import PostgresProxy

STEP_TIMEOUT_SECONDS: Final = 15
"""What the state machine grants a step here: half of the usual, so that a step can be late before Lambda ends it."""
VISIBILITY_SECONDS: Final = 25
"""When a failed message comes back here, instead of after three minutes: five deliveries fit into a run."""
PROCESSES: Final = 3
"""Of create_order and of ProcessPayment at a time; the local stage grants every other step as many."""

_PROCESSES_OF: Final = ("CreateOrder", "ProcessPayment")


@dataclass(frozen=True)
class SystemUnderTest:
    """What a run places its orders in, and injects its faults into."""

    settings: Settings
    stack: Stack
    engine: Engine
    """The database itself, past the proxy."""
    database_faults: DatabaseFaults
    sqs_proxy: SqsProxy
    products: tuple[UUID, ...]
    """By their places in the plan."""
    restarting: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever restarts Postgres."""

    def query(self, sql: str, **parameters: object) -> list[Any]:
        """One statement on a connection of its own, never while Postgres is restarted."""
        with self.restarting, postgres.connect(self.settings) as connection:
            return connection.run(sql, **parameters) or []

    def emulator(self) -> psutil.Process:
        """The emulator's process, whose children run the functions."""
        process = emulator.daemon(self.settings).find()
        assert process is not None, "nothing here stops it"
        return process

    def start(self, name: str) -> None:
        """Starts a function as its schedule does."""
        aws.functions(self.settings).invoke(FunctionName=function_name(name), InvocationType="Event")


@contextlib.contextmanager
def prepare(settings: Settings, stack: Stack, plan: Plan) -> Iterator[SystemUnderTest]:
    """Prepares a cloud that is up, and is to be thrown away afterwards."""
    database_faults = DatabaseFaults()
    products = [
        catalogue.Product(uuid7(), product.name, product.unit_price, product.stock)
        for product in plan.products
    ]
    server = Credentials.model_validate(postgres.credentials(settings))
    # Nothing pooled: Postgres is restarted under it.
    engine = create_engine(stack["database_url"], poolclass=NullPool)
    with (
        contextlib.ExitStack() as closing,
        catalogue.on_sale(settings, products),
        PostgresProxy.to(server, database_faults.connected) as proxy,
        SqsProxy(settings.endpoint_url).serving() as sqs_proxy,
    ):
        closing.callback(engine.dispose)
        system = SystemUnderTest(
            settings, stack, engine, database_faults, sqs_proxy, tuple(product.id for product in products)
        )
        _turn_off_fsync(settings)
        _connect_functions_to(system, proxy.credentials)
        _connect_relay_to(system, sqs_proxy)
        _shorten_timeouts(system)
        _limit_processes(system)
        # Those that run have the old secret, and connections that lead past the proxy.
        for process in function_processes.running(system.emulator()):
            function_processes.kill(process.pid)
        system.start("OutboxRelay")
        yield system


def function_name(name: str) -> str:
    """The deployed name of a function, e.g. of `OutboxRelay`."""
    return f"orders-{STAGE}-{kebab(name)}"


def _turn_off_fsync(settings: Settings) -> None:
    """A Postgres that is restarted at once loses nothing that the operating system has got. What fsync is for, a host
    that loses power, is no fault here, and each recovery would begin with syncing a thousand files."""
    with postgres.connect(settings, postgres.SUPERUSER, "postgres") as connection:
        connection.run("ALTER SYSTEM SET fsync = off")
        connection.run("SELECT pg_reload_conf()")


def _connect_functions_to(system: SystemUnderTest, database: Credentials) -> None:
    configuration = aws.functions(system.settings).get_function_configuration(
        FunctionName=function_name("CreateOrder")
    )
    aws.secrets(system.settings).put_secret_value(
        SecretId=configuration["Environment"]["Variables"]["DATABASE_SECRET_ID"],
        SecretString=database.model_dump_json(),
    )


def _connect_relay_to(system: SystemUnderTest, proxy: SqsProxy) -> None:
    client, relay = aws.functions(system.settings), function_name("OutboxRelay")
    variables = client.get_function_configuration(FunctionName=relay)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=relay, Environment={"Variables": {**variables, "AWS_ENDPOINT_URL_SQS": proxy.url}}
    )
    client.get_waiter("function_updated_v2").wait(FunctionName=relay)


def _shorten_timeouts(system: SystemUnderTest) -> None:
    sagas, machine = aws.sagas(system.settings), system.stack["state_machine_arn"]
    definition = json.loads(sagas.describe_state_machine(stateMachineArn=machine)["definition"])
    for state in definition["States"].values():
        if state["Type"] == "Task":
            state["TimeoutSeconds"] = STEP_TIMEOUT_SECONDS
    sagas.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))
    sqs = aws.queues(system.settings)
    for queue in system.stack["queues"].values():
        sqs.set_queue_attributes(
            QueueUrl=queue["url"], Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )


def _limit_processes(system: SystemUnderTest) -> None:
    """A function that was killed needs the processor for its next start, and twenty at once get nowhere on two cores:
    each would be given up before it is ready, and begin again."""
    client = aws.functions(system.settings)
    for name in _PROCESSES_OF:
        client.put_function_concurrency(
            FunctionName=function_name(name), ReservedConcurrentExecutions=PROCESSES
        )
