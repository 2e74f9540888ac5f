"""The Lambda as AWS starts it, with SES and SNS as moto has them, and with an SES that never answers."""

import importlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends

from functions.notify.accounts import CognitoAccounts
from functions.notify.mailer import SesMailer
from functions.notify.rendering import RenderedMessage
from orders.db import Credentials, Database
from orders.domain import Channel, Notification
from orders.errors import ServiceUnavailable
from orders.events import OrderCreated
from tests.integration.notify.fake_sender import PLENTY, notification
from tests.support.api import lambda_context
from tests.support.consumers import (
    FakeDeadLetterQueue,
    batch,
    cloud_event,
    failed,
    notification_requested,
    published,
)
from tests.support.factories import EMAIL, PHONE, add_order, rows
from tests.support.written import recorded

HANDLER = "functions.notify.handler"
SENDER = "orders@example.com"
CONFIGURATION_SET = "orders-test-mails"
KEY = "the key of all confirmation codes, in tests"


@pytest.fixture
def handler(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module, freshly imported. The sender is not verified: a test that sends does that."""
    with mock_aws():
        # Powertools remembers secrets by name, and each test has a database of its own.
        boto3.client("secretsmanager").create_secret(
            Name=credentials.dbname, SecretString=credentials.model_dump_json()
        )
        monkeypatch.setenv("DATABASE_SECRET_ID", credentials.dbname)
        monkeypatch.setenv("SENDER_EMAIL", SENDER)
        boto3.client("ses").create_configuration_set(ConfigurationSet={"Name": CONFIGURATION_SET})
        monkeypatch.setenv("MAIL_CONFIGURATION_SET", CONFIGURATION_SET)
        monkeypatch.setenv("SMS_SENDER_ID", "Orders")
        monkeypatch.setenv("SMS_ORIGINATION_NUMBER", "")
        monkeypatch.setenv(
            "MESSAGE_LIMITS", json.dumps({channel: PLENTY.model_dump() for channel in Channel})
        )
        monkeypatch.setenv("USER_POOL_ID", user_pool())
        boto3.client("secretsmanager").create_secret(Name=f"{credentials.dbname}-key", SecretString=KEY)
        monkeypatch.setenv("CODE_KEY_ID", f"{credentials.dbname}-key")
        monkeypatch.delitem(sys.modules, HANDLER, raising=False)
        module = importlib.import_module(HANDLER)
        yield module
        module.database.engine.dispose()


def user_pool() -> str:
    """A new one, without users."""
    pool: str = boto3.client("cognito-idp").create_user_pool(PoolName="users")["UserPool"]["Id"]
    return pool


def sign_up(pool: str, email: str, *, verified: str) -> None:
    boto3.client("cognito-idp").admin_create_user(
        UserPoolId=pool,
        Username=email,
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": verified}],
    )


def verify_sender() -> None:
    boto3.client("ses").verify_email_identity(EmailAddress=SENDER)


def sent() -> list[Any]:
    messages: list[Any] = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    return messages


def deliver(handler: Any, *bodies: str) -> list[str]:
    """Delivers the messages in one batch; answers the ids of those that go back."""
    published(handler.database, *bodies)
    return failed(handler.handler(batch(*bodies), lambda_context(remaining_ms=30_000)))


def test_a_message_becomes_a_mail_to_the_customer_of_the_order(handler: Any, database: Database) -> None:
    verify_sender()
    order_id = add_order(database)
    event = notification_requested(order_id, Notification.ORDER_CONFIRMED)
    with recorded() as written:
        assert deliver(handler, event.model_dump_json()) == []
    (mail,) = sent()
    assert mail.source == SENDER
    assert mail.destinations == {"ToAddresses": [EMAIL]}
    assert mail.subject == "Your order is confirmed"
    assert notification(database, order_id)["status"] == "SENT"
    assert written.metrics == {"NotificationsSent": 1}
    assert EMAIL not in written.text
    (line,) = written.logs("Notification sent")
    assert (line["order_id"], line["event_id"]) == (str(order_id), str(event.id))


def test_a_message_becomes_a_text_message_to_the_telephone_of_the_order(
    handler: Any, database: Database
) -> None:
    order_id = add_order(database)
    event = notification_requested(order_id, Notification.ORDER_CONFIRMED, Channel.SMS)
    with recorded() as written:
        assert deliver(handler, event.model_dump_json()) == []
    ((message_id, (number, text)),) = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sms_messages.items()
    assert number == PHONE
    assert str(order_id) in text
    told = notification(database, order_id)
    assert (told["channel"], told["status"], told["provider_id"]) == ("sms", "SENT", message_id)
    assert PHONE not in written.text


def test_the_recipient_is_the_orders_and_never_the_messages(handler: Any, database: Database) -> None:
    verify_sender()
    order_id = add_order(database)
    message = notification_requested(order_id, Notification.ORDER_CONFIRMED).model_dump(mode="json")
    planted = json.dumps({**message, "email": "mallory@example.com", "to": "mallory@example.com"})
    assert deliver(handler, planted) == []
    assert [mail.destinations for mail in sent()] == [{"ToAddresses": [EMAIL]}]


def test_of_a_batch_with_bad_messages_exactly_those_are_given_up(
    handler: Any, database: Database, dead_letters: FakeDeadLetterQueue
) -> None:
    verify_sender()
    good = [notification_requested(add_order(database), Notification.ORDER_CONFIRMED) for _ in range(2)]
    other_event = cloud_event(uuid4(), OrderCreated(total_amount=1, currency="USD"))
    bodies = [event.model_dump_json() for event in (good[0], other_event, good[1])]
    assert deliver(handler, *bodies, "not json") == []
    assert dead_letters.bodies == [bodies[1], "not json"]
    assert len(sent()) == 2


def test_a_batch_with_the_same_message_twice_sends_one_mail(handler: Any, database: Database) -> None:
    verify_sender()
    body = notification_requested(add_order(database), Notification.ORDER_CONFIRMED).model_dump_json()
    assert deliver(handler, body, body) == []
    assert len(sent()) == 1


def test_a_mail_that_ses_rejects_is_failed_and_does_not_go_back(handler: Any, database: Database) -> None:
    order_id = add_order(database)
    event = notification_requested(order_id, Notification.ORDER_CONFIRMED)
    with recorded() as written:
        assert deliver(handler, event.model_dump_json()) == []
    refused = notification(database, order_id)
    assert (refused["status"], refused["error"]) == ("FAILED", "MessageRejected")
    assert written.metrics == {"NotificationsFailed": 1}
    # SES quotes the address that it does not like.
    assert SENDER not in written.text
    assert EMAIL not in written.text


def test_a_throttled_mail_goes_back_and_nothing_written_quotes_the_answer(
    handler: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled = ClientError(
        {"Error": {"Code": "Throttling", "Message": f"Rate exceeded for {EMAIL}"}}, "SendEmail"
    )

    class Throttled:
        def send_email(self, **mail: Any) -> None:
            raise throttled

    monkeypatch.setattr(handler, "sender", lambda channel: SesMailer(Throttled(), SENDER, CONFIGURATION_SET))  # type: ignore[arg-type]
    order_id = add_order(database)
    event = notification_requested(order_id, Notification.ORDER_CONFIRMED)
    with recorded() as written:
        assert deliver(handler, event.model_dump_json()) == ["message-0"]
    assert notification(database, order_id)["error"] == "Throttling"
    assert EMAIL not in written.text
    (line,) = written.logs("Message failed, it goes back to its queue")
    assert (line["error"], line["detail"]) == ("NotSent", "Throttling")

    verify_sender()
    monkeypatch.setattr(handler, "sender", lambda channel: SesMailer.connect(SENDER, CONFIGURATION_SET))
    assert deliver(handler, event.model_dump_json()) == []
    assert len(sent()) == 1
    assert rows(database, "SELECT status, attempts FROM notifications") == [{"status": "SENT", "attempts": 2}]


def test_a_mail_whose_answer_is_lost_is_not_sent_again_by_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and closes the connection: the mail may be on its way."""
    taken: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                taken.append(connection.recv(1 << 16))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ConnectionClosedError):
            SesMailer.connect(SENDER, CONFIGURATION_SET).send(
                RenderedMessage(EMAIL, "Thank you", "Your order is confirmed")
            )
        listener.shutdown(socket.SHUT_RDWR)
    server.join()
    assert len(taken) == 1


class TestCognito:
    """What the address of an account is. moto finds a user by the name, Cognito by the token's subject too."""

    @pytest.fixture
    def pool(self) -> Iterator[str]:
        with mock_aws():
            yield user_pool()

    @pytest.mark.parametrize(("verified", "address"), [("true", EMAIL), ("false", None)])
    def test_only_a_verified_address_counts(self, pool: str, verified: str, address: str | None) -> None:
        sign_up(pool, EMAIL, verified=verified)
        assert CognitoAccounts.connect(pool).verified_address(EMAIL) == address

    def test_an_account_that_is_gone_has_none(self, pool: str) -> None:
        assert CognitoAccounts.connect(pool).verified_address(str(uuid4())) is None

    def test_a_refusal_is_no_absence(self, pool: str) -> None:
        accounts = CognitoAccounts.connect("us-east-1_nowhere")
        with pytest.raises(ServiceUnavailable):
            accounts.verified_address(EMAIL)
