"""What becomes of a failed call of the AWS SDK: the error, and the response that it is to the client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from orders import problem
from orders.errors import ServiceUnavailable
from orders.openapi import problems

UNAVAILABLE: Final = problems([problem.kind_for(ServiceUnavailable)])
"""For the API's document: what a route returns when `sdk_calls` raises."""


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
        raise ServiceUnavailable(f"{service} did not answer") from error
