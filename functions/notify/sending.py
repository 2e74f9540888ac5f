"""What every provider's answer means: sent, certainly not sent, or nobody knows.

An answer is definite: the message was accepted, or it was not. No answer is definite only if the request cannot have
left; after that the message may be on its way, and nobody may send it again.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from functions.notify.rendering import Message

if TYPE_CHECKING:
    from botocore.config import Config

Answer = TypeVar("Answer")

CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 4
"""Together less than a fifth of the function's timeout: a batch is five messages."""
ATTEMPTS: Final = 1
"""The SDK would also repeat a request whose answer it did not get, and the customer would be told twice."""


class NotSent(Exception):
    """The message was certainly not sent. `code` says why; the provider's own words, which quote addresses, are left
    out."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(NotSent):
    """The provider refuses this message, and would refuse it again."""


class Sender(Protocol):
    """One channel."""

    def send(self, message: Message) -> str:
        """Sends the message and answers the provider's id of it.

        Raises:
            Refused: not sent, for good.
            NotSent: not sent; another attempt may succeed.
            Exception: any other means that nobody knows.
        """
        ...


def client_config() -> "Config":
    """For clients of providers. boto3 and botocore are a third of a cold start, and an import has no need of them: all
    of them are imported when the first message is sent."""
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": ATTEMPTS},
    )


def ask(call: Callable[[], Answer], refusals: Collection[str]) -> Answer:
    """Makes the call to the provider. `refusals` are the codes by which it refuses the message itself; its others
    (throttling, a paused account, a missing right, its own faults) pass.

    Raises:
        Refused, NotSent: see `Sender`.
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
        raise (Refused if code in refusals else NotSent)(code) from None
    except never_left as error:
        raise NotSent(type(error).__name__) from None
