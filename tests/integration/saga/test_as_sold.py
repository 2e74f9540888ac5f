"""An order stays as it was sold, whatever becomes of its products: for its owner, in mails, webhooks and reviews."""

import pytest

from functions.notify.notify import notify
from functions.operations.orders.records import read_records
from functions.read_orders.queries import read_order
from orders import lifecycle
from orders.domain import Notification
from orders.events import NotificationRequested
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.integration.saga.pipeline import Order, Pipeline
from tests.support.consumers import notification_requested
from tests.support.factories import ALICE, add_product
from tests.support.webhooks import add_endpoint

SOLD_AS = [("Coffee beans", 2, 1250), ("Teapot", 1, 4000)]
WINDOW_MINUTES = 30
WITHDRAWN = "UPDATE products SET name = 'Not ' || name, unit_price = 1, active = false WHERE id = ANY (:ids)"


@pytest.fixture
def order(pipeline: Pipeline) -> Order:
    lines = [
        (add_product(pipeline.database, name=name, unit_price=price), quantity)
        for name, quantity, price in SOLD_AS
    ]
    return pipeline.order_of(lines)


def withdraw(order: Order) -> None:
    """Its products have another name and price, and are not on sale any more."""
    order.pipeline.execute(WITHDRAWN, ids=order.product_ids)


def mail(order: Order) -> str:
    sender = FakeSender()
    event = notification_requested(order.order_id, Notification.ORDER_CONFIRMED)
    payload = event.payload()
    assert isinstance(payload, NotificationRequested)
    notify(order.pipeline.database, sender, permission(), event, payload)
    return sender.sent[0].text


def held(order: Order) -> dict[str, list[str]]:
    balance = order.pipeline.database.transact(
        lambda connection: lifecycle.read_balance(
            connection, order.order_id, at_gateway=None, gateway_answers=False
        )
    )
    return {"reserved": [*map(str, balance.reserved)], "sold": [*map(str, balance.sold)]}


def test_its_owner_reads_names_and_prices_as_they_were(order: Order) -> None:
    withdraw(order)

    detail = read_order(order.pipeline.database, ALICE, str(order.order_id), WINDOW_MINUTES)

    assert [(line.product_name, line.quantity, line.unit_price) for line in detail.items] == SOLD_AS
    assert detail.total_amount == 6500


def test_a_mail_that_is_sent_later_has_them_too(order: Order) -> None:
    withdraw(order)

    text = mail(order)

    assert "Not " not in text
    for name, _, price in SOLD_AS:
        assert name in text
        assert f"USD {price / 100:.2f}" in text


def test_the_saga_charges_what_was_agreed_and_the_webhook_says_so(pipeline: Pipeline, order: Order) -> None:
    add_endpoint(pipeline.database)
    withdraw(order)

    order.run()

    (event,) = pipeline.rows(
        "SELECT data FROM outbox WHERE subject = :id AND type = :type",
        id=order.order_id,
        type="com.orders.order.confirmed.v1",
    )
    assert event["data"]["totalAmount"] == 6500
    assert order.ending().ledger == [("CAPTURE", 6500)]


def test_an_operator_sees_what_was_sold(order: Order) -> None:
    withdraw(order)

    records = read_records(order.pipeline.database, order.order_id)

    assert [(line.product_name, line.quantity, line.unit_price) for line in records.items] == SOLD_AS


@pytest.mark.parametrize(("until", "where"), [("ProcessPayment", "reserved"), ("CompleteOrder", "sold")])
def test_what_a_review_names_is_what_was_sold(order: Order, until: str, where: str) -> None:
    order.run_until(until)
    withdraw(order)

    assert held(order)[where] == ["2 × Coffee beans", "1 × Teapot"]

    order.run()


def test_an_order_from_before_names_were_kept_has_the_catalogue_s(order: Order) -> None:
    """Nobody knows better."""
    order.pipeline.execute(
        "UPDATE order_items SET product_name = NULL WHERE order_id = :id", id=order.order_id
    )

    detail = read_order(order.pipeline.database, ALICE, str(order.order_id), WINDOW_MINUTES)

    assert [line.product_name for line in detail.items] == ["Coffee beans", "Teapot"]
    assert "Coffee beans" in mail(order)
    assert held(order) == {"reserved": [], "sold": []}
