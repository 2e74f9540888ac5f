"""Clients of AWS's services, each with the longest time that a call of it may take; and its secrets.

boto3 is imported when it is first needed: it is a third of a cold start, and an import has no need of it.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from orders.errors import ServiceUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider
    from botocore.config import Config

CONNECT_TIMEOUT_SECONDS: Final = 1
SECRET_MAX_AGE_SECONDS: Final = 300
_SECRET_READ_TIMEOUT_SECONDS: Final = 2
_SECRET_ATTEMPTS: Final = 2
"""So that a function of the API, which has ten seconds, still responds. The SDK's own minutes would outlast it."""
SHORTEST_KEY: Final = 32
"""Characters."""


def connect(
    service: Literal["cloudwatch", "cognito-idp", "logs", "ses", "sns", "sqs", "stepfunctions"],
    *,
    read_timeout_seconds: float,
    attempts: int,
    **options: Any,
) -> Any:
    """A client of the service. `attempts` are the SDK's, the first included, with its waits between them; `options` are
    further ones of `botocore.config.Config`."""
    import boto3

    return boto3.client(service, config=_config(read_timeout_seconds, attempts, **options))


def _config(read_timeout_seconds: float, attempts: int, **options: Any) -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        **options,
    )


@contextmanager
def sdk_calls(service: str) -> Iterator[None]:
    """Around calls of the SDK.

    Raises:
        ServiceUnavailable: the service did not answer, or refused to.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else None
        raise ServiceUnavailable(f"{service} did not answer ({code or type(error).__name__})") from error


def read_secret(secret_id: str, *, afresh: bool = False) -> str:
    """The content of a secret, by name or ARN: from Secrets Manager or, unless `afresh`, from this process's memory of
    it (5 minutes).

    Raises:
        ServiceUnavailable: Secrets Manager did not give it.
    """
    from aws_lambda_powertools.utilities import parameters

    try:
        return str(_secrets().get(secret_id, max_age=SECRET_MAX_AGE_SECONDS, force_fetch=afresh))
    except parameters.GetParameterError as error:
        raise ServiceUnavailable(f"the secret {secret_id} cannot be read") from error


@functools.cache
def _secrets() -> "SecretsProvider":
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

    return SecretsProvider(boto_config=_config(_SECRET_READ_TIMEOUT_SECONDS, _SECRET_ATTEMPTS))


def read_key(secret_id: str) -> str:
    """The content of a secret that other secrets are derived from; see `read_secret`.

    Raises:
        ServiceUnavailable: Secrets Manager did not give it, or it is too short to be one.
    """
    key = read_secret(secret_id)
    if len(key) < SHORTEST_KEY:
        raise ServiceUnavailable("the key that secrets are derived from is too short to be one")
    return key
