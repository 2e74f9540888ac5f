"""An order in Spanish with an e-mail address and a telephone: one Spanish mail and one text message, both tracked."""

import time
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, tokens
from tools.audit import mailbox

# Nobody else's: an hour has two text messages for one that nobody has confirmed.
PHONE = f"+346{uuid4().int % 10**8:08}"
PATIENCE_SECONDS = 60


def await_sent(caller: Caller, order_id: str) -> dict[str, dict[str, Any]]:
    """The order's notifications by channel, once none is on its way any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = caller.get(f"/orders/{order_id}/notifications")
        assert answer.status == 200
        told = {each["channel"]: each for each in answer.body["items"]}
        if told and all(each["status"] not in {"QUEUED", "SENDING"} for each in told.values()):
            return told
        time.sleep(0.1)
    pytest.fail(f"the customer of order {order_id} was not told")


def test_an_order_in_spanish_is_told_of_once_by_mail_and_once_by_text_message(running_cloud: Cloud) -> None:
    customer, other = (
        Caller(running_cloud.stack["api_url"], tokens(running_cloud, user)["AccessToken"])
        for user in ("customer", "other")
    )
    address = f"ada-{uuid4().hex}@example.com"
    placed = customer.post({**ORDER, "contact": {"email": address, "phone": PHONE, "locale": "es"}})
    order_id = placed.body["orderId"]
    assert await_end(customer, order_id)["status"] == "CONFIRMED"
    told = await_sent(customer, order_id)
    assert [(told[channel]["status"], told[channel]["attempts"]) for channel in ("email", "sms")] == [
        ("SENT", 1),
        ("SENT", 1),
    ]

    (mail,) = [mail for mail in mailbox.read(running_cloud.settings) or [] if mail.to == (address,)]
    assert mail.subject == "Tu pedido está confirmado"
    assert order_id in mail.body
    assert '<html lang="es">' in mail.html
    assert order_id in mail.html
    assert "Importe" in mail.html

    (text,) = [text for text in mailbox.read_texts(running_cloud.settings) if order_id in text.body]
    assert (text.to, text.id) == (PHONE, told["sms"]["providerId"])
    assert text.body.startswith("Gracias.")

    assert PHONE not in str(told)
    assert address not in str(told)
    assert other.get(f"/orders/{order_id}/notifications").status == 404
