"""The audit of orders that were paid through Stripe: by what Stripe itself has on record."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from orders.db import Database
from tests.support.factories import add_order, add_product, execute
from tools.audit import ledger
from tools.audit.database import EVERY_ORDER, Charge, charges, check_database, snapshot
from tools.cloud.stack import Stack
from tools.errors import Unavailable
from tools.stripe.server import API_KEY, StripeServer

AMOUNT = 1250


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    with StripeServer.running() as server:
        yield server


@pytest.fixture
def api(stripe: StripeServer) -> Iterator[httpx.Client]:
    """With nothing on record."""
    httpx.delete(f"{stripe.url}/_config/data").raise_for_status()
    with httpx.Client(base_url=stripe.url, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        yield client


@pytest.fixture
def without_simulator(database: Database) -> Database:
    """As a stage has it that never paid with the simulator."""
    execute(database, "DROP SCHEMA gateway CASCADE")
    return database


def stack_of(stripe: StripeServer) -> Stack:
    return {"payment_provider": "stripe", "stripe": {"url": stripe.url, "api_key": API_KEY}}  # type: ignore[typeddict-item]


def order(database: Database) -> tuple[UUID, str]:
    """An order with a payment; returns its id and the payment's key."""
    order_id = add_order(database, [(add_product(database), 1)])
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured) "
        "SELECT id, :key, 'CAPTURED', total_amount, currency, total_amount FROM orders WHERE id = :id",
        id=order_id,
        key=f"order-{order_id}",
    )
    return order_id, f"order-{order_id}"


def pay(api: httpx.Client, key: str | None, method: str = "pm_card_visa") -> str:
    """Asks Stripe for a payment; returns the payment intent's id."""
    metadata = {"metadata[key]": key} if key else {}
    data = {"amount": str(AMOUNT), "currency": "usd", "payment_method": method, **metadata}
    intent: str = api.post("/v1/payment_intents", data=data).raise_for_status().json()["id"]
    api.post(f"/v1/payment_intents/{intent}/confirm")
    return intent


def refund(api: httpx.Client, intent: str, amount: int) -> None:
    api.post("/v1/refunds", data={"payment_intent": intent, "amount": str(amount)}).raise_for_status()


def test_what_stripe_charged_and_gave_back_is_found_by_the_key_that_we_gave_it(
    without_simulator: Database, stripe: StripeServer, api: httpx.Client
) -> None:
    paid, paid_key = order(without_simulator)
    returned, returned_key = order(without_simulator)
    _, declined_key = order(without_simulator)
    _, waiting_key = order(without_simulator)
    pay(api, paid_key)
    given_back = pay(api, returned_key)
    refund(api, given_back, 250)
    refund(api, given_back, 1000)
    pay(api, declined_key, "pm_card_chargeDeclined")
    pay(api, waiting_key, "pm_card_authenticationRequired")

    booked = ledger.read(without_simulator.engine, stack_of(stripe))
    with snapshot(without_simulator.engine) as connection:
        found = charges(connection, EVERY_ORDER, booked)

    assert found == {
        paid: Charge(captures=1, captured=AMOUNT),
        returned: Charge(captures=1, captured=AMOUNT, refunded=AMOUNT),
    }


def test_two_payments_of_one_order_and_one_of_none_break_the_second_promise(
    without_simulator: Database, stripe: StripeServer, api: httpx.Client
) -> None:
    order_id, key = order(without_simulator)
    for _ in range(2):
        pay(api, key)
    stray = pay(api, None)

    booked = ledger.read(without_simulator.engine, stack_of(stripe))
    verdicts = {
        verdict.promise: verdict for verdict in check_database(without_simulator.engine, ledger=booked)
    }

    assert {(found.subject, found.problem) for found in verdicts["I2"].violations} == {
        (str(order_id), f"2 captures under {key}"),
        (stray, "was charged, but no payment has this key"),
    }


def test_a_list_is_read_to_its_last_page(
    without_simulator: Database, stripe: StripeServer, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_PAGE_SIZE", 2)
    keys = {f"order-{number}" for number in range(5)}
    for key in keys:
        pay(api, key)

    assert {entry.key for entry in ledger.stripe_entries(stripe.url, API_KEY)} == keys


def test_orders_that_were_paid_before_the_stage_changed_its_provider_are_in_the_books_too(
    database: Database, stripe: StripeServer, api: httpx.Client
) -> None:
    before, key = order(database)
    execute(
        database,
        "INSERT INTO gateway.payments (key, payment_id, status, amount, currency) "
        "VALUES (:key, gen_random_uuid(), 'CAPTURED', 1250, 'USD')",
        key=key,
    )
    execute(
        database, "INSERT INTO gateway.entries (key, kind, amount) VALUES (:key, 'CAPTURE', 1250)", key=key
    )
    after, key = order(database)
    pay(api, key)

    booked = ledger.read(database.engine, stack_of(stripe))
    with snapshot(database.engine) as connection:
        found = charges(connection, EVERY_ORDER, booked)

    assert found == dict.fromkeys((before, after), Charge(captures=1, captured=AMOUNT))


def test_records_that_cannot_be_read_are_told_and_not_taken_for_none(stripe: StripeServer) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        list(ledger.stripe_entries(stripe.url, "sk_test_of_somebody_else"))
