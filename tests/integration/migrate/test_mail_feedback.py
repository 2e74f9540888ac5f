"""Migration 0016 on a database that is in use: the code before it goes on, and the code after it may mark mails."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from functions.migrate.migrate import upgrade
from orders.db import Credentials, Database
from orders.domain import NotificationStatus
from tests.integration.migrate.test_queued_notifications import WRITE_NOTIFICATION, WRITE_ORDER
from tests.support.factories import execute, rows

NEW = {NotificationStatus.BOUNCED, NotificationStatus.COMPLAINED}
WRITE_RECIPIENT = """
    INSERT INTO recipients (id, user_id, channel, address, locale, code_expires_at, key, fingerprint)
    VALUES (gen_random_uuid(), 'user', 'email', 'a@example.com', 'en', now(), 'key', '')
"""


def test_every_status_from_before_is_good_and_two_are_new(empty_database: Callable[[], Credentials]) -> None:
    credentials = empty_database()
    upgrade(credentials, "0015")
    database = Database(lambda: credentials)
    execute(database, WRITE_ORDER, id=uuid4())
    for status in set(NotificationStatus) - NEW:
        execute(database, WRITE_NOTIFICATION, type=status, status=status)
    for status in NEW:
        with pytest.raises(IntegrityError):
            execute(database, WRITE_NOTIFICATION, type=status, status=status)

    assert upgrade(credentials, "0016") == "0016"

    for status in NEW:
        execute(database, WRITE_NOTIFICATION, type=status, status=status)
    execute(database, WRITE_RECIPIENT)
    with pytest.raises(IntegrityError):
        execute(database, "UPDATE notifications SET status = 'LOST'")
    assert rows(database, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    database.engine.dispose()


def test_it_can_be_repeated_when_it_broke_off(empty_database: Callable[[], Credentials]) -> None:
    credentials = empty_database()
    upgrade(credentials, "0015")
    database = Database(lambda: credentials)
    execute(database, "CREATE TABLE suppressed_addresses (in_the_way int)")
    with pytest.raises(Exception, match="already exists"):
        upgrade(credentials, "0016")
    execute(database, "DROP TABLE suppressed_addresses")

    assert upgrade(credentials, "0016") == "0016"
    database.engine.dispose()


def test_two_databases_have_no_digest_in_common(empty_database: Callable[[], Credentials]) -> None:
    digests = set()
    for _ in range(2):
        credentials = empty_database()
        upgrade(credentials, "0016")
        database = Database(lambda: credentials)  # noqa: B023
        (found,) = rows(database, "SELECT address_digest('Ada@Example.com') AS digest")
        assert (
            found["digest"]
            == rows(database, "SELECT address_digest('ada@example.com') AS digest")[0]["digest"]
        )
        digests.add(found["digest"])
        database.engine.dispose()

    assert [len(digest) for digest in digests] == [64, 64]
