"""Signed callbacks to customers' servers."""

import json
from typing import Final

from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer

# A customer's server may take ten seconds. In a larger batch others' messages would wait behind it, or go back to the
# queue untouched until they count as poison.
_BATCH_SIZE: Final = 1


class Webhooks(Construct):
    """The function that sends; it and the API derive all webhooks' secrets from one key."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queue: sqs.Queue,
        key: secretsmanager.Secret,
        api: OrdersFunction,
    ) -> None:
        """`api` is the function in which customers register."""
        super().__init__(scope, id)
        stage = runtime.stage
        self.deliver = QueueConsumer(
            self,
            "DeliverWebhooks",
            queue=queue,
            batch_size=_BATCH_SIZE,
            max_concurrency=stage.webhook_concurrency,
            runtime=runtime,
            environment={"WEBHOOK_RETRY_SECONDS": json.dumps(stage.webhook_retry_seconds)},
            description="webhook-delivery: one signed request for each attempt",
        )
        for function in (api, self.deliver):
            function.function.add_environment("WEBHOOK_KEY_ID", key.secret_arn)
            if stage.allows_loopback_webhooks:
                function.function.add_environment("ALLOW_LOOPBACK_WEBHOOKS", "true")
            key.grant_read(function.function)
