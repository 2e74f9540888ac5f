"""Text messages, through SNS."""

from typing import TYPE_CHECKING, Final

from functions.notify.rendering import RenderedMessage
from functions.notify.sending import ATTEMPTS, READ_TIMEOUT_SECONDS, ask
from orders import aws

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

# Of the number: no number at all, or one whose owner wants no messages. SNS has two names for some errors.
_REFUSALS: Final = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
        "ParameterValueInvalid",
        "OptedOut",
    }
)
_TYPE: Final = "AWS.SNS.SMS.SMSType"
_TRANSACTIONAL: Final = "Transactional"
"""The other type, Promotional, is cheaper and may arrive late or, in some countries, never at night."""
_SENDER_ID: Final = "AWS.SNS.SMS.SenderID"
_ORIGINATION_NUMBER: Final = "AWS.MM.SMS.OriginationNumber"


class SnsTexter:
    """Sends text messages straight to telephone numbers."""

    def __init__(self, client: "SNSClient", sender_id: str = "", origination_number: str = "") -> None:
        """Which of the two senders a country's networks show, or require, is theirs to say; empty ones are not
        given."""
        self._client = client
        self._attributes = {
            name: _attribute(value)
            for name, value in (
                (_TYPE, _TRANSACTIONAL),
                (_SENDER_ID, sender_id),
                (_ORIGINATION_NUMBER, origination_number),
            )
            if value
        }

    @classmethod
    def connect(cls, sender_id: str = "", origination_number: str = "") -> "SnsTexter":
        return cls(
            aws.connect("sns", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS),
            sender_id,
            origination_number,
        )

    def send(self, message: RenderedMessage) -> str:
        """See `NotificationSender`."""
        response = ask(
            lambda: self._client.publish(
                PhoneNumber=message.to, Message=message.text, MessageAttributes=self._attributes
            ),
            _REFUSALS,
        )
        return response["MessageId"]


def _attribute(value: str) -> "MessageAttributeValueTypeDef":
    return {"DataType": "String", "StringValue": value}
