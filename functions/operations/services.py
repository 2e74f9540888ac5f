"""The services of AWS that operations ask: their clients, and what becomes of an answer that does not come."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orders import aws
from orders.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

READ_TIMEOUT_SECONDS: Final = 5
"""Longer than a queue may be asked to wait for messages."""
ATTEMPTS: Final = 2


def connect_queues() -> "SQSClient":
    """A client of SQS."""
    client: SQSClient = aws.connect("sqs", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS)
    return client


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
