"""Whether an order exists is its owner's business."""

from uuid import UUID, uuid4

import pytest

from orders.db import Database
from tests.support.api import Answer, Client
from tests.support.factories import add_order

ROUTES = ["/api/v1/orders/{}", "/api/v1/orders/{}/status", "/api/v1/orders/{}/notifications"]

NOT_QUITE_AN_ID = [
    "1",
    "null",
    "not-a-uuid",
    "{order_id}x",
    "{compact}",
    "{{{order_id}}}",
    "urn:uuid:{order_id}",
    "{order_id} ",
    "{order_id}%0A",
    "%27%20OR%201=1",
    "' OR '1'='1",
    "\0",
    "é" * 36,
    "x" * 5000,
]


def as_nobody_can_tell(answer: Answer) -> tuple[int, dict[str, str], str]:
    """The whole answer but for what names the request."""
    problem = answer.json
    text = answer.text.replace(problem["correlationId"], "…").replace(problem["instance"], "…")
    return answer.status, {**answer.headers, "x-correlation-id": "…"}, text


@pytest.mark.parametrize("route", ROUTES)
def test_anothers_order_and_an_unknown_one_are_the_same_404(
    alice: Client, bob: Client, database: Database, route: str
) -> None:
    order_id = add_order(database)
    assert alice.get(route.format(order_id)).status == 200

    anothers, unknown = bob.get(route.format(order_id)), bob.get(route.format(uuid4()))

    assert anothers.status == 404
    assert anothers.headers["content-type"] == "application/problem+json"
    assert anothers.json["type"].endswith("/order-not-found")
    assert as_nobody_can_tell(anothers) == as_nobody_can_tell(unknown)


@pytest.mark.parametrize("route", ROUTES)
def test_knowing_the_current_version_tells_nothing_either(
    alice: Client, bob: Client, database: Database, route: str
) -> None:
    order_id = add_order(database)
    known = {"If-None-Match": alice.get(f"/api/v1/orders/{order_id}/status").headers["etag"]}

    for tag in (known, {"If-None-Match": "*"}):
        assert bob.get(route.format(order_id), tag).status == 404


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_no_id_is_the_id_of_no_order(alice: Client, database: Database, route: str) -> None:
    """404 and not 422: an address is not a form to fill in. One order has one address."""
    order_id = add_order(database)
    for almost in NOT_QUITE_AN_ID:
        id = almost.format(order_id=order_id, compact=order_id.hex)
        assert alice.get(route.format(id)).status == 404, almost


def test_an_id_may_be_written_in_capitals(alice: Client, database: Database) -> None:
    order_id = add_order(database)

    answer = alice.get(f"/api/v1/orders/{str(order_id).upper()}")

    assert UUID(answer.json["orderId"]) == order_id
