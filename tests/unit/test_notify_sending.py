"""What is asked of SES and SNS, and what an answer, or none, means: sent, certainly not sent, or nobody knows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from functions.notify.mailer import SesMailer
from functions.notify.rendering import RenderedMessage
from functions.notify.sending import NotificationRefused, NotificationSender, NotSent
from functions.notify.texter import SnsTexter

MAIL = RenderedMessage("alice@example.com", "Thank you", "Your order is confirmed", "<p>Thank you</p>")
TEXT = RenderedMessage("+34600123456", "Thank you")
URL = "https://provider.us-east-1.amazonaws.com"


@dataclass
class FakeClient:
    """SES's or SNS's: both answer with a MessageId."""

    error: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def send_email(self, **parameters: Any) -> dict[str, str]:
        if self.error:
            raise self.error
        self.asked.append(parameters)
        return {"MessageId": "provider-1"}

    publish = send_email


def mail(client: FakeClient) -> str:
    return SesMailer(cast(Any, client), "orders@example.com", "orders-test-mails").send(MAIL)


def text(client: FakeClient) -> str:
    return SnsTexter(cast(Any, client)).send(TEXT)


Send = Callable[[FakeClient], str]
on_every_channel = pytest.mark.parametrize("send", [mail, text])


def answered(code: str) -> ClientError:
    message = "It is not verified: alice@example.com, +34600123456"
    return ClientError({"Error": {"Code": code, "Message": message}}, "Send")


def test_a_mail_goes_from_our_sender_to_the_customer_in_html_and_in_plain_text() -> None:
    client = FakeClient()
    assert mail(client) == "provider-1"
    assert client.asked == [
        {
            "Source": "orders@example.com",
            "ConfigurationSetName": "orders-test-mails",
            "Destination": {"ToAddresses": ["alice@example.com"]},
            "Message": {
                "Subject": {"Data": "Your order is confirmed", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "Thank you", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>Thank you</p>", "Charset": "UTF-8"},
                },
            },
        }
    ]


@pytest.mark.parametrize(
    ("senders", "attributes"),
    [
        ({}, {}),
        ({"sender_id": "Orders"}, {"AWS.SNS.SMS.SenderID": "Orders"}),
        ({"origination_number": "+12025550123"}, {"AWS.MM.SMS.OriginationNumber": "+12025550123"}),
    ],
)
def test_a_text_message_goes_straight_to_the_telephone_and_is_no_advertisement(
    senders: dict[str, str], attributes: dict[str, str]
) -> None:
    client = FakeClient()
    assert SnsTexter(cast(Any, client), **senders).send(TEXT) == "provider-1"
    assert client.asked == [
        {
            "PhoneNumber": "+34600123456",
            "Message": "Thank you",
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in {"AWS.SNS.SMS.SMSType": "Transactional", **attributes}.items()
            },
        }
    ]


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (mail, "MessageRejected"),
        (mail, "InvalidParameterValue"),
        (text, "InvalidParameter"),
        (text, "InvalidParameterException"),
        (text, "ParameterValueInvalid"),
        (text, "OptedOut"),
    ],
)
def test_a_refusal_of_the_message_itself_is_for_good(send: Send, code: str) -> None:
    with pytest.raises(NotificationRefused) as refusal:
        send(FakeClient(answered(code)))
    assert refusal.value.code == code


@on_every_channel
@pytest.mark.parametrize(
    "error",
    [
        answered("Throttling"),
        answered("Throttled"),
        answered("ServiceUnavailable"),
        answered("InternalFailure"),
        answered("AccountSendingPausedException"),
        answered("MailFromDomainNotVerifiedException"),
        answered("AccessDenied"),
        answered("AuthorizationError"),
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        NoCredentialsError(),
    ],
    ids=repr,
)
def test_what_was_certainly_not_sent_may_be_sent_again(send: Send, error: Exception) -> None:
    with pytest.raises(NotSent) as failure:
        send(FakeClient(error))
    assert not isinstance(failure.value, NotificationRefused)


@on_every_channel
@pytest.mark.parametrize(
    "error", [ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL)], ids=repr
)
def test_no_answer_to_a_request_that_left_is_not_taken_for_a_failure(send: Send, error: Exception) -> None:
    with pytest.raises(type(error)):
        send(FakeClient(error))


@on_every_channel
def test_an_error_does_not_quote_the_address_that_the_provider_quotes(send: Send) -> None:
    with pytest.raises(NotSent) as refusal:
        send(FakeClient(answered("InvalidParameterValue")))
    assert not any(address in str(refusal.value) for address in ("alice", "600"))
    assert refusal.value.__suppress_context__


def test_an_address_is_in_no_repr() -> None:
    for message in (MAIL, TEXT):
        assert message.to not in repr(message)


@pytest.mark.parametrize(
    "connect",
    [lambda: SesMailer.connect("orders@example.com", "orders-test-mails"), SnsTexter.connect],
    ids=["mail", "text"],
)
def test_the_sdk_does_not_send_a_message_again_by_itself(connect: Callable[[], NotificationSender]) -> None:
    client = cast(Any, connect())._client
    assert client.meta.config.retries["total_max_attempts"] == 1
