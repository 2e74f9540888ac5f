"""Sending mail through SES. The only module of this function that knows boto3.

An answer from SES is definite: the mail was accepted, or it was not. No answer is definite only if the request cannot
have left; after that the mail may be on its way, and nobody may send it again.
"""

from typing import TYPE_CHECKING, Final, Protocol

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
)

from functions.notify.templates import Mail

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 4
"""Together less than a fifth of the function's timeout: a batch is five mails."""
ATTEMPTS: Final = 1
"""The SDK would also repeat a request whose answer it did not get, and the customer would have two mails."""

_NEVER_LEFT: Final = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ProxyConnectionError)
_FOR_GOOD: Final = frozenset({"MessageRejected", "InvalidParameterValue"})
"""Refusals of this mail. Others (throttling, a paused account, a missing right, SES's own faults) pass."""
_CHARSET: Final = "UTF-8"


class MailNotSent(Exception):
    """The mail was certainly not sent. `code` says why; the message of SES, which quotes addresses, is left out."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MailRefused(MailNotSent):
    """SES refuses this mail, and would refuse it again."""


class Mailer(Protocol):
    def send(self, mail: Mail) -> str:
        """Sends the mail and answers the provider's id of it.

        Raises:
            MailRefused: not sent, for good.
            MailNotSent: not sent; another attempt may succeed.
            Exception: any other means that nobody knows.
        """
        ...


class SesMailer:
    def __init__(self, client: "SESClient", sender: str) -> None:
        self._client = client
        self._sender = sender

    @classmethod
    def connect(cls, sender: str) -> "SesMailer":
        """boto3 is imported here because it is a third of a cold start, and an import has no need of it."""
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": ATTEMPTS},
        )
        return cls(boto3.client("ses", config=config), sender)

    def send(self, mail: Mail) -> str:
        """See `Mailer`."""
        try:
            answer = self._client.send_email(
                Source=self._sender,
                Destination={"ToAddresses": [mail.to]},
                Message={
                    "Subject": {"Data": mail.subject, "Charset": _CHARSET},
                    "Body": {"Text": {"Data": mail.body, "Charset": _CHARSET}},
                },
            )
        except ClientError as error:
            code = error.response["Error"].get("Code", "Unknown")
            raise (MailRefused if code in _FOR_GOOD else MailNotSent)(code) from None
        except _NEVER_LEFT as error:
            raise MailNotSent(type(error).__name__) from None
        return answer["MessageId"]
