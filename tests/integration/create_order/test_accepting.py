"""A valid `POST /orders` is accepted at once, in one transaction."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from orders.db import Database
from tests.integration.create_order.orders_api import PATH, post
from tests.support.api import Client
from tests.support.factories import ALICE, EMAIL, PHONE, Product, add_product, order_body, rows
from tests.support.logs import Logs

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_order_is_answered_with_202_and_where_to_look(alice: Client, product: Product) -> None:
    answer = post(alice, order_body([(product.product_id, 3)]))

    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.json.keys() == {"orderId", "status", "totalAmount", "currency", "createdAt"}
    assert answer.json["status"] == "PENDING"
    assert answer.json["totalAmount"] == 3 * product.unit_price
    assert answer.json["currency"] == "USD"
    assert UUID(answer.json["orderId"]).version == 7
    assert answer.headers["location"] == f"{PATH}/{answer.json['orderId']}"
    assert "idempotency-replayed" not in answer.headers


def test_times_are_utc_in_rfc_3339(alice: Client, product: Product) -> None:
    created_at = post(alice, order_body([(product.product_id, 1)])).json["createdAt"]

    assert created_at.endswith("Z")
    assert abs(datetime.fromisoformat(created_at) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_order_its_lines_its_event_and_its_key_are_written_together(
    alice: Client, database: Database
) -> None:
    coffee = add_product(database, unit_price=1250)
    tea = add_product(database, unit_price=300)

    order_id = post(alice, order_body([(coffee.product_id, 2), (tea.product_id, 5)]), key="key-1").json[
        "orderId"
    ]

    assert rows(
        database,
        "SELECT id, user_id, status, currency, total_amount, payment_method, contact_email, contact_phone, locale "
        "FROM orders",
    ) == [
        {
            "id": UUID(order_id),
            "user_id": ALICE,
            "status": "PENDING",
            "currency": "USD",
            "total_amount": 2 * 1250 + 5 * 300,
            "payment_method": "pm_card_visa",
            "contact_email": EMAIL,
            "contact_phone": PHONE,
            "locale": "en",
        }
    ]
    assert rows(
        database, "SELECT line_no, product_id, quantity, unit_price FROM order_items ORDER BY line_no"
    ) == [
        {"line_no": 1, "product_id": coffee.product_id, "quantity": 2, "unit_price": 1250},
        {"line_no": 2, "product_id": tea.product_id, "quantity": 5, "unit_price": 300},
    ]
    assert rows(database, "SELECT type, subject, data, status FROM outbox") == [
        {
            "type": "com.orders.order.created.v1",
            "subject": UUID(order_id),
            "data": {"totalAmount": 4000, "currency": "USD"},
            "status": "PENDING",
        }
    ]
    assert rows(database, "SELECT user_id, key, order_id FROM idempotency_keys") == [
        {"user_id": ALICE, "key": "key-1", "order_id": UUID(order_id)}
    ]


@pytest.mark.parametrize(
    ("asked", "priority"),
    [({}, "normal"), ({"priority": "normal"}, "normal")],
)
def test_the_order_and_its_event_have_the_priority_that_was_asked_for(
    alice: Client, product: Product, database: Database, asked: dict[str, str], priority: str
) -> None:
    post(alice, order_body([(product.product_id, 1)], **asked))

    assert rows(
        database, "SELECT orders.priority, event.priority AS events FROM orders, outbox AS event"
    ) == [{"priority": priority, "events": priority}]


def test_the_correlation_id_and_the_trace_follow_the_order(
    alice: Client, product: Product, database: Database
) -> None:
    answer = post(
        alice, order_body([(product.product_id, 1)]), X_Correlation_Id="checkout-42", traceparent=TRACEPARENT
    )

    assert answer.headers["x-correlation-id"] == "checkout-42"
    assert rows(database, "SELECT correlation_id FROM orders") == [{"correlation_id": "checkout-42"}]
    assert rows(database, "SELECT correlation_id, traceparent FROM outbox") == [
        {"correlation_id": "checkout-42", "traceparent": TRACEPARENT}
    ]


def test_a_trace_that_is_not_well_formed_is_replaced(
    alice: Client, product: Product, database: Database
) -> None:
    post(alice, order_body([(product.product_id, 1)]), traceparent="00-nonsense-01")

    (event,) = rows(database, "SELECT traceparent FROM outbox")
    assert event["traceparent"].startswith("00-")
    assert "nonsense" not in event["traceparent"]


def test_without_a_caller_s_trace_the_order_has_that_of_its_invocation(
    alice: Client, product: Product, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "_X_AMZN_TRACE_ID", "Root=1-5e6722a7-cc56fa1246db7ae02d4da47e;Parent=1e6722a7cc56fa12;Sampled=1"
    )

    post(alice, order_body([(product.product_id, 1)]))

    assert rows(database, "SELECT traceparent FROM outbox") == [
        {"traceparent": "00-5e6722a7cc56fa1246db7ae02d4da47e-1e6722a7cc56fa12-01"}
    ]


def test_the_same_product_twice_is_one_line(alice: Client, database: Database) -> None:
    """Trap T18."""
    coffee, tea = add_product(database), add_product(database)

    answer = post(alice, order_body([(coffee.product_id, 2), (tea.product_id, 1), (coffee.product_id, 3)]))

    assert answer.status == 202
    assert rows(database, "SELECT product_id, quantity FROM order_items ORDER BY line_no") == [
        {"product_id": coffee.product_id, "quantity": 5},
        {"product_id": tea.product_id, "quantity": 1},
    ]


def test_fifty_lines_of_a_hundred_are_accepted(alice: Client, database: Database) -> None:
    products = [add_product(database, unit_price=1_000_000) for _ in range(50)]

    answer = post(alice, order_body([(product.product_id, 100) for product in products]))

    assert answer.status == 202
    assert answer.json["totalAmount"] == 50 * 100 * 1_000_000
    assert rows(database, "SELECT count(*) AS lines FROM order_items") == [{"lines": 50}]


def test_more_than_is_in_stock_is_accepted_for_the_saga_decides_about_stock(
    alice: Client, database: Database
) -> None:
    scarce = add_product(database, available=1)

    assert post(alice, order_body([(scarce.product_id, 2)])).status == 202


@pytest.mark.parametrize("contact", [{"email": EMAIL}, {"email": EMAIL, "phone": None, "locale": "es"}])
def test_telephone_and_language_are_optional(
    alice: Client, product: Product, contact: dict[str, str]
) -> None:
    assert post(alice, order_body([(product.product_id, 1)], contact=contact)).status == 202


@pytest.mark.parametrize(
    ("email", "sent_to"),
    [
        ("ada@example.xn--p1ai", "ada@example.xn--p1ai"),
        ("ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"),
        ("Ada@BÜCHER.de", "Ada@xn--bcher-kva.de"),
        ("ada+shop@example.com", "ada+shop@example.com"),
    ],
)
def test_mail_goes_to_the_ascii_form_of_an_address(
    alice: Client, product: Product, database: Database, email: str, sent_to: str
) -> None:
    assert post(alice, order_body([(product.product_id, 1)], contact={"email": email})).status == 202

    assert rows(database, "SELECT contact_email FROM orders") == [{"contact_email": sent_to}]


def test_another_currency_is_accepted_when_the_products_are_priced_in_it(
    alice: Client, database: Database
) -> None:
    cheese = add_product(database, currency="EUR", unit_price=900)

    assert post(alice, order_body([(cheese.product_id, 1)], currency="EUR")).json["currency"] == "EUR"


def test_each_accepted_order_is_counted_once_a_replay_is_not(
    alice: Client, product: Product, logs: Logs
) -> None:
    for _ in range(3):
        post(alice, order_body([(product.product_id, 1)]), key="same")

    assert logs.everything.count('"OrdersAccepted":[1.0]') == 1
