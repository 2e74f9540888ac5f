"""The SQL: what is claimed, in which order, by whom, and what a mark may change."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from functions.outbox_relay import claims as claims_module
from functions.outbox_relay.claims import LEASE_SECONDS, BackOff, Burial, ClaimedEvent, Claims
from orders import outbox
from orders.db import Credentials, Database
from orders.domain import Priority
from orders.ids import uuid7
from tests.integration.relay.outbox_setup import ORDER_CREATED, add_event, add_events, make_due, row, statuses
from tests.support.factories import TRACE, execute, rows
from tools.round_trips import RoundTripCounter


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database)


def ids(claimed: list[ClaimedEvent]) -> list[UUID]:
    return [event.id for event in claimed]


def back_off(event: ClaimedEvent, *, delay_seconds: float = 5, refusals: int = 0) -> BackOff:
    return BackOff(event, delay_seconds, refusals, "InternalError")


def pass_time(database: Database, elapsed: timedelta) -> None:
    execute(
        database,
        "UPDATE outbox SET created_at = created_at - CAST(:elapsed AS interval), "
        "not_before = not_before - CAST(:elapsed AS interval), "
        "available_at = available_at - CAST(:elapsed AS interval)",
        elapsed=elapsed,
    )


def test_a_claim_brings_all_that_a_message_needs(database: Database, claims: Claims) -> None:
    (event_id,) = add_events(database)
    stored = row(database, event_id)
    (event,) = claims.claim(10)
    assert event.id == event_id
    assert event.type == ORDER_CREATED.type
    assert event.subject == stored["subject"]
    assert type(ORDER_CREATED).model_validate_json(event.data) == ORDER_CREATED
    assert (event.correlation_id, event.traceparent) == (TRACE.correlation_id, TRACE.traceparent)
    assert event.created_at == stored["created_at"]
    assert (event.attempts, event.refusals) == (1, 0)


def test_a_claimed_event_is_nobody_elses(database: Database, claims: Claims) -> None:
    add_events(database, 3)
    assert len(claims.claim(10)) == 3
    assert claims.claim(10) == []


def test_a_claim_takes_no_more_than_its_limit_and_the_longest_due_first(
    database: Database, claims: Claims
) -> None:
    added = [add_events(database)[0] for _ in range(6)]
    execute(
        database, "UPDATE outbox SET available_at = now() - interval '1 hour' WHERE id = :id", id=added[4]
    )
    assert set(ids(claims.claim(2))) == {added[4], added[0]}
    assert set(ids(claims.claim(2))) == {added[1], added[2]}


def test_urgent_events_are_claimed_before_normal_ones_that_have_waited_longer(
    database: Database, claims: Claims
) -> None:
    normal = add_events(database, 3)
    urgent = add_events(database, 2, priority=Priority.HIGH)
    assert set(ids(claims.claim(2))) == set(urgent)
    assert set(ids(claims.claim(10))) == set(normal)


def test_a_claim_says_which_events_are_urgent(database: Database, claims: Claims) -> None:
    add_events(database)
    (urgent,) = add_events(database, priority=Priority.HIGH)
    assert {event.id for event in claims.claim(10) if event.priority is Priority.HIGH} == {urgent}


def test_of_each_claim_a_share_is_left_to_normal_events_however_many_urgent_ones_wait(
    database: Database, claims: Claims
) -> None:
    normal = sorted(add_events(database, 3))
    add_events(database, 30, priority=Priority.HIGH)
    for remaining in (normal[:2], normal[2:], []):
        claimed = claims.claim(10)
        assert {event.id for event in claimed if event.priority is Priority.NORMAL} == set(remaining)
        assert sum(event.priority is Priority.HIGH for event in claimed) == 8


def test_what_urgent_events_leave_of_a_claim_is_for_normal_ones(database: Database, claims: Claims) -> None:
    add_events(database, 30)
    add_events(database, 1, priority=Priority.HIGH)
    assert len(claims.claim(10)) == 10


def test_an_urgent_event_waits_for_its_time_as_any_other(database: Database, claims: Claims) -> None:
    add_events(database, priority=Priority.HIGH)
    (normal,) = add_events(database)
    execute(database, "UPDATE outbox SET available_at = now() + interval '1 second' WHERE priority = 'high'")
    assert ids(claims.claim(10)) == [normal]


def test_a_delayed_event_is_published_at_its_time_and_that_is_its_first_attempt(
    database: Database, claims: Claims
) -> None:
    order_id, tomorrow = uuid7(), datetime.now(UTC) + timedelta(days=1)
    database.transact(
        lambda connection: outbox.add(connection, order_id, ORDER_CREATED, TRACE, not_before=tomorrow)
    )
    assert claims.claim(10) == []
    (waiting,) = rows(database, "SELECT not_before, available_at, attempts FROM outbox")
    assert waiting == {"not_before": tomorrow, "available_at": tomorrow, "attempts": 0}

    pass_time(database, timedelta(days=1))
    (event,) = claims.claim(10)
    assert (event.subject, event.attempts, event.refusals) == (order_id, 1, 0)


def test_a_delay_that_was_asked_for_is_no_lag(database: Database, claims: Claims) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    database.transact(
        lambda connection: outbox.add(connection, uuid7(), ORDER_CREATED, TRACE, not_before=later)
    )
    pass_time(database, timedelta(hours=1, seconds=30))
    lag_ms = claims.mark_published(claims.claim(10))
    assert lag_ms is not None
    assert 30_000 <= lag_ms < 40_000


def test_an_event_is_not_claimed_before_its_time(database: Database, claims: Claims) -> None:
    (delayed,) = add_events(database)
    execute(database, "UPDATE outbox SET available_at = now() + interval '1 second'")
    assert claims.claim(10) == []
    execute(database, "UPDATE outbox SET available_at = now() - interval '1 millisecond'")
    assert ids(claims.claim(10)) == [delayed]


def test_a_lease_is_as_long_as_it_says_by_the_databases_clock(database: Database, claims: Claims) -> None:
    add_events(database)
    claims.claim(10)
    (lease,) = rows(database, "SELECT available_at - now() AS left FROM outbox")
    assert timedelta(seconds=LEASE_SECONDS - 10) < lease["left"] <= timedelta(seconds=LEASE_SECONDS)


def test_when_a_lease_has_ended_the_event_is_claimed_again_under_another_token(
    database: Database, claims: Claims
) -> None:
    add_events(database)
    (first,) = claims.claim(10)
    make_due(database)
    (second,) = claims.claim(10)
    assert second.id == first.id
    assert second.token != first.token
    assert second.attempts == 2


def test_events_of_a_transaction_under_way_neither_block_nor_are_passed_over_for_good(
    database: Database, credentials: Credentials, claims: Claims
) -> None:
    """The earlier id commits after the later one was published: a cursor would never see it."""
    early, late = Database(lambda: credentials), Database(lambda: credentials)
    with early.engine.connect() as slow, late.engine.connect() as quick:
        first = add_event(slow)
        second = add_event(quick)
        assert first < second
        quick.commit()
        claimed = claims.claim(10)
        assert ids(claimed) == [second]
        claims.mark_published(claimed)
        slow.commit()
    assert ids(claims.claim(10)) == [first]
    early.engine.dispose()
    late.engine.dispose()


def test_claims_of_others_that_are_under_way_are_passed_over_and_not_waited_for(
    database: Database, credentials: Credentials, claims: Claims
) -> None:
    first, second = add_events(database, 2)
    other = Database(lambda: credentials)
    with other.engine.connect() as connection:
        connection.execute(text("SELECT FROM outbox WHERE id = :id FOR UPDATE"), {"id": first})
        assert ids(claims.claim(10)) == [second]
    other.engine.dispose()


def test_no_event_is_claimed_twice_by_relays_at_once(credentials: Credentials, database: Database) -> None:
    expected = add_events(database, 2000)
    claimed: list[UUID] = []
    start = threading.Barrier(4)

    def claim_all() -> None:
        own = Database(lambda: credentials)
        start.wait()
        while events := Claims(own).claim(50):
            claimed.extend(ids(events))
        own.engine.dispose()

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A claim that finds every due row locked ends its thread early; what is left then is claimed here.
    claimed.extend(ids(Claims(database).claim(2000)))
    assert max(Counter(claimed).values()) == 1
    assert set(claimed) == set(expected)


def test_a_mark_changes_only_what_it_names(database: Database, claims: Claims) -> None:
    add_events(database, 3)
    one, two, three = claims.claim(10)
    claims.mark_published([one])
    claims.back_off([back_off(two)])
    claims.bury([Burial(three, "UnknownEventType")])
    published, waiting, dead = (row(database, event.id) for event in (one, two, three))
    assert (published["status"], published["last_error"]) == ("PUBLISHED", None)
    assert published["published_at"] >= published["created_at"]
    assert (waiting["status"], waiting["last_error"], waiting["published_at"]) == (
        "PENDING",
        "InternalError",
        None,
    )
    assert (dead["status"], dead["last_error"], dead["refusals"]) == ("DEAD", "UnknownEventType", 1)
    assert claims.claim(10) == []


def test_a_back_off_lasts_as_long_as_it_says(database: Database, claims: Claims) -> None:
    add_events(database)
    claims.back_off([back_off(event, delay_seconds=5, refusals=3) for event in claims.claim(10)])
    (left,) = rows(database, "SELECT available_at - now() AS left, refusals, attempts FROM outbox")
    assert timedelta(seconds=3) < left["left"] <= timedelta(seconds=5)
    assert (left["refusals"], left["attempts"]) == (3, 1)


def test_the_lag_is_that_of_the_oldest(database: Database, claims: Claims) -> None:
    old, _ = add_events(database, 2)
    execute(
        database, "UPDATE outbox SET created_at = created_at - interval '90 seconds' WHERE id = :id", id=old
    )
    lag_ms = claims.mark_published(claims.claim(10))
    assert lag_ms is not None
    assert 90_000 <= lag_ms < 100_000


def test_a_relay_that_was_overtaken_changes_nothing(database: Database, claims: Claims) -> None:
    add_events(database)
    (overtaken,) = claims.claim(10)
    make_due(database)
    (current,) = claims.claim(10)
    before = row(database, current.id)

    assert claims.mark_published([overtaken]) is None
    claims.back_off([back_off(overtaken, delay_seconds=0)])
    claims.bury([Burial(overtaken, "InternalError")])
    assert row(database, current.id) == before

    claims.mark_published([current])
    assert statuses(database) == {"PUBLISHED": 1}


def test_what_is_settled_stays_so(database: Database, claims: Claims) -> None:
    add_events(database)
    (event,) = claims.claim(10)
    claims.mark_published([event])
    published = row(database, event.id)
    assert claims.mark_published([event]) is None
    claims.back_off([back_off(event)])
    claims.bury([Burial(event, "InternalError")])
    assert row(database, event.id) == published


def test_an_unknown_event_is_no_error(database: Database, claims: Claims) -> None:
    add_events(database)
    (event,) = claims.claim(10)
    assert claims.mark_published([replace(event, id=uuid4())]) is None


def test_a_poll_and_a_mark_are_one_statement_each_for_hundreds_of_events(credentials: Credentials) -> None:
    with RoundTripCounter.to(credentials) as counter:
        database = Database(lambda: counter.credentials)
        add_events(database, 500)
        claims = Claims(database)
        with counter.listening() as poll:
            claimed = claims.claim(500)
        with counter.listening() as mark:
            claims.mark_published(claimed)
        database.engine.dispose()
    assert len(claimed) == 500
    assert len(poll.work) == len(mark.work) == 1
    assert poll.round_trips == 1
    # Two if Postgres has begun to answer before it has all the ids.
    assert mark.round_trips <= 2


@pytest.mark.parametrize("known", [False, True], ids=["without statistics", "with statistics"])
@pytest.mark.parametrize("pending", [0, 500])
def test_a_poll_reads_the_index_of_pending_events_and_never_the_table(
    database: Database, claims: Claims, pending: int, known: bool
) -> None:
    add_events(database, 20_000)
    execute(database, "UPDATE outbox SET status = 'PUBLISHED', published_at = now()")
    add_events(database, pending) if pending else None
    execute(database, "ANALYZE outbox") if known else None
    parameters = {"token": uuid4(), "lease_seconds": LEASE_SECONDS, "limit": 250, "high_limit": 200}
    plan = rows(database, f"EXPLAIN {claims_module._CLAIM.text}", **parameters)
    steps = "\n".join(line["QUERY PLAN"] for line in plan)
    # What it knows nothing of it may collect before it sorts it, but from the index all the same.
    assert steps.count("Index Scan using outbox_due" if known else "outbox_due") == 2
    assert "Seq Scan" not in steps
