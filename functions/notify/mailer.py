"""Mail, through SES."""

from typing import TYPE_CHECKING, Final

from functions.notify.rendering import Message
from functions.notify.sending import ask, client_config

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

_REFUSALS: Final = frozenset({"MessageRejected", "InvalidParameterValue"})
_CHARSET: Final = "UTF-8"


class SesMailer:
    """Sends mails of two parts, HTML and plain text, from one verified sender."""

    def __init__(self, client: "SESClient", sender: str) -> None:
        self._client = client
        self._sender = sender

    @classmethod
    def connect(cls, sender: str) -> "SesMailer":
        import boto3

        return cls(boto3.client("ses", config=client_config()), sender)

    def send(self, message: Message) -> str:
        """See `Sender`."""
        answer = ask(
            lambda: self._client.send_email(
                Source=self._sender,
                Destination={"ToAddresses": [message.to]},
                Message={
                    "Subject": {"Data": message.subject, "Charset": _CHARSET},
                    "Body": {
                        "Text": {"Data": message.text, "Charset": _CHARSET},
                        "Html": {"Data": message.html, "Charset": _CHARSET},
                    },
                },
            ),
            _REFUSALS,
        )
        return answer["MessageId"]
