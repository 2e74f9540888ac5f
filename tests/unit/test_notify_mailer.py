"""What an answer of SES, or none, means: sent, certainly not sent, or nobody knows."""

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

from functions.notify.mailer import MailNotSent, MailRefused, SesMailer
from functions.notify.templates import Mail

MAIL = Mail("alice@example.com", "Your order is confirmed", "Thank you")
URL = "https://email.us-east-1.amazonaws.com"


@dataclass
class FakeSes:
    error: Exception | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send_email(self, **mail: Any) -> dict[str, str]:
        if self.error:
            raise self.error
        self.sent.append(mail)
        return {"MessageId": "ses-1"}


def answered(code: str) -> ClientError:
    message = "Email address is not verified: alice@example.com"
    return ClientError({"Error": {"Code": code, "Message": message}}, "SendEmail")


def send(ses: FakeSes) -> str:
    return SesMailer(cast(Any, ses), "orders@example.com").send(MAIL)


def test_a_mail_goes_from_our_sender_to_the_customer_in_plain_text() -> None:
    ses = FakeSes()
    assert send(ses) == "ses-1"
    assert ses.sent == [
        {
            "Source": "orders@example.com",
            "Destination": {"ToAddresses": ["alice@example.com"]},
            "Message": {
                "Subject": {"Data": "Your order is confirmed", "Charset": "UTF-8"},
                "Body": {"Text": {"Data": "Thank you", "Charset": "UTF-8"}},
            },
        }
    ]


@pytest.mark.parametrize("code", ["MessageRejected", "InvalidParameterValue"])
def test_a_refusal_of_the_mail_itself_is_for_good(code: str) -> None:
    with pytest.raises(MailRefused) as refusal:
        send(FakeSes(answered(code)))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "error",
    [
        answered("Throttling"),
        answered("ServiceUnavailable"),
        answered("InternalFailure"),
        answered("AccountSendingPausedException"),
        answered("MailFromDomainNotVerifiedException"),
        answered("AccessDenied"),
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        NoCredentialsError(),
    ],
    ids=repr,
)
def test_what_was_certainly_not_sent_may_be_sent_again(error: Exception) -> None:
    with pytest.raises(MailNotSent) as failure:
        send(FakeSes(error))
    assert not isinstance(failure.value, MailRefused)


@pytest.mark.parametrize(
    "error", [ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL)], ids=repr
)
def test_no_answer_to_a_request_that_left_is_not_taken_for_a_failure(error: Exception) -> None:
    with pytest.raises(type(error)):
        send(FakeSes(error))


def test_an_error_does_not_quote_the_address_that_ses_quotes() -> None:
    with pytest.raises(MailRefused) as refusal:
        send(FakeSes(answered("MessageRejected")))
    assert "alice" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_the_sdk_does_not_send_a_mail_again_by_itself() -> None:
    mailer = SesMailer.connect("orders@example.com")
    assert cast(Any, mailer)._client.meta.config.retries["total_max_attempts"] == 1
