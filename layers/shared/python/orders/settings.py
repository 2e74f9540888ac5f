"""Settings are read once, from the environment, into frozen typed classes. Nothing else reads `os.environ`.

A function that needs more than what is here declares its own subclass in `functions/<name>/settings.py`; a test holds
the environment that the CDK app gives a function against the class that it reads. A missing or malformed value stops
the function when it starts: there are no default secrets, hosts or credentials.
"""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict, PositiveInt


class EnvironmentSettings(BaseModel):
    """Settings that stand in the environment. Field names in upper case are the variables' names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of this process.

        Raises:
            pydantic.ValidationError: a variable is missing or malformed; the message names it.
        """
        present = {name: os.environ[name.upper()] for name in cls.model_fields if name.upper() in os.environ}
        return cls.model_validate(present)


class FunctionSettings(EnvironmentSettings):
    """What every function has."""

    stage: str
    log_level: str


class DatabaseSettings(FunctionSettings):
    """For functions that use the database."""

    database_secret_id: str
    """ARN or name of a Secrets Manager secret: {"username", "password", "host", "port", "dbname"}."""
    database_host: str | None = None
    """An RDS Proxy endpoint to use instead of the secret's host."""


class SignInSettings(FunctionSettings):
    """For functions that tell a page where callers of this stage sign in."""

    user_pool_id: str
    """It begins with its region."""
    user_pool_client_id: str
    aws_endpoint_url: str | None = None
    """The local cloud's. On AWS Cognito has its own."""

    @property
    def sign_in(self) -> dict[str, str]:
        """What a client needs to call Cognito's `InitiateAuth`."""
        region = self.user_pool_id.partition("_")[0]
        return {
            "endpoint": self.aws_endpoint_url or f"https://cognito-idp.{region}.amazonaws.com",
            "region": region,
            "userPoolId": self.user_pool_id,
            "clientId": self.user_pool_client_id,
        }


class CancellationSettings(DatabaseSettings):
    """For functions that know whether an order may be cancelled."""

    cancellation_window_minutes: PositiveInt
    """How long after its confirmation an order may be cancelled by its customer."""


class ConsumerSettings(DatabaseSettings):
    """For functions that consume a queue."""

    dlq_url: str
    """The URL of its dead-letter queue, for what is poison at the first look."""
