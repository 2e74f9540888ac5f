"""The one construct that makes Lambda functions, what all of them share, and the functions that consume a queue."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.assets import function_directory, layer_directory, provider_layer_directory
from infra.constructs.database import Database
from infra.findings import accept
from infra.names import kebab, snake
from infra.stages import Stage
from orders.contract import METRICS_NAMESPACE

# A cold start imports SQLAlchemy and pydantic, and Lambda hands out CPU by memory: at 256 MB that takes about two
# seconds where nobody waits for it. 128 MB is not enough for the imports.
DEFAULT_MEMORY_MB: Final = 256

# The libraries' DEBUG lines hold credentials and what is sent with them.
_LOG_LEVEL: Final = lambda_.ApplicationLogLevel.INFO


def log_group_prefix(stage: Stage) -> str:
    """What the names of the stage's functions' log groups begin with."""
    return f"/aws/lambda/{stage.resource_name('')}"


class FunctionRuntime(Construct):
    """What the functions of a stack run on: Python 3.13 on arm64 (20 % cheaper than x86) with the shared layer.
    Functions that use the payment provider get a second layer: the code of the provider that the stage chooses. Those
    that use the database reach `database`.

    The local cloud has no such runtime that behaves like AWS's, so the local stage runs this machine's interpreter
    as a custom runtime: the package brings a `bootstrap` that starts AWS's own runtime client. Layers are not
    mounted for custom runtimes there; `PYTHONPATH` leads to the same directory instead.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, database: Database) -> None:
        super().__init__(scope, id)
        self.stage = stage
        self.database = database
        self.architecture = lambda_.Architecture.ARM_64
        self._is_local = stage.target == "local"
        self.runtime = lambda_.Runtime.PROVIDED_AL2023 if self._is_local else lambda_.Runtime.PYTHON_3_13
        provider = stage.payments.name
        self._directories = [
            layer_directory(stage.target),
            provider_layer_directory(provider, stage.target),
        ]
        descriptions = {
            "Layer": "The orders package and its dependencies",
            "PaymentProviderLayer": f"The payment provider: {provider}",
        }
        self._layers = [
            lambda_.LayerVersion(
                self,
                id,
                code=lambda_.Code.from_asset(str(directory)),
                compatible_runtimes=[self.runtime],
                compatible_architectures=[self.architecture],
                description=description,
            )
            for (id, description), directory in zip(descriptions.items(), self._directories, strict=True)
            if not self._is_local
        ]

    def layers(self, *, with_payment_provider: bool) -> list[lambda_.LayerVersion]:
        """The layers of a function; none locally."""
        return self._layers if with_payment_provider else self._layers[:1]

    def environment(self, *, with_payment_provider: bool) -> dict[str, str]:
        """The variables that say where a function's code comes from."""
        directories = self._directories if with_payment_provider else self._directories[:1]
        path = ":".join(str(directory / "python") for directory in directories)
        return {
            **({"PYTHONPATH": path} if self._is_local else {}),
            **({"PAYMENT_PROVIDER": self.stage.payments.name} if with_payment_provider else {}),
        }

    def code(self, package: str) -> lambda_.Code:
        """The staged package `functions.<package>`."""
        return lambda_.Code.from_asset(str(function_directory(package, self.stage.target)))


class OrdersFunction(Construct):
    """A Lambda function that may write its own logs and traces, and nothing else until it is granted more.

    The id names everything: `CreateOrder` is `orders-<stage>-create-order` and, unless told otherwise,
    `functions.create_order.handler.handler`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        timeout: Duration,
        description: str,
        package: str | None = None,
        entry: str = "handler",
        memory_mb: int = DEFAULT_MEMORY_MB,
        with_database: bool = True,
        environment: Mapping[str, str] | None = None,
        reserved_concurrency: int | None = None,
        with_payment_provider: bool = False,
    ) -> None:
        super().__init__(scope, id)
        stage = runtime.stage
        database = runtime.database if with_database else None
        package = package or snake(id)
        self.name = kebab(id)
        name = stage.resource_name(self.name)

        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=log_group_prefix(stage) + self.name,
            retention=stage.log_retention,
            removal_policy=stage.removal_policy,
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {name} may do",
        )
        log_group.grant_write(role)
        if database:
            database.allow_placement(role)

        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=runtime.runtime,
            architecture=runtime.architecture,
            code=runtime.code(package),
            handler=f"functions.{package}.handler.{entry}",
            layers=runtime.layers(with_payment_provider=with_payment_provider),
            role=role,
            log_group=log_group,
            # Lambda's own START, END and REPORT are more bytes than our lines. A timeout is a warning of Lambda's.
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=_LOG_LEVEL,
            # The service's name is the function's, stage included, so that two stages in one account never share
            # a metric: Powertools makes it the `service` dimension, which the alarms name.
            environment={
                "STAGE": stage.name,
                "LOG_LEVEL": _LOG_LEVEL.value,
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                **runtime.environment(with_payment_provider=with_payment_provider),
                **(environment or {}),
            },
            timeout=timeout,
            memory_size=memory_mb,
            reserved_concurrent_executions=reserved_concurrency if stage.reserves_concurrency else None,
            tracing=lambda_.Tracing.ACTIVE,
            **(database.placement if database else {}),
        )
        if database:
            database.grant_connect(self.function)
        accept(self, "Traces and network interfaces have no names to be granted by.", "IAM5[Resource::*]")
        accept(self, "Python 3.13 is what the layer's wheels are chosen for; both move together.", "L1")


class QueueConsumer(OrdersFunction):
    """A function that gets the queue's messages in batches, at most so many batches at a time.

    A batch may fail in part: the messages that worked are not delivered again. The limit is the event source's and
    never the function's reserved concurrency, because a throttled delivery counts as one and ends in the DLQ.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        queue: sqs.Queue,
        batch_size: int,
        runtime: FunctionRuntime,
        description: str,
        environment: Mapping[str, str] | None = None,
        max_concurrency: int | None = None,
        with_payment_provider: bool = False,
    ) -> None:
        """`max_concurrency` is the stage's for consumers unless another is given."""
        if queue.dead_letter_queue is None:
            raise ValueError(f"the queue of {id} has no dead-letter queue")
        dead_letters = queue.dead_letter_queue.queue
        super().__init__(
            scope,
            id,
            runtime=runtime,
            timeout=Duration.seconds(runtime.stage.consumer_timeout_seconds),
            environment={"DLQ_URL": dead_letters.queue_url, **(environment or {})},
            with_payment_provider=with_payment_provider,
            description=description,
        )
        self.function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_concurrency=max_concurrency or runtime.stage.consumer_concurrency,
                report_batch_item_failures=True,
            )
        )
        # What is poison at the first look goes there at once.
        dead_letters.grant_send_messages(self.function)
