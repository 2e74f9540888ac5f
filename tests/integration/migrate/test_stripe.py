"""Stripe's provider has its table where it is chosen, and nowhere else."""

from collections.abc import Callable

from sqlalchemy import text

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider
from tests.integration.migrate.catalogue import catalogue, connected
from tests.support import stripe_tables


def of_stripe(credentials: Credentials) -> dict[str, object]:
    return {name: what for name, what in catalogue(credentials).items() if " stripe." in name}


def test_its_migrations_make_the_declared_table_and_nothing_of_the_simulator(
    empty_database: Callable[[], Credentials],
) -> None:
    migrated = empty_database()
    upgrade(migrated, provider=PaymentProvider.STRIPE)
    found = of_stripe(migrated)
    assert not [name for name in catalogue(migrated) if " gateway." in name]
    # The next deploy finds nothing to do.
    upgrade(migrated, provider=PaymentProvider.STRIPE)
    assert of_stripe(migrated) == found

    with connected(migrated) as connection:
        connection.execute(text("DROP SCHEMA stripe CASCADE"))
        connection.execute(text("CREATE SCHEMA stripe"))
        stripe_tables.metadata.create_all(connection)
    assert of_stripe(migrated) == found != {}


def test_a_stage_with_another_provider_has_no_such_table(credentials: Credentials) -> None:
    assert of_stripe(credentials) == {}
