"""Refunds: the state machine that carries one out, and the function of its steps."""

from typing import Final

from aws_cdk import Duration
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.state_machine import OrdersStateMachine
from infra.saga_definition import refund_definition

# Less than a Task's TimeoutSeconds (30), as for the saga's steps.
_STEP_TIMEOUT: Final = Duration.seconds(25)


class OrderRefund(OrdersStateMachine):
    """The state machine of `statemachines/order_refund.asl.json`. Its steps need the same rights, so they are one
    function: each one more would cost the stack four of the 500 resources that it may have."""

    def __init__(self, scope: Construct, id: str, *, runtime: FunctionRuntime) -> None:
        stage = runtime.stage
        super().__init__(scope, id, stage=stage, name="order-refund")
        self.steps = OrdersFunction(
            self,
            "RefundSteps",
            runtime=runtime,
            timeout=_STEP_TIMEOUT,
            environment=stage.payments.environment,
            with_payment_provider=True,
            reserved_concurrency=stage.step_concurrency,
            description="The steps of a refund",
        )
        self._define(refund_definition(), "One refund of a confirmed order", {"RefundSteps": self.steps})
