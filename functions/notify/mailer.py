"""Mail, through SES."""

from typing import TYPE_CHECKING, Final

from functions.notify.rendering import RenderedMessage
from functions.notify.sending import ATTEMPTS, READ_TIMEOUT_SECONDS, ask
from orders import aws

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

_REFUSALS: Final = frozenset({"MessageRejected", "InvalidParameterValue"})
_CHARSET: Final = "UTF-8"


class SesMailer:
    """Sends mails of two parts, HTML and plain text, from one verified sender. The configuration set says where SES
    tells of those that come back or are complained of."""

    def __init__(self, client: "SESClient", sender: str, configuration_set: str) -> None:
        self._client = client
        self._sender = sender
        self._configuration_set = configuration_set

    @classmethod
    def connect(cls, sender: str, configuration_set: str) -> "SesMailer":
        client = aws.connect("ses", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS)
        return cls(client, sender, configuration_set)

    def send(self, message: RenderedMessage) -> str:
        """See `NotificationSender`."""
        response = ask(
            lambda: self._client.send_email(
                Source=self._sender,
                ConfigurationSetName=self._configuration_set,
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
        return response["MessageId"]
