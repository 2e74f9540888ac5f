"""The stage's secrets besides the database's: generated, or put in by an operator."""

from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.findings import accept
from infra.stages import Stage

_LENGTH: Final = 64


class Keys(Construct):
    """Each is in no template, and no deploy changes it. Only those that an operator writes have names of ours."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self._stage = stage
        self.webhooks = self._generated(
            "WebhookKey",
            "What the secrets of customers' webhooks are derived from",
            why_not_rotated="Every customer would have to be given a new secret with it.",
        )
        """It is kept when the stack goes, as the endpoints are: with another one, no customer could verify anything."""
        self.codes = self._generated(
            "CodeKey",
            "What the codes that confirm recipients are derived from",
            why_not_rotated="It makes codes that live for ten minutes and five attempts.",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.payment_webhooks = self._generated(
            "PaymentWebhookSecret",
            "What the payment provider signs its webhooks with; two of them while it is rotated",
            why_not_rotated="It is the provider's: it is rotated there first, by an operator.",
            name="payment-webhook-secret",
        )
        """The simulator signs with the secret that is made here. A real provider makes its own: an operator puts it
        here."""
        self.payment_provider = self._of_the_provider(stage.payments.api_key_secret)
        """Our key there, for a stage whose provider gives us one. It is made empty, and a person puts the key in."""

    def _generated(
        self,
        id: str,
        description: str,
        *,
        why_not_rotated: str,
        name: str | None = None,
        removal_policy: RemovalPolicy | None = None,
    ) -> secretsmanager.Secret:
        """`name` is that of the secret without the stage. It goes with the stage's data, unless `removal_policy` says
        otherwise."""
        secret = secretsmanager.Secret(
            self,
            id,
            secret_name=self._stage.resource_name(name) if name else None,
            description=description,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=_LENGTH, exclude_punctuation=True
            ),
            removal_policy=removal_policy or self._stage.removal_policy,
        )
        accept(secret, why_not_rotated, "SMG4")
        return secret

    def _of_the_provider(self, name: str | None) -> secretsmanager.Secret | None:
        if name is None:
            return None
        secret = secretsmanager.Secret(
            self,
            "PaymentProviderKey",
            secret_name=name,
            description="Our key at the payment provider",
            removal_policy=self._stage.removal_policy,
        )
        resource = secret.node.default_child
        assert isinstance(resource, secretsmanager.CfnSecret)
        # CDK would generate a value, which looks like a key and is none.
        resource.add_property_deletion_override("GenerateSecretString")
        accept(
            secret, "It is rolled at the provider first, by an operator who puts the new one in here.", "SMG4"
        )
        return secret
