"""Refunds: the state machine that carries one out, and the five functions of its steps."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.state_machine import OrdersStateMachine
from infra.names import snake
from infra.saga_definition import refund_definition
from orders.domain import RefundStep

# Less than a Task's TimeoutSeconds (30), as for the saga's steps.
_STEP_TIMEOUT: Final = Duration.seconds(25)


class OrderRefund(OrdersStateMachine):
    """The state machine of `statemachines/order_refund.asl.json`; each of its steps is a function of `refund_steps`."""

    def __init__(self, scope: Construct, id: str, *, runtime: FunctionRuntime) -> None:
        super().__init__(
            scope,
            id,
            runtime=runtime,
            name="order-refund",
            comment="One refund of a confirmed order",
            definition=refund_definition(),
        )

    def _steps(self, runtime: FunctionRuntime) -> Mapping[str, OrdersFunction]:
        self.steps = {step: self._step(runtime, step) for step in RefundStep}
        return {str(step): function for step, function in self.steps.items()}

    def _step(self, runtime: FunctionRuntime, step: RefundStep) -> OrdersFunction:
        stage = runtime.stage
        return OrdersFunction(
            self,
            # The saga has a step RefundPayment as well.
            f"RefundStep{step}",
            runtime=runtime,
            package="refund_steps",
            entry=snake(step),
            timeout=_STEP_TIMEOUT,
            environment=stage.payments.environment,
            with_payment_provider=True,
            reserved_concurrency=stage.step_concurrency,
            description=f"Refund step {step}",
        )
