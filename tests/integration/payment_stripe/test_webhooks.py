"""What Stripe's webhooks say is believed only with its signature, and says only where to look."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import pytest

from orders.errors import PaymentDeclined
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import InvalidSignature, ProviderEvent, verifier
from payment_stripe.gateway import StripeGateway
from payment_stripe.webhooks import TYPES, verify
from tests.integration.payment_stripe.conftest import CHARGE, Stripe

SECRET = "whsec_of_this_test"


def event(type: str = "payment_intent.succeeded", **about: Any) -> bytes:
    about = {"id": "pi_1", "object": "payment_intent", "metadata": {"key": "order-1"}, **about}
    return json.dumps({"id": "evt_1", "object": "event", "type": type, "data": {"object": about}}).encode()


def signed(body: bytes, *secrets: str, at: float | None = None) -> dict[str, str]:
    import stripe

    timestamp = int(time.time() if at is None else at)
    headers = [
        stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)
        for secret in secrets
    ]
    signatures = [header.partition(",")[2] for header in headers]
    return {"stripe-signature": ",".join([f"t={timestamp}", *signatures])}


def test_an_event_says_where_to_look() -> None:
    body = event()

    found = verify(body, signed(body, SECRET), SECRET)

    assert found == ProviderEvent("evt_1", "payment_intent.succeeded", "pi_1", "order-1")
    assert verifier(PaymentProvider.STRIPE) is verify


@pytest.mark.parametrize("type", sorted(TYPES - {"payment_intent.succeeded"}))
def test_every_type_that_is_needed_names_its_payment(type: str) -> None:
    is_intent = type.startswith("payment_intent.")
    about = {"id": "pi_1"} if is_intent else {"id": "re_1", "payment_intent": "pi_1", "metadata": {}}
    body = event(type, **about)

    found = verify(body, signed(body, SECRET), SECRET)

    assert found == ProviderEvent("evt_1", type, "pi_1", "order-1" if is_intent else None)


@pytest.mark.parametrize(
    "body",
    [
        event("customer.created"),
        event("some.type.of.next.year"),
        # A charge without a payment intent.
        event("refund.created", payment_intent=None),
    ],
)
def test_what_nobody_needs_is_none(body: bytes) -> None:
    assert verify(body, signed(body, SECRET), SECRET) is None


def test_while_a_secret_is_rolled_either_signature_will_do() -> None:
    body = event()

    assert verify(body, signed(body, "whsec_old", SECRET), SECRET)
    assert verify(body, signed(body, SECRET, "whsec_new"), SECRET)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"stripe-signature": ""},
        {"stripe-signature": "t=1,v1="},
        {"stripe-signature": "v1=abc"},
        {"stripe-signature": "t=now,v1=abc"},
        {"stripe-signature": "t=1,v1=ä"},
        {"stripe-signature": "=,=,="},
        signed(event(), "whsec_of_another"),
        signed(event(type="refund.created"), SECRET),
        {"stripe-signature": signed(event(), SECRET)["stripe-signature"].replace("v1=", "v0=")},
    ],
)
def test_nothing_is_believed_without_a_signature(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify(event(), headers, SECRET)


@pytest.mark.parametrize("seconds", [-310, 310])
def test_nothing_is_believed_of_another_time(seconds: float) -> None:
    with pytest.raises(InvalidSignature):
        verify(event(), signed(event(), SECRET, at=time.time() + seconds), SECRET)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'"event"', b"\xff", b'{"id": "evt_1", "type": "refund.created"}']
)
def test_what_is_no_event_is_refused_also_with_a_signature(body: bytes) -> None:
    headers = signed(body, SECRET) if body != b"\xff" else {"stripe-signature": f"t={int(time.time())},v1=0"}

    with pytest.raises(InvalidSignature):
        verify(body, headers, SECRET)


@pytest.mark.parametrize("secret", ["", " "])
def test_an_empty_secret_verifies_nothing(secret: str) -> None:
    with pytest.raises(InvalidSignature):
        verify(event(), signed(event(), secret), secret)


@contextmanager
def listening() -> Iterator[tuple[str, "Queue[tuple[bytes, dict[str, str]]]"]]:
    """An address, and what is posted there: body and headers."""
    received: Queue[tuple[bytes, dict[str, str]]] = Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()
        thread.join()


def test_what_happens_to_a_payment_is_told_by_webhooks(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    with listening() as (url, received):
        stripe.server.send_webhooks_to(url, SECRET)
        payment = gateway.capture(key, CHARGE)
        gateway.refund_part(key, f"refund-{key}", 400)
        stripe.server.close_dispute(stripe.server.dispute(payment.payment_id), "lost")
        with pytest.raises(PaymentDeclined):
            gateway.capture(f"{key}-2", replace(CHARGE, method="pm_card_chargeDeclined"))

        told: dict[str, ProviderEvent] = {}
        while not {"payment_intent.canceled", "charge.dispute.closed"} <= told.keys():
            body, headers = received.get(timeout=20)
            found = verify(body, headers, SECRET)
            if found and key in (json.loads(body)["data"]["object"].get("metadata") or {}).get("key", key):
                told[found.type] = found

    assert {
        type: event.payment_id for type, event in told.items() if event.payment_id == payment.payment_id
    } == (
        dict.fromkeys(
            ["payment_intent.succeeded", "refund.created", "charge.dispute.created", "charge.dispute.closed"],
            payment.payment_id,
        )
    )
    assert told["payment_intent.succeeded"].key == told["refund.created"].key == key
    assert told["payment_intent.canceled"].key == f"{key}-2"
