"""The payment provider's webhooks as they arrive: checked by their signature, queued, and nothing else."""

import base64
import importlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from orders.payments.webhooks import TOLERANCE_SECONDS, ProviderMessage
from payment_simulator.webhooks import SIGNATURE_HEADER, sign
from tests.support.api import Answer, Client
from tests.support.factories import TRACE, TRACE_ID
from tests.support.written import recorded
from tools.http_event import http_event

HANDLER = "functions.payment_webhooks.handler"
PATH = "/api/v1/webhooks/payments/simulator"
OLD, NEW = "the-old-secret-of-the-provider", "the-new-secret-of-the-provider"
EVENT = {"id": "evt_1", "type": "payment.captured", "paymentId": "pay_1", "key": "order-1"}
BODY = json.dumps(EVENT)


@dataclass
class Intake:
    """The deployed function, and the queue behind it. There is no database in its world."""

    module: Any
    sqs: Any
    queue_url: str

    @property
    def client(self) -> Client:
        return Client(self.module.handler, user_id=None)

    def post(
        self, body: str | bytes, headers: dict[str, str] | None = None, path: str = PATH, secret: str = OLD
    ) -> Answer:
        raw = body if isinstance(body, bytes) else body.encode()
        return self.client.post(path, body, sign(raw, secret) if headers is None else headers)

    def queued(self) -> list[ProviderMessage]:
        """What is in the queue. It is hidden there for a while then."""
        messages = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [
            ProviderMessage.model_validate_json(message["Body"]) for message in messages.get("Messages", [])
        ]


def deployed(monkeypatch: pytest.MonkeyPatch, name: str, secrets: str) -> Intake:
    """Secrets are remembered by name: each test has its own."""
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=secrets)
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="payment-webhooks")["QueueUrl"]
    monkeypatch.delenv("DATABASE_SECRET_ID")
    monkeypatch.setenv("SIGNING_SECRET_ID", name)
    monkeypatch.setenv("QUEUE_URL", url)
    for module in (HANDLER, "functions.payment_webhooks.intake"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return Intake(importlib.import_module(HANDLER), sqs, url)


@pytest.fixture
def intake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    with mock_aws():
        yield deployed(monkeypatch, request.node.name, f"{OLD}\n{NEW}\n")


def test_a_signed_event_is_queued_by_its_ids(intake: Intake) -> None:
    answer = intake.post(BODY)

    assert answer.status == 200
    assert intake.queued() == [
        ProviderMessage(
            provider="simulator",
            event_id="evt_1",
            type="payment.captured",
            payment_id="pay_1",
            key="order-1",
            correlation_id=answer.headers["x-correlation-id"],
        )
    ]


def test_the_message_and_the_log_lines_go_on_in_the_trace_of_the_request(intake: Intake) -> None:
    with recorded() as written:
        intake.post(BODY, sign(BODY.encode(), OLD) | {"traceparent": TRACE.traceparent})

    (message,) = intake.sqs.receive_message(
        QueueUrl=intake.queue_url, MessageSystemAttributeNames=["AWSTraceHeader"]
    )["Messages"]
    assert message["Attributes"]["AWSTraceHeader"] == (
        "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
    )
    (line,) = written.logs("Event of the payment provider queued")
    assert line["trace_id"] == TRACE_ID


@pytest.mark.parametrize("body", [BODY, BODY.encode(), f"{BODY}\n", json.dumps(EVENT | {"name": "Zoë ☕"})])
def test_the_signature_is_over_the_bytes_as_they_came_text_or_base64(
    intake: Intake, body: str | bytes
) -> None:
    assert intake.post(body).status == 200
    assert len(intake.queued()) == 1


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_while_the_secret_is_rotated_both_are_good(intake: Intake, secret: str) -> None:
    assert intake.post(BODY, secret=secret).status == 200
    assert len(intake.queued()) == 1


def test_without_a_secret_nothing_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        intake = deployed(monkeypatch, "an-empty-secret", " \n")
        assert intake.post(BODY, secret="").status == 400
        assert intake.queued() == []


def signed_at(seconds: float) -> dict[str, str]:
    return sign(BODY.encode(), OLD, at=time.time() + seconds)


FORGED = {
    "no signature": {},
    "another secret": sign(BODY.encode(), "guessed"),
    "an empty secret": sign(BODY.encode(), ""),
    "another body": sign(BODY.replace("pay_1", "pay_2").encode(), OLD),
    "no time": {SIGNATURE_HEADER: "v1=" + "0" * 64},
    "no scheme": {SIGNATURE_HEADER: "t=1"},
    "not ASCII": {SIGNATURE_HEADER: "t=1,v1=é"},
    "a time that is no number": {SIGNATURE_HEADER: "t=²,v1=" + "0" * 64},
    "nothing at all": {SIGNATURE_HEADER: ""},
    "the whole header twice": {SIGNATURE_HEADER: ",".join(sign(BODY.encode(), "guessed").values()) * 2},
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_event_is_refused_and_told_nothing(intake: Intake, forgery: str) -> None:
    with recorded() as written:
        answer = intake.post(BODY, FORGED[forgery])

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["detail"] == "The request is not acceptable"
    assert "pay_1" not in written.text
    assert intake.queued() == []


def test_another_time_is_refused_also_with_its_own_signature_changed(intake: Intake) -> None:
    """The time is signed as well: a recorded request does not become fresh by another `t`."""
    old = signed_at(-TOLERANCE_SECONDS - 60)[SIGNATURE_HEADER]
    fresh = f"t={int(time.time())},{old.partition(',')[2]}"

    assert intake.post(BODY, {SIGNATURE_HEADER: fresh}).status == 400


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS - 5, TOLERANCE_SECONDS + 5, -86_400])
def test_a_stale_event_or_one_from_the_future_is_refused(intake: Intake, seconds: float) -> None:
    assert intake.post(BODY, signed_at(seconds)).status == 400
    assert intake.queued() == []


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS + 30, TOLERANCE_SECONDS - 30])
def test_clocks_may_differ(intake: Intake, seconds: float) -> None:
    assert intake.post(BODY, signed_at(seconds)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        "7",
        '"text"',
        '{"id": 1}',
        json.dumps(EVENT | {"paymentId": None}),
        b"\xff\xfe",
    ],
)
def test_what_is_signed_and_no_event_is_refused(intake: Intake, body: str | bytes) -> None:
    assert intake.post(body).status == 400
    assert intake.queued() == []


