"""A recipient, from the code in the mailbox to the first mail; and a stranger who is not flooded."""

from uuid import uuid4

import httpx
import pytest

from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, tokens
from tests.e2e.test_notifications import await_sent
from tools.audit import mailbox
from tools.waiting import wait_until

UNCONFIRMED_MAILS = 5
"""An hour, on the local stage."""


@pytest.fixture
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


def mails_to(cloud: Cloud, address: str) -> list[mailbox.Mail]:
    return [mail for mail in mailbox.read(cloud.settings) or [] if mail.to == (address,)]


def told(customer: Caller, address: str) -> tuple[str, str | None]:
    """What became of the mail of one declined order."""
    placed = customer.post({**ORDER, "paymentMethod": "pm_card_declined", "contact": {"email": address}})
    order_id = placed.body["orderId"]
    await_end(customer, order_id)
    mail = await_sent(customer, order_id)["email"]
    return mail["status"], mail["error"]


def test_a_stranger_gets_a_few_mails_and_no_more_until_the_address_is_confirmed(
    running_cloud: Cloud, customer: Caller
) -> None:
    stranger = f"stranger-{uuid4().hex}@example.com"
    outcomes = [told(customer, stranger) for _ in range(UNCONFIRMED_MAILS + 2)]
    assert outcomes == [
        *[("SENT", None)] * UNCONFIRMED_MAILS,
        *[("SUPPRESSED", "RECIPIENT_NOT_CONFIRMED")] * 2,
    ]
    assert len(mails_to(running_cloud, stranger)) == UNCONFIRMED_MAILS

    headers = {"Authorization": f"Bearer {customer.token}", "Idempotency-Key": str(uuid4())}
    recipients = f"{customer.api_url}{API_PREFIX}/recipients"
    with httpx.Client(headers=headers, trust_env=False) as http:
        added = http.post(recipients, json={"channel": "email", "address": stranger})
        assert added.status_code == 202, added.text
        assert wait_until(lambda: len(mails_to(running_cloud, stranger)) > UNCONFIRMED_MAILS, 60)
        mail = mails_to(running_cloud, stranger)[-1]
        assert mail.subject == "Your confirmation code"
        (code,) = [word for word in mail.body.split() if word.isdigit() and len(word) == 6]
        own = f"{recipients}/{added.json()['recipientId']}"
        assert http.post(f"{own}/confirmation", json={"code": code}).status_code == 200
        assert told(customer, stranger) == ("SENT", None)

        assert http.delete(own).status_code == 204
        assert told(customer, stranger) == ("SUPPRESSED", "RECIPIENT_NOT_CONFIRMED")


def test_the_account_s_own_address_needs_no_code(running_cloud: Cloud, customer: Caller) -> None:
    own = running_cloud.stack["users"]["customer"]["email"]
    assert {told(customer, own) for _ in range(UNCONFIRMED_MAILS + 1)} == {("SENT", None)}
