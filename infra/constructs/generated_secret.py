"""A secret of the stage's own, made with the stack and known to nobody."""

from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.findings import accept
from infra.stages import Stage

_LENGTH: Final = 64


class GeneratedSecret(secretsmanager.Secret):
    """A random text. It is not rotated, for a reason that is given."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        name: str,
        description: str,
        why_not_rotated: str,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        """`name` is that of the secret without the stage. It goes with the stage's data, unless `removal_policy` says
        otherwise."""
        super().__init__(
            scope,
            id,
            secret_name=stage.resource_name(name),
            description=description,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=_LENGTH, exclude_punctuation=True
            ),
            removal_policy=removal_policy or stage.removal_policy,
        )
        accept(self, why_not_rotated, "SMG4")
