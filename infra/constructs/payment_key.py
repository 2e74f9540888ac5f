"""Our key at the payment provider, and who may read it."""

from collections.abc import Iterable

from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.function import OrdersFunction
from infra.findings import accept
from infra.stages import Stage


class PaymentKey(Construct):
    """The secret with the key, for a stage whose provider gives us one.

    It is made empty, and a person puts the key in: so it is in no template, and no deploy changes it.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, callers: Iterable[OrdersFunction]) -> None:
        """`callers`: the functions that call the provider."""
        super().__init__(scope, id)
        if stage.payments.api_key_secret is None:
            return
        secret = secretsmanager.Secret(
            self,
            "Secret",
            secret_name=stage.payments.api_key_secret,
            description="Our key at the payment provider",
            removal_policy=stage.removal_policy,
        )
        resource = secret.node.default_child
        assert isinstance(resource, secretsmanager.CfnSecret)
        # CDK would generate a value, which looks like a key and is none.
        resource.add_property_deletion_override("GenerateSecretString")
        accept(
            secret, "It is rolled at the provider first, by an operator who puts the new one in here.", "SMG4"
        )
        for caller in callers:
            secret.grant_read(caller.function)
