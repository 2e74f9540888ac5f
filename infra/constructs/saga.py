"""The saga: the state machine, the twelve functions of its steps, and the consumer that starts it."""

from typing import Final

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.refund import OrderRefund
from infra.constructs.state_machine import OrdersStateMachine
from infra.names import snake
from infra.saga_definition import saga_definition
from orders.domain import SagaStep

# Less than a Task's TimeoutSeconds (30): a step that is too slow has ended, and cannot write late, before the state
# machine gives it up. Throttling or a frozen network can still make one late; the fences are for those.
_STEP_TIMEOUT: Final = Duration.seconds(25)

# One StartExecution takes some 50 ms, so a batch of ten is far from the consumer's timeout.
_START_BATCH_SIZE: Final = 10


class OrderSaga(OrdersStateMachine):
    """The state machine of `statemachines/order_saga.asl.json`; each of its steps is a function of `saga_steps`."""

    def __init__(self, scope: Construct, id: str, *, runtime: FunctionRuntime) -> None:
        super().__init__(scope, id, stage=runtime.stage, name="order-saga")
        self.steps = {step: self._step(runtime, step) for step in SagaStep}
        self._define(
            saga_definition(),
            "One order, from PENDING to a terminal state",
            {str(step): function for step, function in self.steps.items()},
        )
        self.grant_wake(self.steps[SagaStep.WAIT_FOR_PAYMENT])
        # The release before asked for the confirmation in SendConfirmation. Its CompleteOrder must not follow a new
        # SendConfirmation, or an order that is under way during the deploy would be confirmed without a mail.
        self.steps[SagaStep.SEND_CONFIRMATION].node.add_dependency(self.steps[SagaStep.COMPLETE_ORDER])

    def start_from(self, queue: sqs.Queue, *, refund: OrderRefund, runtime: FunctionRuntime) -> None:
        """Starts one execution for each order that the queue announces, and one of `refund` for each refund."""
        self.starter = QueueConsumer(
            self,
            "StartSaga",
            queue=queue,
            batch_size=_START_BATCH_SIZE,
            runtime=runtime,
            environment={
                "STATE_MACHINE_ARN": self.state_machine.state_machine_arn,
                "REFUND_STATE_MACHINE_ARN": refund.state_machine.state_machine_arn,
            },
            description="order-processing: one execution for each order and each refund, by name",
        )
        self.state_machine.grant_start_execution(self.starter.function)
        refund.state_machine.grant_start_execution(self.starter.function)

    def grant_wake(self, function: OrdersFunction) -> None:
        """Lets the function wake executions that wait for a customer (`orders.payments.actions.wake`).

        AWS has no narrower resource than the state machine. By its name, since the state machine needs its steps first.
        """
        function.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["states:SendTaskSuccess"],
                resources=[
                    Stack.of(self).format_arn(
                        service="states",
                        resource="stateMachine",
                        resource_name=self._name,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )

    def _step(self, runtime: FunctionRuntime, step: SagaStep) -> OrdersFunction:
        stage = runtime.stage
        return OrdersFunction(
            self,
            step.value,
            runtime=runtime,
            package="saga_steps",
            entry=snake(step),
            timeout=_STEP_TIMEOUT,
            environment={
                "RESERVATION_TTL_SECONDS": str(stage.reservation_ttl_seconds),
                **stage.payments.environment,
            },
            with_payment_provider=True,
            reserved_concurrency=stage.payment_concurrency
            if step is SagaStep.PROCESS_PAYMENT
            else stage.step_concurrency,
            description=f"Saga step {step}",
        )
