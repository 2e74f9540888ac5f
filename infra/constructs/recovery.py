"""What puts right without a person what crashes, outages and time leave behind."""

from typing import Final

from aws_cdk import Duration
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.queues import Queues
from infra.constructs.refund import OrderRefund
from infra.constructs.saga import OrderSaga
from infra.constructs.schedule import start_every_minute
from orders.events import Queue

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
        runtime: FunctionRuntime,
        queues: Queues,
        saga: OrderSaga,
        refund: OrderRefund,
    ) -> None:
        super().__init__(scope, id)
        self.maintenance = OrdersFunction(
            self,
            "Maintenance",
            runtime=runtime,
            timeout=_ROUND_TIMEOUT,
            environment={
                "STATE_MACHINE_ARN": saga.state_machine.state_machine_arn,
                "REFUND_STATE_MACHINE_ARN": refund.state_machine.state_machine_arn,
                "CONTACT_RETENTION_DAYS": str(runtime.stage.contact_retention_days),
                **runtime.stage.payments.environment,
            },
            with_payment_provider=True,
            description="Resumes stuck orders and refunds, expires reservations, settles payments, removes old rows",
        )
        for machine in (saga, refund):
            machine.state_machine.grant(self.maintenance.function, "states:ListExecutions")
            machine.state_machine.grant_start_execution(self.maintenance.function)
            machine.grant_executions(self.maintenance, "states:DescribeExecution")
        start_every_minute(
            self,
            self.maintenance.function,
            name=runtime.stage.resource_name("maintenance"),
            description="One round of maintenance",
        )

        self.payment_events = QueueConsumer(
            self,
            "PaymentEvents",
            queue=queues[Queue.PAYMENT_PROCESSING],
            batch_size=_PAYMENT_BATCH_SIZE,
            runtime=runtime,
            environment=runtime.stage.payments.environment,
            with_payment_provider=True,
            description="payment-processing: holds each movement of money against the gateway",
        )
        self.inventory_events = QueueConsumer(
            self,
            "InventoryEvents",
            queue=queues[Queue.INVENTORY_MANAGEMENT],
            batch_size=_INVENTORY_BATCH_SIZE,
            runtime=runtime,
            description="inventory-management: one alert for each product that becomes low on stock",
        )
