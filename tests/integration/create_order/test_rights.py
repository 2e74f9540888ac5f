"""What a caller or a stage must have the right to: high priority, and the payment methods of the provider."""

from pathlib import Path
from typing import Any

import pytest

from functions.create_order import handler
from orders.db import Database
from orders.payments.provider import PaymentProvider, methods
from payment_simulator.methods import METHODS
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import Product, order_body, rows


def count(database: Database) -> int:
    return int(rows(database, "SELECT count(*) AS n FROM orders")[0]["n"])


@pytest.fixture
def body(product: Product) -> dict[str, Any]:
    return order_body([(product.product_id, 1)])


# Priority


@pytest.mark.parametrize("groups", ["[priority]", "[admin]", "[support priority]", "[priority admin]"])
def test_members_of_the_group_order_with_high_priority(
    alice: Client, body: dict[str, Any], database: Database, groups: str
) -> None:
    alice.groups = groups

    assert post(alice, {**body, "priority": "high"}).status == 202

    assert rows(
        database, "SELECT orders.priority, event.priority AS events FROM orders, outbox AS event"
    ) == [{"priority": "high", "events": "high"}]


@pytest.mark.parametrize(
    "groups",
    [None, "[]", "[customers]", "[x,priority]", "[[priority]]", "[Priority]", "priority", "[prioritys]"],
)
def test_high_priority_is_refused_to_everybody_else_and_places_nothing(
    alice: Client, body: dict[str, Any], database: Database, groups: str | None
) -> None:
    alice.groups = groups

    answer = post(alice, {**body, "priority": "high"})

    assert (answer.status, answer.pointers) == (403, ["#/priority"])
    assert answer.json["type"].endswith("/priority-not-allowed")
    assert "group 'priority'" in answer.json["detail"]
    assert count(database) == 0


@pytest.mark.parametrize("asked", [{}, {"priority": "normal"}])
def test_normal_priority_needs_no_group(alice: Client, body: dict[str, Any], asked: dict[str, str]) -> None:
    assert post(alice, {**body, **asked}).status == 202


# Payment methods


@pytest.mark.parametrize("method", METHODS)
def test_the_simulator_takes_its_own_methods(alice: Client, body: dict[str, Any], method: str) -> None:
    assert post(alice, {**body, "paymentMethod": method}).status == 202


@pytest.mark.parametrize(
    "method",
    ["pm_card_declned", "pm_card_Visa", "pm_card_visa_", "pm_1J2k3L4m5N6o7P", "pm_simulated2", "pm_card_"],
)
def test_an_unknown_method_is_refused_with_those_that_there_are(
    alice: Client, body: dict[str, Any], database: Database, method: str
) -> None:
    answer = post(alice, {**body, "paymentMethod": method})

    assert (answer.status, answer.pointers) == (422, ["#/paymentMethod"])
    (error,) = answer.json["errors"]
    assert all(known in error["detail"] for known in METHODS)
    assert count(database) == 0


@pytest.fixture
def with_paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stage with another provider, which knows best what it takes."""
    package = tmp_path / "payment_paper"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PaymentProvider, "package", "payment_paper")
    return package


@pytest.mark.usefixtures("with_paper")
@pytest.mark.parametrize("method", [*METHODS, "pm_card_mastercard", "pm_card_anything"])
def test_test_methods_are_refused_where_the_provider_moves_money(
    alice: Client, body: dict[str, Any], database: Database, method: str
) -> None:
    answer = post(alice, {**body, "paymentMethod": method})

    assert (answer.status, answer.pointers) == (422, ["#/paymentMethod"])
    assert "test" in answer.json["errors"][0]["detail"]
    assert count(database) == 0


@pytest.mark.usefixtures("with_paper")
def test_test_methods_are_taken_where_payments_may_be_tests(
    alice: Client, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowing = handler.settings.model_copy(update={"allow_test_payments": True})
    monkeypatch.setattr(handler, "settings", allowing)

    assert post(alice, {**body, "paymentMethod": "pm_card_chargeDeclined"}).status == 202


@pytest.mark.usefixtures("with_paper")
def test_other_methods_are_for_that_provider_to_decide(alice: Client, body: dict[str, Any]) -> None:
    assert methods(PaymentProvider.SIMULATOR) is None
    assert post(alice, {**body, "paymentMethod": "pm_1J2k3L4m5N6o7P"}).status == 202
