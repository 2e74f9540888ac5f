"""What every provider's response means: sent, certainly not sent, or nobody knows.

A response is definite: the message was accepted, or it was not. No response is definite only if the request cannot have
left; after that the message may be on its way, and nobody may send it again.
"""

from collections.abc import Callable, Collection
from typing import Final, Protocol, TypeVar

from functions.notify.rendering import RenderedMessage
from orders.errors import TransientFailure

Response = TypeVar("Response")

READ_TIMEOUT_SECONDS: Final = 4
"""With the time to connect, less than a fifth of the function's timeout: a batch is five messages."""
ATTEMPTS: Final = 1
"""The SDK would also repeat a request whose response it did not get, and the customer would be told twice."""


class NotSent(TransientFailure):
    """The message was certainly not sent. `code` says why; the provider's own words, which quote addresses, are left
    out."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotificationRefused(NotSent):
    """The provider refuses this message, and would refuse it again."""


class NotificationSender(Protocol):
    """One channel."""

    def send(self, message: RenderedMessage) -> str:
        """Sends the message and returns the provider's id of it.

        Raises:
            NotificationRefused: not sent, for good.
            NotSent: not sent; another attempt may succeed.
            Exception: any other means that nobody knows.
        """
        ...


def ask(call: Callable[[], Response], refusals: Collection[str]) -> Response:
    """Makes the call to the provider. `refusals` are the codes by which it refuses the message itself; its others
    (throttling, a paused account, a missing right, its own faults) pass.

    Raises:
        NotificationRefused, NotSent: see `NotificationSender`.
    """
    from botocore.exceptions import (
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        NoCredentialsError,
        ProxyConnectionError,
    )

    never_left = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ProxyConnectionError)
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"].get("Code", "Unknown")
        raise (NotificationRefused if code in refusals else NotSent)(code) from None
    except never_left as error:
        raise NotSent(type(error).__name__) from None