def test_base64_that_is_none_is_refused(intake: Intake) -> None:
    event = http_event("POST", PATH, body=BODY.encode(), headers=sign(BODY.encode(), OLD), user_id=None)
    assert intake.client.send(event | {"body": "?" + event["body"]}).status == 400


@pytest.mark.parametrize("is_encoded", [False, True])
def test_what_is_too_large_is_refused_before_it_is_checked(intake: Intake, is_encoded: bool) -> None:
    large = json.dumps(EVENT | {"padding": "x" * 256 * 1024})

    answer = intake.post(large.encode() if is_encoded else large, {})

    assert answer.status == 413
    assert intake.queued() == []


@pytest.mark.parametrize("event_type", ["payment.viewed", "customer.created", "something.new"])
def test_an_event_that_nobody_needs_is_accepted_and_not_queued(intake: Intake, event_type: str) -> None:
    assert intake.post(json.dumps(EVENT | {"type": event_type})).status == 200
    assert intake.queued() == []


@pytest.mark.parametrize("provider", ["stripe", "paypal", "SIMULATOR", "simulator%20"])
def test_another_providers_address_is_none(intake: Intake, provider: str) -> None:
    assert intake.post(BODY, path=f"/api/v1/webhooks/payments/{provider}").status == 404
    assert intake.queued() == []


def test_the_content_type_does_not_matter(intake: Intake) -> None:
    headers = sign(BODY.encode(), OLD) | {"Content-Type": "application/vnd.provider+json"}
    assert intake.post(BODY, headers).status == 200


def test_a_queue_that_takes_nothing_has_the_provider_send_it_again(intake: Intake) -> None:
    refusal = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessage")
    with patch("botocore.client.BaseClient._make_api_call", side_effect=refusal):
        # The secret is known by now, or is not to be had either.
        answer = intake.post(BODY)

    assert answer.status == 503
    assert answer.headers["retry-after"]


def test_it_is_quick_and_needs_no_database(intake: Intake) -> None:
    """There is none: no variable of its settings leads to one."""
    intake.post(BODY)
    times = []
    for _ in range(100):
        begun = time.perf_counter()
        assert intake.post(BODY).status == 200
        times.append(time.perf_counter() - begun)

    p95 = statistics.quantiles(times, n=20)[-1]
    assert p95 <= 0.1, f"p95 is {1000 * p95:.0f} ms"


def test_a_refusal_is_counted(intake: Intake) -> None:
    with recorded() as written:
        intake.post(BODY, {})

    assert '"PaymentWebhooksRefused":[1.0]' in written.text.replace(" ", "")


def test_no_log_line_has_the_body_the_signature_or_the_secret(intake: Intake) -> None:
    headers = sign(BODY.encode(), OLD)
    with recorded() as written:
        intake.post(BODY, headers)
        intake.post(BODY, headers | {SIGNATURE_HEADER: "t=1,v1=abc"})

    digest = headers[SIGNATURE_HEADER].partition("v1=")[2]
    for secret in (OLD, NEW, digest, "order-1", base64.b64encode(BODY.encode()).decode()):
        assert secret not in written.text
