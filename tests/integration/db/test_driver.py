"""The driver: what it says to Postgres, and what it lets an error say."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from pg8000.dbapi import DatabaseError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from orders import driver
from orders.db import Credentials, Database
from tests.support.factories import EMAIL, execute, rows
from tools.round_trips import RoundTripCounter

A_UUID = UUID("018f3f7e-0000-7000-8000-000000000001")


@pytest.fixture
def counter(credentials: Credentials) -> Iterator[RoundTripCounter]:
    with RoundTripCounter.to(credentials) as counter:
        yield counter


@pytest.fixture
def counted(counter: RoundTripCounter) -> Iterator[Database]:
    """A database whose connection is made."""
    database = Database(lambda: counter.credentials)
    rows(database, "SELECT 1")
    yield database
    database.engine.dispose()


class TestRoundTrips:
    @pytest.mark.parametrize(
        ("statement", "parameters"),
        [
            ("SELECT 1", {}),
            ("SELECT CAST(:a AS int)", {"a": 1}),
            ("SELECT CAST(:a AS int) WHERE :b = 'x'", {"a": 1, "b": "y"}),
            ("INSERT INTO inbox VALUES (:consumer, :event)", {"consumer": "a", "event": A_UUID}),
        ],
    )
    def test_a_statement_is_one_between_begin_and_commit(
        self, counted: Database, counter: RoundTripCounter, statement: str, parameters: dict[str, Any]
    ) -> None:
        with counter.listening() as heard:
            counted.transact(lambda connection: connection.execute(text(statement), parameters))

        assert [said.sql.split()[0].lower() for said in heard.statements] == [
            "begin",
            statement.split()[0].lower(),
            "commit",
        ]
        assert heard.round_trips == 3

    def test_a_failed_one_is_rolled_back_in_one(self, counted: Database, counter: RoundTripCounter) -> None:
        with counter.listening() as heard, pytest.raises(DBAPIError):
            rows(counted, "SELECT CAST(:a AS int)", a="no number")

        assert heard.round_trips == 3

    def test_a_statement_alone_needs_neither(self, counted: Database, counter: RoundTripCounter) -> None:
        with counter.listening() as heard:
            counted.transact_alone(
                lambda connection: connection.execute(text("SELECT CAST(:a AS int)"), {"a": 1})
            )

        assert heard.round_trips == 1


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            "",
            "plain",
            "it's",
            '"quoted"',
            "back\\slash",
            "%s %% %(x)s",
            ":name $1 ?",
            "--",
            "\n\t",
            "é 😀",
            "x" * 100_000,
        ],
    )
    def test_text_comes_back_as_it_went(self, database: Database, value: str) -> None:
        assert rows(database, "SELECT CAST(:value AS text) AS value", value=value) == [{"value": value}]

    @pytest.mark.parametrize("value", [0, -1, 2**31, 2**63 - 1, None])
    def test_numbers_too(self, database: Database, value: int | None) -> None:
        assert rows(database, "SELECT CAST(:value AS bigint) AS value", value=value) == [{"value": value}]

    def test_lists_too(self, database: Database) -> None:
        assert rows(
            database,
            "SELECT CAST(:uuids AS uuid[]) AS uuids, CAST(:texts AS text[]) AS texts, CAST(:none AS int[]) AS none",
            uuids=[A_UUID],
            texts=['a"b', "c,d", "{e}", "NULL", ""],
            none=[],
        ) == [{"uuids": [A_UUID], "texts": ['a"b', "c,d", "{e}", "NULL", ""], "none": []}]

    @pytest.mark.parametrize("value", ["\ud800", "\0"])
    def test_what_postgres_cannot_hold_is_refused_and_the_connection_goes_on(
        self, database: Database, value: str
    ) -> None:
        with pytest.raises((UnicodeEncodeError, DBAPIError)):
            rows(database, "SELECT CAST(:value AS text)", value=value)

        assert rows(database, "SELECT CAST(:value AS text) AS value", value="next") == [{"value": "next"}]

    def test_percent_signs_mean_themselves(self, database: Database) -> None:
        assert rows(database, "SELECT 'a' LIKE 'a%' AS a, CAST(:b AS text) AS b", b="%") == [
            {"a": True, "b": "%"}
        ]

    def test_many_rows_at_once(self, database: Database) -> None:
        execute(
            database,
            "INSERT INTO inbox (consumer, event_id) SELECT 'a', gen_random_uuid() FROM generate_series(1, :n)",
            n=5000,
        )

        assert len(rows(database, "SELECT * FROM inbox WHERE consumer = :consumer", consumer="a")) == 5000


class TestErrors:
    """An error's text ends in a log, and rows hold contact data."""

    @pytest.mark.parametrize(
        "statement",
        [
            # DETAIL would quote the row
            "INSERT INTO saga_steps (order_id, step, status, error) VALUES (gen_random_uuid(), 's', 'WRONG', :email)",
            "INSERT INTO notifications (id, error) VALUES (gen_random_uuid(), :email)",
            # DETAIL would quote the key
            "INSERT INTO idempotency_keys VALUES ('u', :email, 'f', gen_random_uuid())",
            "WITH once AS (INSERT INTO inbox VALUES (:email, gen_random_uuid()) RETURNING *) SELECT * FROM missing",
            # the message would quote the value
            "SELECT CAST(CAST(:email AS text) AS int)",
            "SELECT CAST(CAST(:email AS text) AS uuid)",
            "SELECT CAST(CAST(:email AS text) AS timestamptz)",
            "SELECT CAST(CAST(:email AS text) AS jsonb)",
            # CONTEXT would
            "DO $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = '" + EMAIL + "', HINT = '" + EMAIL + "'; END $$",
        ],
    )
    def test_quote_no_data(self, database: Database, statement: str) -> None:
        with pytest.raises(DBAPIError) as raised:
            rows(database, statement, **({"email": EMAIL} if ":email" in statement else {}))

        told = "".join(str(error) for error in (raised.value, raised.value.orig, raised.value.__cause__))
        if not statement.startswith("DO"):
            assert EMAIL not in told
        assert raised.value.orig is not None
        assert EMAIL not in repr(raised.value.orig.args)

    def test_say_what_is_wrong_and_with_what(self, database: Database) -> None:
        with pytest.raises(IntegrityError) as raised:
            rows(database, "INSERT INTO saga_steps VALUES (gen_random_uuid(), 'step', 'WRONG')")

        assert "23514" in str(raised.value)
        assert "saga_steps_status_known_check" in str(raised.value)

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO inbox VALUES ('a', :id), ('a', :id)",
            "INSERT INTO idempotency_keys VALUES ('u', 'k', 'f', :id)",
            "INSERT INTO saga_steps VALUES (:id, 'step', 'WRONG')",
            "INSERT INTO inbox VALUES (NULL, :id)",
        ],
    )
    def test_of_a_constraint_are_integrity_errors(self, database: Database, statement: str) -> None:
        """The driver by itself has one class for all errors."""
        with pytest.raises(IntegrityError):
            rows(database, statement, id=A_UUID)

    def test_of_a_start_are_told_as_they_are(self, credentials: Credentials) -> None:
        nowhere = credentials.model_copy(update={"dbname": "nowhere"})

        with pytest.raises(DatabaseError, match="3D000"):
            nowhere.connect()


def test_a_statement_is_scanned_once(database: Database) -> None:
    driver._numbered.cache_clear()

    def work(connection: Connection) -> None:
        for number in range(10):
            connection.execute(text("SELECT CAST(:a AS int)"), {"a": number})

    database.transact(work)

    assert driver._numbered.cache_info().misses == 1
