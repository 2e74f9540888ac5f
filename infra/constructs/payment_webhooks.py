"""What the payment provider tells us by itself: taken in, queued, and looked at."""

from typing import Final

from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.saga import OrderSaga

# A message takes three looks at a gateway, which may need two seconds for each.
_BATCH_SIZE: Final = 3


class PaymentWebhooks(Construct):
    """Who checks what the provider has signed, and the function that acts on what it says."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queue: sqs.Queue,
        secret: secretsmanager.Secret,
        saga: OrderSaga,
        api: OrdersFunction,
    ) -> None:
        """`api` is the function that the provider calls; `secret` is what it signs with."""
        super().__init__(scope, id)
        stage = runtime.stage
        api.function.add_environment("SIGNING_SECRET_ID", secret.secret_arn)
        api.function.add_environment("QUEUE_URL", queue.queue_url)
        secret.grant_read(api.function)
        queue.grant_send_messages(api.function)
        self.events = QueueConsumer(
            self,
            "ProviderEvents",
            queue=queue,
            batch_size=_BATCH_SIZE,
            runtime=runtime,
            environment=stage.payments.environment,
            with_payment_provider=True,
            description="payment-webhooks: looks at each payment that the provider has told of",
        )
        saga.grant_wake(self.events)
