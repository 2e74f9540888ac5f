"""I7: the database allows exactly the status changes that the domain's table names."""

from itertools import product

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from orders.db import Database
from orders.domain import LEGAL_TRANSITIONS, OrderStatus
from tests.support.factories import add_order

INSERT_ONLY = text("ALTER TABLE orders DISABLE TRIGGER orders_check_transition")
CHECKED_AGAIN = text("ALTER TABLE orders ENABLE TRIGGER orders_check_transition")
CHANGE = text("UPDATE orders SET status = :status")
AS_OPERATOR = text("SELECT set_config('orders.operator', 'olivia', true)")

CHANGES = [change for change in product(OrderStatus, OrderStatus) if change[0] != change[1]]


@pytest.fixture
def order(database: Database) -> Database:
    add_order(database)
    return database


def change(database: Database, before: OrderStatus, after: OrderStatus, *, by_operator: bool) -> None:
    """From a status that is brought about by force to another one, which is not."""

    def work(connection: Connection) -> None:
        connection.execute(INSERT_ONLY)
        connection.execute(CHANGE, {"status": before})
        connection.execute(CHECKED_AGAIN)
        if by_operator:
            connection.execute(AS_OPERATOR)
        connection.execute(CHANGE, {"status": after})

    database.transact(work)


def is_legal(before: OrderStatus, after: OrderStatus, *, by_operator: bool) -> bool:
    return after in LEGAL_TRANSITIONS[before] and (by_operator or before is not OrderStatus.NEEDS_REVIEW)


@pytest.mark.parametrize("by_operator", [False, True])
def test_the_trigger_allows_what_the_domain_calls_legal(order: Database, by_operator: bool) -> None:
    allowed = set()
    for before, after in CHANGES:
        try:
            change(order, before, after, by_operator=by_operator)
        except IntegrityError:
            continue
        allowed.add((before, after))

    assert allowed == {pair for pair in CHANGES if is_legal(*pair, by_operator=by_operator)}


def test_a_status_may_be_written_again(order: Database) -> None:
    for status in OrderStatus:
        change(order, status, status, by_operator=False)


def test_a_refusal_says_what_was_tried(order: Database) -> None:
    with pytest.raises(
        IntegrityError, match=r"order [0-9a-f-]{36}: illegal transition from PENDING to CONFIRMED"
    ):
        change(order, OrderStatus.PENDING, OrderStatus.CONFIRMED, by_operator=False)
