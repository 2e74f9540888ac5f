"""SDK clients of the local cloud, deaf to any profile, credential or endpoint that this machine has for real ones.

The SDK is imported by the first client: it takes a fifth of a second, and most commands have no use for it.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.cloud.settings import ACCESS_KEY, REGION, Settings

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_WAITING: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"


def cognito(settings: Settings) -> "CognitoIdentityProviderClient":
    return _session().client("cognito-idp", endpoint_url=settings.endpoint_url, config=_config())


def cognito_of_region(region: str) -> "CognitoIdentityProviderClient":
    """AWS's own, for the calls that a customer makes: they need no credentials."""
    from botocore import UNSIGNED

    return _session().client("cognito-idp", region_name=region, config=_config(signature_version=UNSIGNED))


def functions(settings: Settings) -> "LambdaClient":
    return _session().client("lambda", endpoint_url=settings.endpoint_url, config=_config())


def stacks(settings: Settings) -> Any:
    """Untyped, as are the secrets, the logs and the mails: the stubs are not worth their size for one call."""
    return _session().client("cloudformation", endpoint_url=settings.endpoint_url, config=_config())


def secrets(settings: Settings) -> Any:
    return _session().client("secretsmanager", endpoint_url=settings.endpoint_url, config=_config())


def logs(settings: Settings) -> Any:
    return _session().client("logs", endpoint_url=settings.endpoint_url, config=_config())


def sagas(settings: Settings) -> "SFNClient":
    return _session().client("stepfunctions", endpoint_url=settings.endpoint_url, config=_config())


def mails(settings: Settings) -> Any:
    return _session().client("ses", endpoint_url=settings.endpoint_url, config=_config())


def queues(settings: Settings) -> "SQSClient":
    return _session().client("sqs", endpoint_url=settings.endpoint_url, config=_config())


def _config(**options: Any) -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 3}, **options
    )


@lru_cache
def _session() -> "boto3.Session":
    import boto3
    import botocore.session

    # Even with explicit credentials, a profile that is named in the environment would have to exist.
    unset = (None, None, None, None)
    core = botocore.session.Session(
        session_vars={
            "profile": unset,
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        region_name=REGION,
        botocore_session=core,
    )


class Depth(NamedTuple):
    """Messages in a queue."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight


def depth(client: "SQSClient", url: str) -> Depth:
    """The messages in the queue, as SQS counts them."""
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=[_WAITING, _IN_FLIGHT])["Attributes"]
    return Depth(int(found[_WAITING]), int(found[_IN_FLIGHT]))
