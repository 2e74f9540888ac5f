"""Migration 0004 on a database that is in use: the code before it goes on, and the code after it may queue."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from functions.migrate.migrate import upgrade
from orders.db import Credentials, Database
from tests.support.factories import execute, rows

WRITE_ORDER = """
    INSERT INTO orders (id, user_id, currency, total_amount, payment_method, contact_email, locale, correlation_id)
    VALUES (:id, 'user', 'USD', 1, 'pm_card_visa', 'a@example.com', 'en', 'c')
"""
WRITE_NOTIFICATION = """
    INSERT INTO notifications (id, order_id, type, channel, status, lease_until)
    SELECT gen_random_uuid(), id, :type, 'email', :status, now() FROM orders
"""


def test_every_status_from_before_is_good_and_one_is_new(empty_database: Callable[[], Credentials]) -> None:
    credentials = empty_database()
    upgrade(credentials, "0003")
    database = Database(lambda: credentials)
    execute(database, WRITE_ORDER, id=uuid4())
    execute(database, WRITE_NOTIFICATION, type="order_confirmed", status="SENT")
    with pytest.raises(IntegrityError):
        execute(database, WRITE_NOTIFICATION, type="payment_failed", status="QUEUED")

    assert upgrade(credentials, "0004") == "0004"

    execute(database, WRITE_NOTIFICATION, type="order_cancelled", status="SENDING")
    execute(database, WRITE_NOTIFICATION, type="payment_failed", status="QUEUED")
    assert rows(database, "SELECT status, attempts FROM notifications ORDER BY type") == [
        {"status": "SENDING", "attempts": 1},
        {"status": "SENT", "attempts": 1},
        {"status": "QUEUED", "attempts": 1},
    ]
    with pytest.raises(IntegrityError):
        execute(database, "UPDATE notifications SET status = 'LOST'")
    assert rows(database, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    database.engine.dispose()
