import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.events import NotificationRequested, OrderCreated
from tools.cloud import catalogue, postgres, recovery
from tools.cloud.settings import Settings

STOCK = "SELECT stocked, available, reserved, sold FROM stock WHERE product_id = :id"


MIGRATED = "migrated"


@pytest.fixture(scope="module")
def server() -> Iterator[Settings]:
    # Not below tmp_path: for root, Postgres runs as another account, and every pytest that starts closes the
    # directory above to others again.
    with tempfile.TemporaryDirectory(prefix="orders-local-") as home:
        settings = Settings(Path(home), "http://127.0.0.1:9", 9, {"PATH": os.environ["PATH"]})
        assert postgres.start(settings)
        yield settings
        postgres.stop(settings)


@pytest.fixture
def settings(server: Settings) -> Settings:
    """A server with an empty database."""
    _renew_database(server, "template1")
    return server


@pytest.fixture(scope="module")
def template(server: Settings) -> str:
    """The name of a migrated database, to copy."""
    upgrade(Credentials.model_validate(postgres.credentials(server)))
    with postgres.connect(server, postgres.SUPERUSER, "postgres") as connection:
        connection.run(f"ALTER DATABASE {postgres.DATABASE} RENAME TO {MIGRATED}")
    return MIGRATED


@pytest.fixture
def migrated(server: Settings, template: str) -> Settings:
    _renew_database(server, template)
    return server


def _renew_database(server: Settings, template: str) -> None:
    with postgres.connect(server, postgres.SUPERUSER, "postgres") as connection:
        connection.run(f"DROP DATABASE IF EXISTS {postgres.DATABASE} WITH (FORCE)")
        connection.run(f"CREATE DATABASE {postgres.DATABASE} TEMPLATE {template} OWNER {postgres.OWNER}")


def _run(settings: Settings, statement: str, **parameters: Any) -> list[list[Any]]:
    with postgres.connect(settings) as connection:
        return connection.run(statement, **parameters) or []


def test_a_killed_server_starts_again_with_its_data(settings: Settings) -> None:
    _run(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
    identity = postgres.identity(settings)
    server = postgres.daemon(settings).find()
    assert server is not None
    server.kill()

    assert postgres.start(settings)

    assert _run(settings, "SELECT answer FROM kept") == [[42]]
    assert postgres.identity(settings) == identity


def test_starting_twice_starts_once(settings: Settings) -> None:
    assert not postgres.start(settings)


def test_its_log_quotes_no_rows(settings: Settings) -> None:
    _run(settings, "CREATE TABLE contacts (email text PRIMARY KEY)")
    _run(settings, "INSERT INTO contacts VALUES ('ana@example.com')")

    with pytest.raises(Exception, match="contacts_pkey"):
        _run(settings, "INSERT INTO contacts VALUES (:email)", email="ana@example.com")

    log = (settings.logs / "postgres.log").read_text()
    assert "contacts_pkey" in log
    assert "ana@example.com" not in log


def test_the_role_of_the_functions_is_no_superuser(settings: Settings) -> None:
    assert _run(settings, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [[False]]


def test_the_catalogue_is_seeded_once(migrated: Settings) -> None:
    for _ in range(2):
        catalogue.seed(migrated)
    assert _run(migrated, "SELECT count(*) FROM products") == [[len(catalogue.PRODUCTS)]]
    assert _run(migrated, STOCK, id=catalogue.LAST_FIVE.id) == [[5, 5, 0, 0]]
    assert _run(migrated, "SELECT count(*) FROM products WHERE NOT active") == [[1]]


def test_what_was_sold_is_restocked_and_the_books_stay_balanced(migrated: Settings) -> None:
    catalogue.seed(migrated)
    _run(
        migrated,
        "UPDATE stock SET available = 1, reserved = 1, sold = 3 WHERE product_id = :id",
        id=catalogue.LAST_FIVE.id,
    )
    catalogue.seed(migrated)
    assert _run(migrated, STOCK, id=catalogue.LAST_FIVE.id) == [[9, 5, 1, 3]]
    received = _run(
        migrated,
        "SELECT kind, quantity FROM stock_movements WHERE product_id = :id ORDER BY id",
        id=catalogue.LAST_FIVE.id,
    )
    assert received == [["RECEIVED", 5], ["RECEIVED", 4]]


def _order(settings: Settings, status: str) -> UUID:
    order_id = uuid4()
    _run(
        settings,
        """
        INSERT INTO orders (id, user_id, status, currency, total_amount, payment_method, contact_email, locale,
            correlation_id)
        VALUES (:id, 'user', :status, 'USD', 100, 'pm_card_visa', 'a@example.com', 'en', 'correlation')
        """,
        id=order_id,
        status=status,
    )
    return order_id


def _event(settings: Settings, order_id: UUID, event_type: str, status: str = "PUBLISHED") -> UUID:
    event_id = uuid4()
    _run(
        settings,
        """
        INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, published_at)
        VALUES (:id, :type, :order_id, '{}', 'correlation', 'trace', :status, now())
        """,
        id=event_id,
        type=event_type,
        order_id=order_id,
        status=status,
    )
    return event_id


def test_only_events_whose_work_was_lost_are_published_again(migrated: Settings) -> None:
    lost = {
        _event(migrated, _order(migrated, "PENDING"), OrderCreated.type),
        _event(migrated, _order(migrated, "PROCESSING"), OrderCreated.type),
        _event(migrated, _order(migrated, "CONFIRMED"), NotificationRequested.type),
    }
    _event(migrated, _order(migrated, "CONFIRMED"), OrderCreated.type)
    _event(migrated, _order(migrated, "PROCESSING"), OrderCreated.type, status="DEAD")
    taken = _event(migrated, _order(migrated, "CANCELLED"), NotificationRequested.type)
    _run(migrated, "INSERT INTO inbox (consumer, event_id) VALUES ('notify', :id)", id=taken)

    replaced = _order(migrated, "PROCESSING")
    _event(migrated, replaced, OrderCreated.type)
    _run(migrated, "INSERT INTO saga_recoveries VALUES (:id, 1, now())", id=replaced)

    assert recovery.republish(migrated) == 3

    pending = _run(migrated, "SELECT id FROM outbox WHERE status = 'PENDING' AND published_at IS NULL")
    assert {event_id for (event_id,) in pending} == lost


def test_lost_executions_of_unfinished_orders_are_numbered_from_the_first_again(migrated: Settings) -> None:
    numbers = {"PENDING": 1, "PROCESSING": 2, "NEEDS_REVIEW": 3, "CONFIRMED": 4}
    for status, number in numbers.items():
        order_id = _order(migrated, status)
        _run(migrated, "INSERT INTO saga_recoveries VALUES (:id, :number, now())", id=order_id, number=number)

    recovery.forget_executions(migrated)

    found = _run(
        migrated,
        "SELECT status, resumes FROM saga_recoveries JOIN orders ON orders.id = order_id ORDER BY resumes, status",
    )
    assert found == [["PENDING", 0], ["PROCESSING", 0], ["NEEDS_REVIEW", 3], ["CONFIRMED", 4]]


def test_a_new_database_has_no_executions_to_forget(settings: Settings) -> None:
    assert _run(settings, "SELECT to_regclass('saga_recoveries')") == [[None]]
    recovery.forget_executions(settings)
