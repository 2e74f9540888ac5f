"""What the payment provider tells us by itself: taken in, queued, and looked at."""

from typing import Final

from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.generated_secret import GeneratedSecret
from infra.constructs.saga import OrderSaga

# A message takes three looks at a gateway, which may need two seconds for each.
_BATCH_SIZE: Final = 3


class PaymentWebhooks(Construct):
    """The secret that the provider signs with, and the function that acts on what it says.

    The simulator signs with the secret that is made here. A real provider makes its own: an operator puts it here.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queue: sqs.Queue,
        saga: OrderSaga,
        api: OrdersFunction,
    ) -> None:
        """`api` is the function that the provider calls."""
        super().__init__(scope, id)
        stage = runtime.stage
        secret = GeneratedSecret(
            self,
            "Secret",
            stage=stage,
            name="payment-webhook-secret",
            description="What the payment provider signs its webhooks with; two of them while it is rotated",
            why_not_rotated="It is the provider's: it is rotated there first, by an operator.",
        )
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
