"""SDK clients of the local cloud, deaf to any profile, credential or endpoint that this machine has for real ones."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from tools.cloud.settings import ACCESS_KEY, REGION, Settings

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_WAITING: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
_CONFIG: Final = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 3})


def cognito(settings: Settings) -> "CognitoIdentityProviderClient":
    return _session().client("cognito-idp", endpoint_url=settings.endpoint_url, config=_CONFIG)


def cognito_of_region(region: str) -> "CognitoIdentityProviderClient":
    """AWS's own, for the calls that a customer makes: they need no credentials."""
    unsigned = _CONFIG.merge(Config(signature_version=UNSIGNED))
    return _session().client("cognito-idp", region_name=region, config=unsigned)


def functions(settings: Settings) -> "LambdaClient":
    return _session().client("lambda", endpoint_url=settings.endpoint_url, config=_CONFIG)


def stacks(settings: Settings) -> Any:
    """Untyped, as are the secrets, the logs and the mails: the stubs are not worth their size for one call."""
    return _session().client("cloudformation", endpoint_url=settings.endpoint_url, config=_CONFIG)


def secrets(settings: Settings) -> Any:
    return _session().client("secretsmanager", endpoint_url=settings.endpoint_url, config=_CONFIG)


def logs(settings: Settings) -> Any:
    return _session().client("logs", endpoint_url=settings.endpoint_url, config=_CONFIG)


def sagas(settings: Settings) -> "SFNClient":
    return _session().client("stepfunctions", endpoint_url=settings.endpoint_url, config=_CONFIG)


def mails(settings: Settings) -> Any:
    return _session().client("ses", endpoint_url=settings.endpoint_url, config=_CONFIG)


def queues(settings: Settings) -> "SQSClient":
    return _session().client("sqs", endpoint_url=settings.endpoint_url, config=_CONFIG)


@lru_cache
def _session() -> boto3.Session:
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
