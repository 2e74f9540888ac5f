"""What puts right without a person what crashes, outages and time leave behind."""

from typing import Final

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.constructs.consumer import consume
from infra.constructs.database import Database
from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.queues import Queues
from infra.constructs.saga import gateway_environment
from infra.constructs.schedule import start_every_minute
from infra.findings import accept
from infra.stages import Stage

# A round begins nothing in its last quarter of a minute. Two rounds at once are safe.
_ROUND_TIMEOUT: Final = Duration.minutes(1)

# Five looks at a gateway that takes two seconds are a third of the consumer's timeout.
_PAYMENT_BATCH_SIZE: Final = 5
_INVENTORY_BATCH_SIZE: Final = 10


class Recovery(Construct):
    """The maintenance of every minute, and the consumers that check on money and stock."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        runtime: FunctionRuntime,
        database: Database,
        queues: Queues,
        state_machine: stepfunctions.StateMachine,
    ) -> None:
        super().__init__(scope, id)
        self.maintenance = OrdersFunction(
            self,
            "Maintenance",
            runtime=runtime,
            database=database,
            timeout=_ROUND_TIMEOUT,
            environment={
                "STATE_MACHINE_ARN": state_machine.state_machine_arn,
                **gateway_environment(stage.gateway),
            },
            description="Resumes stuck orders, expires reservations, settles payments, removes old rows",
        )
        state_machine.grant(self.maintenance.function, "states:ListExecutions")
        state_machine.grant_start_execution(self.maintenance.function)
        executions = f"{stage.resource_name('order-saga')}:*"
        self.maintenance.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["states:DescribeExecution"],
                resources=[
                    Stack.of(self).format_arn(
                        service="states",
                        resource="execution",
                        resource_name=executions,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )
        accept(
            self.maintenance,
            "An execution's name has its order's id.",
            "IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:"
            f"{executions}]",
        )
        start_every_minute(
            self,
            self.maintenance.function,
            name=stage.resource_name("maintenance"),
            description="One round of maintenance",
        )

        self.payment_events = OrdersFunction(
            self,
            "PaymentEvents",
            runtime=runtime,
            database=database,
            timeout=Duration.seconds(stage.consumer_timeout_seconds),
            environment=gateway_environment(stage.gateway),
            description="payment-processing: holds each movement of money against the gateway",
        )
        consume(
            queues["payment-processing"],
            self.payment_events.function,
            batch_size=_PAYMENT_BATCH_SIZE,
            max_concurrency=stage.consumer_concurrency,
        )
        self.inventory_events = OrdersFunction(
            self,
            "InventoryEvents",
            runtime=runtime,
            database=database,
            timeout=Duration.seconds(stage.consumer_timeout_seconds),
            description="inventory-management: one alert for each product that becomes low on stock",
        )
        consume(
            queues["inventory-management"],
            self.inventory_events.function,
            batch_size=_INVENTORY_BATCH_SIZE,
            max_concurrency=stage.consumer_concurrency,
        )
