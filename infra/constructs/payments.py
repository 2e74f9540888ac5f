"""What the payment provider gives us to keep secret, and who may read it."""

from typing import Final

from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.function import OrdersFunction
from infra.findings import accept
from infra.stages import Stage

_ROTATION: Final = "The provider makes the value: a person rolls it there and puts the new one in here."


class PaymentSecrets(Construct):
    """The secrets of the provider that the stage chooses; none for one that has none.

    They are made empty, and a person puts the values in: so these are in no template, and no deploy changes them.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self._stage = stage
        provider = stage.payments
        self._api_key = self._secret("ApiKey", provider.api_key_secret, "Our key at the payment provider")
        self._webhooks = self._secret(
            "Webhooks", provider.webhook_secret, "What the payment provider signs its webhooks with"
        )

    def grant_calls(self, *functions: OrdersFunction) -> None:
        """Lets functions call the provider: they may read our key there."""
        for function in functions:
            if self._api_key:
                self._api_key.grant_read(function.function)

    def grant_verification(self, function: OrdersFunction, variable: str) -> None:
        """Lets a function verify the provider's webhooks; the variable tells it where the secret is."""
        if self._webhooks:
            function.function.add_environment(variable, self._webhooks.secret_arn)
            self._webhooks.grant_read(function.function)

    def _secret(self, id: str, name: str | None, description: str) -> secretsmanager.Secret | None:
        if name is None:
            return None
        secret = secretsmanager.Secret(
            self,
            id,
            secret_name=name,
            description=description,
            removal_policy=self._stage.removal_policy,
        )
        resource = secret.node.default_child
        assert isinstance(resource, secretsmanager.CfnSecret)
        # CDK would generate a value, which looks like a key and is none.
        resource.add_property_deletion_override("GenerateSecretString")
        accept(secret, _ROTATION, "SMG4")
        return secret
