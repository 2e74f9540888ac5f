"""An order in Spanish with an e-mail address and a telephone: one Spanish mail and one text message, both tracked."""

import time
from typing import Any
from uuid import uuid4

import pytest

from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, request, tokens
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


@pytest.mark.parametrize(("mailbox_name", "status"), [("bounce", "BOUNCED"), ("complaint", "COMPLAINED")])
def test_an_address_that_bounces_or_complains_is_written_to_again_when_an_operator_allows_it(
    running_cloud: Cloud, mailbox_name: str, status: str
) -> None:
    """With SES's own mailbox simulator, which the emulator has, too."""
    api_url = running_cloud.stack["api_url"]
    customer, admin = (
        Caller(api_url, tokens(running_cloud, user)["AccessToken"]) for user in ("customer", "admin")
    )
    address = f"{mailbox_name}+{uuid4().hex}@simulator.amazonses.com"

    def mail_of_a_new_order() -> tuple[str, dict[str, Any]]:
        placed = customer.post({**ORDER, "contact": {"email": address, "locale": "en"}})
        order_id = placed.body["orderId"]
        await_end(customer, order_id)
        return order_id, await_sent(customer, order_id)["email"]

    def await_feedback(order_id: str) -> dict[str, Any]:
        # A message that came before our own record is looked at again after three minutes.
        deadline = time.monotonic() + 4 * PATIENCE_SECONDS
        while time.monotonic() < deadline:
            told = await_sent(customer, order_id)["email"]
            if told["status"] != "SENT":
                return told
            time.sleep(0.2)
        pytest.fail("SES told of nothing")

    first, _ = mail_of_a_new_order()
    assert await_feedback(first)["status"] == status

    _, second = mail_of_a_new_order()
    assert (second["status"], second["error"]) == ("SUPPRESSED", f"ADDRESS_{status}")
    found = admin.get(f"/admin/suppressed-addresses/{address}")
    assert (found.status, found.body["reason"], found.body["orderId"]) == (200, status, first)
    allowed = request(
        "DELETE",
        f"{api_url}{API_PREFIX}/admin/suppressed-addresses/{address}?note=repaired",
        headers={"Authorization": f"Bearer {admin.token}"},
    )
    assert allowed.status == 204

    _, third = mail_of_a_new_order()
    assert third["status"] in ("SENT", status)
