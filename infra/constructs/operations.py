"""What operators see and do, behind the API's `/admin/…`."""

import json
from collections.abc import Iterable
from typing import Final

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.api import OrdersApi
from infra.constructs.function import FunctionRuntime, OrdersFunction, log_group_prefix
from infra.constructs.queues import Queues
from infra.constructs.refund import OrderRefund
from infra.constructs.saga import OrderSaga
from infra.findings import accept
from infra.stages import Stage

# Looking for one message among many takes a while; API Gateway gives up after 30 s.
_TIMEOUT: Final = Duration.seconds(28)

# An operator waits for it.
_MEMORY_MB: Final = 512


class Operations(Construct):
    """One function, which may look into every queue and every execution, and change what an operator asks for."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queues: Queues,
        saga: OrderSaga,
        refund: OrderRefund,
        api: OrdersApi,
    ) -> None:
        super().__init__(scope, id)
        self.operations = OrdersFunction(
            self,
            "Operations",
            runtime=runtime,
            timeout=_TIMEOUT,
            memory_mb=_MEMORY_MB,
            environment={
                "STATE_MACHINE_ARN": saga.state_machine.state_machine_arn,
                "REFUND_STATE_MACHINE_ARN": refund.state_machine.state_machine_arn,
                "QUEUE_URLS": json.dumps({pair.name: pair.queue.queue_url for pair in queues.pairs}),
                "DLQ_URLS": json.dumps({pair.name: pair.dlq.queue_url for pair in queues.pairs}),
                "CANCELLATION_WINDOW_MINUTES": str(runtime.stage.cancellation_window_minutes),
                "REDELIVERIES_PER_HOUR": str(runtime.stage.redeliveries_per_hour),
                "LOG_GROUP_PREFIX": log_group_prefix(runtime.stage),
                **runtime.stage.payments.environment,
            },
            with_payment_provider=True,
            description="The API of operators: dead letters, orders under review, refunds, the outbox, health, metrics",
        )
        function = self.operations.function
        for pair in queues.pairs:
            pair.queue.grant_send_messages(function)
            pair.dlq.grant_consume_messages(function)
            pair.dlq.grant(function, "sqs:ListMessageMoveTasks", "sqs:StartMessageMoveTask")
        saga.state_machine.grant_start_execution(function)
        saga.grant_executions(self.operations, "states:DescribeExecution", "states:GetExecutionHistory")
        refund.state_machine.grant_start_execution(function)
        refund.grant_executions(self.operations, "states:DescribeExecution")
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:GetMetricData", "cloudwatch:ListMetrics"], resources=["*"]
            )
        )
        accept(self.operations, "Reading CloudWatch's metrics takes no resource.", "IAM5[Resource::*]")
        api.add_routes_of(self.operations)

    def read_logs_of(self, functions: Iterable[OrdersFunction], stage: Stage) -> None:
        """Lets operators look for an order's lines in the logs of these functions of the stage."""
        names = sorted(function.name for function in functions)
        self.operations.function.add_environment(
            "LOGGING_FUNCTIONS", json.dumps(names, separators=(",", ":"))
        )
        groups = f"{log_group_prefix(stage)}*"
        self.operations.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["logs:FilterLogEvents"],
                resources=[
                    Stack.of(self).format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name=groups,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )
        accept(
            self.operations,
            "These are the logs of the stage's functions, and of nothing else.",
            f"IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:{groups}]",
        )
