"""The services of AWS that operations ask: their clients, and what becomes of an answer that does not come."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orders.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 5
"""Longer than a queue may be asked to wait for messages."""
ATTEMPTS: Final = 2


def connect_queues() -> "SQSClient":
    """The client. boto3 is imported here because it is half of a cold start, and an import has no need of it."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return boto3.client("sqs", config=config)


@contextmanager
def answering(service: str) -> Iterator[None]:
    """Around calls of the SDK.

    Raises:
        ServiceUnavailable: the service did not answer, or refused to.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise ServiceUnavailable(f"{service} did not answer") from error
