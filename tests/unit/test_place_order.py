"""The fingerprint of a request, by which a replay is told from a key that is used twice."""

from typing import Any

import pytest

from functions.create_order.models import OrderAccepted, PlaceOrder
from orders.idempotency import IdempotentRequest
from tests.support.factories import EMAIL, PHONE, order_body

A_PRODUCT = "018f3f7e-0000-7000-8000-000000000001"
ANOTHER = "018f3f7e-0000-7000-8000-000000000002"

BODY: dict[str, Any] = {
    "items": [{"productId": A_PRODUCT, "quantity": 2}],
    "currency": "USD",
    "paymentMethod": "pm_card_visa",
    "contact": {"email": "alice@example.com"},
}


def fingerprint(body: dict[str, Any]) -> str:
    order = PlaceOrder.model_validate(body)
    return IdempotentRequest.of(order, user_id="alice", key="a-key").fingerprint


def test_it_is_the_same_from_release_to_release() -> None:
    """Kept ones are compared with new ones: a change here refuses the retries of what was sent before it."""
    assert fingerprint(BODY) == "c805dbff55df51abb6ff86ab4b183106dcd93081018255169283bf8d23c47cb8"


def test_defaults_may_be_spelled_out() -> None:
    spelled_out = {
        **BODY,
        "contact": {**BODY["contact"], "phone": None, "locale": "en"},
        "priority": "normal",
    }

    assert fingerprint(spelled_out) == fingerprint(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"items": [{"productId": A_PRODUCT, "quantity": 3}]},
        {"items": [{"productId": ANOTHER, "quantity": 2}]},
        {"items": [*BODY["items"], {"productId": ANOTHER, "quantity": 1}]},
        {"currency": "EUR"},
        {"paymentMethod": "pm_card_declined"},
        {"contact": {"email": "bob@example.com"}},
        {"contact": {"email": "alice@example.com", "phone": "+34600123456"}},
        {"contact": {"email": "alice@example.com", "locale": "es"}},
        {"priority": "high"},
    ],
)
def test_anything_else_makes_another_request(change: dict[str, Any]) -> None:
    assert fingerprint({**BODY, **change}) != fingerprint(BODY)


def test_it_does_not_tell_what_it_is_of() -> None:
    assert len(fingerprint(BODY)) == 64
    assert "alice" not in fingerprint(BODY)


def test_contact_data_is_in_no_repr() -> None:
    """What a library logs of its arguments is their repr."""
    order = repr(PlaceOrder.model_validate({**order_body([]), "items": BODY["items"]}))

    for secret in (EMAIL, PHONE, "pm_card_visa"):
        assert secret not in order


def test_the_answer_has_exactly_the_members_of_the_contract() -> None:
    properties = OrderAccepted.model_json_schema()["properties"]

    assert properties.keys() == {"orderId", "status", "totalAmount", "currency", "createdAt"}
