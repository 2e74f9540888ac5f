"""Relays on a real database and over real HTTP: nothing is lost, nothing is marked that SQS did not confirm."""

import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from functions.outbox_relay.outcomes import MAX_REFUSALS
from orders.db import Credentials, Database
from orders.domain import Priority
from orders.events import CloudEvent, Queue
from orders.tracing import traceparent_of
from tests.integration.relay import processes
from tests.integration.relay.outbox_setup import (
    NOTIFICATION_REQUESTED,
    Relays,
    add_event,
    add_events,
    connect,
    make_due,
    row,
    statuses,
    times_accepted,
)
from tests.support.factories import TRACE, execute, rows
from tests.support.written import recorded
from tools.aws_server import CallRefused, Entry, EntryRefused, SqsServer


def entry_ids(entries: list[Entry]) -> set[str]:
    return {entry["Id"] for entry in entries}


def test_events_arrive_on_their_queues_as_cloud_events(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    (order,) = add_events(database)
    (mail,) = add_events(database, data=NOTIFICATION_REQUESTED)
    relays.drain()
    arrived = {entry["Id"]: (url, entry) for url, entry in sqs.accepted}
    for event_id, queue in ((order, Queue.ORDER_PROCESSING), (mail, Queue.NOTIFICATION_SENDING)):
        url, entry = arrived[str(event_id)]
        event = CloudEvent.model_validate_json(entry["MessageBody"])
        stored = row(database, event_id)
        assert url == sqs.queue_url(queue)
        assert (event.id, event.subject, event.time) == (event_id, stored["subject"], stored["created_at"])
        assert event.payload().queue == queue
        assert entry["MessageAttributes"]["type"]["StringValue"] == event.type
        header = entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"]
        assert traceparent_of(header) == event.traceparent == TRACE.traceparent


def test_batches_go_out_in_parallel_and_every_event_once(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    sqs.delay_seconds = 0.02
    added = add_events(database, 600)
    relays.drain()
    assert statuses(database) == {"PUBLISHED": 600}
    assert times_accepted(sqs, added) == [1] * 600
    assert sqs.calls == 60
    assert sqs.most_at_once >= 8


def test_under_a_backlog_of_normal_orders_the_urgent_ones_are_published_first(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    add_events(database, 500)
    urgent = add_events(database, 5, priority=Priority.HIGH)
    relays.drain()
    assert {UUID(event_id) for event_id in sqs.accepted_ids[:5]} == set(urgent)
    assert statuses(database) == {"PUBLISHED": 505}


def test_of_a_partly_failed_batch_only_the_failed_are_sent_again(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    added = add_events(database, 10)
    unlucky = {str(event_id) for event_id in random.Random(7).sample(added, 3)}
    failing = {event_id: EntryRefused("InternalError", sender_fault=False) for event_id in unlucky}
    sqs.refusals = lambda entries: {entry_id: failing[entry_id] for entry_id in entry_ids(entries) & unlucky}
    relays.drain()
    assert statuses(database) == {"PENDING": 3, "PUBLISHED": 7}
    assert {
        str(found["id"]) for found in rows(database, "SELECT id FROM outbox WHERE status = 'PENDING'")
    } == unlucky
    assert all(
        (found["last_error"], found["refusals"], found["published_at"]) == ("InternalError", 0, None)
        for found in rows(database, "SELECT * FROM outbox WHERE status = 'PENDING'")
    )

    sqs.refusals = lambda entries: {}
    make_due(database)
    relays.drain()
    assert statuses(database) == {"PUBLISHED": 10}
    assert times_accepted(sqs, added) == [1] * 10


def test_poison_dies_of_its_refusals_while_everything_around_it_is_published(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    added = add_events(database, 30)
    entry_poison, call_poison = str(added[4]), str(added[17])

    def answers(entries: list[Entry]) -> CallRefused | dict[str, EntryRefused]:
        if call_poison in entry_ids(entries):
            return CallRefused("InvalidMessageContents")
        poisoned = entry_ids(entries) & {entry_poison}
        return {entry_id: EntryRefused("InvalidMessageContents", sender_fault=True) for entry_id in poisoned}

    sqs.refusals = answers
    with recorded() as written:
        for _ in range(MAX_REFUSALS):
            assert "DEAD" not in statuses(database)
            relays.drain()
            assert statuses(database)["PUBLISHED"] == 28
            make_due(database)
    assert statuses(database) == {"PUBLISHED": 28, "DEAD": 2}
    dead = rows(database, "SELECT id, last_error, refusals FROM outbox WHERE status = 'DEAD'")
    assert {str(found["id"]) for found in dead} == {entry_poison, call_poison}
    assert {(found["last_error"], found["refusals"]) for found in dead} == {
        ("InvalidMessageContents", MAX_REFUSALS)
    }
    assert len(written.logs("Outbox event is dead")) == 2
    assert written.metrics["OutboxDead"] == 2
    assert max(times_accepted(sqs, added)) == 1


def test_rows_that_cannot_be_messages_die_and_block_nobody(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    unknown, too_large, unreadable, nested, *good = add_events(database, 20)
    execute(database, "UPDATE outbox SET type = 'com.orders.unheard.v1' WHERE id = :id", id=unknown)
    execute(database, "UPDATE outbox SET correlation_id = repeat('c', 300000) WHERE id = :id", id=too_large)
    execute(database, 'UPDATE outbox SET data = \'{"totalAmount": "much"}\' WHERE id = :id', id=unreadable)
    # Postgres stores this; Python's own JSON parser would raise on it, and not a ValueError.
    execute(
        database,
        "UPDATE outbox SET data = CAST(repeat('[', 3000) || repeat(']', 3000) AS jsonb) WHERE id = :id",
        id=nested,
    )
    relays.drain()
    assert statuses(database) == {"PUBLISHED": len(good), "DEAD": 2, "PENDING": 2}
    for _ in range(MAX_REFUSALS - 1):
        make_due(database)
        relays.drain()
    assert statuses(database) == {"PUBLISHED": len(good), "DEAD": 4}
    assert row(database, unknown)["last_error"] == "UnknownEventType"
    assert row(database, too_large)["last_error"] == "MessageTooLarge"
    assert (
        row(database, unreadable)["last_error"] == row(database, nested)["last_error"] == "InvalidEventData"
    )
    assert times_accepted(sqs, good) == [1] * len(good)


def test_an_event_that_waited_for_minutes_says_so(database: Database, sqs: SqsServer, relays: Relays) -> None:
    add_events(database)
    execute(database, "UPDATE outbox SET created_at = now() - interval '5 minutes'")
    with recorded() as written:
        relays.drain()
    assert written.metrics["OutboxLag"] == pytest.approx(300_000, abs=30_000)


@pytest.mark.parametrize(
    "refusal",
    [
        CallRefused("RequestThrottled"),
        CallRefused("ServiceUnavailable", 503),
        CallRefused("AccessDenied", 403),
    ],
)
def test_a_call_that_fails_is_an_outage_and_kills_nothing(
    database: Database, sqs: SqsServer, relays: Relays, refusal: CallRefused
) -> None:
    add_events(database, 5)
    sqs.refusals = lambda entries: refusal
    with recorded() as written:
        for _ in range(MAX_REFUSALS + 2):
            relays.drain()
            make_due(database)
    assert statuses(database) == {"PENDING": 5}
    assert written.metrics["OutboxRetried"] == 5 * (MAX_REFUSALS + 2)
    (found,) = rows(database, "SELECT DISTINCT attempts, refusals, last_error FROM outbox")
    assert found == {"attempts": MAX_REFUSALS + 2, "refusals": 0, "last_error": refusal.code}

    sqs.refusals = lambda entries: {}
    relays.drain()
    assert statuses(database) == {"PUBLISHED": 5}


def test_a_queue_that_nobody_answers_for_is_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqsServer().serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        relays = Relays(database, connect(server))
    add_events(database, 25)
    relays.drain()
    assert statuses(database) == {"PENDING": 25}
    (found,) = rows(database, "SELECT DISTINCT attempts, refusals, last_error FROM outbox")
    assert found == {"attempts": 1, "refusals": 0, "last_error": "EndpointConnectionError"}


def test_a_queue_that_is_down_does_not_hold_up_another(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    mails = add_events(database, 10, data=NOTIFICATION_REQUESTED)
    created = add_events(database, 10)
    down = {str(event_id) for event_id in mails}
    sqs.refusals = lambda entries: CallRefused("InternalError", 500) if entry_ids(entries) & down else {}
    relays.drain()
    assert times_accepted(sqs, created) == [1] * 10
    assert statuses(database) == {"PENDING": 10, "PUBLISHED": 10}


def test_several_relays_at_once_publish_every_event_once(
    credentials: Credentials, database: Database, sqs: SqsServer
) -> None:
    added = add_events(database, 1500)
    publisher = connect(sqs)
    databases = [Database(lambda: credentials) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(Relays(own, publisher).drain) for own in databases]
        counts = [run.result() for run in runs]
    for own in databases:
        own.engine.dispose()
    assert statuses(database) == {"PUBLISHED": 1500}
    assert times_accepted(sqs, added) == [1] * 1500
    assert sum(count["published"] for count in counts) == 1500


def test_relays_in_several_processes_publish_every_event_once(
    credentials: Credentials, database: Database, sqs: SqsServer
) -> None:
    sqs.delay_seconds = 0.05
    added = add_events(database, 1500)
    started = [processes.start("drain", credentials, sqs) for _ in range(2)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    assert statuses(database) == {"PUBLISHED": 1500}
    assert times_accepted(sqs, added) == [1] * 1500


def test_events_whose_commits_overtake_each_other_are_all_published(
    credentials: Credentials, database: Database, sqs: SqsServer, relays: Relays
) -> None:
    slow_database, quick_database = Database(lambda: credentials), Database(lambda: credentials)
    with slow_database.engine.connect() as slow, quick_database.engine.connect() as quick:
        first = add_event(slow)
        second = add_event(quick)
        quick.commit()
        relays.drain()
        assert times_accepted(sqs, [first, second]) == [0, 1]
        slow.commit()
    relays.drain()
    assert times_accepted(sqs, [first, second]) == [1, 1]
    slow_database.engine.dispose()
    quick_database.engine.dispose()


def test_from_commit_to_queue_takes_less_than_half_a_second(
    credentials: Credentials, database: Database, sqs: SqsServer
) -> None:
    sqs.delay_seconds = 0.01
    done = threading.Event()
    own = Database(lambda: credentials)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(Relays(own, connect(sqs)).run, lambda: not done.is_set())
        for _ in range(30):
            add_events(database)
            time.sleep(0.1)
        deadline = time.monotonic() + 10
        while statuses(database) != {"PUBLISHED": 30} and time.monotonic() < deadline:
            time.sleep(0.01)
        done.set()
        run.result()
    own.engine.dispose()
    lags = rows(database, "SELECT extract(epoch FROM published_at - created_at) AS lag FROM outbox")
    assert len(lags) == 30
    assert statistics.quantiles([float(found["lag"]) for found in lags], n=20)[-1] <= 0.5


def test_a_database_that_restarts_in_mid_run_loses_nothing(
    credentials: Credentials, database: Database, sqs: SqsServer
) -> None:
    sqs.delay_seconds = 0.02
    added = add_events(database, 1000)
    own = Database(lambda: credentials)

    def cut_connections_for_a_while() -> None:
        for _ in range(10):
            time.sleep(0.05)
            execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )

    def work_left() -> bool:
        return "PENDING" in statuses(database)

    with ThreadPoolExecutor(1) as pool:
        cuts = pool.submit(cut_connections_for_a_while)
        Relays(own, connect(sqs)).run(lambda: not cuts.done())
        cuts.result()
    make_due(database)
    Relays(own, connect(sqs)).run(work_left)
    own.engine.dispose()
    assert statuses(database) == {"PUBLISHED": 1000}
    assert min(times_accepted(sqs, added)) >= 1


def test_the_queue_of_an_event_decides_its_url_and_no_other(
    database: Database, sqs: SqsServer, relays: Relays
) -> None:
    ids: dict[str, list[UUID]] = {
        Queue.ORDER_PROCESSING: add_events(database, 12),
        Queue.NOTIFICATION_SENDING: add_events(database, 12, data=NOTIFICATION_REQUESTED),
    }
    relays.drain()
    for queue, expected in ids.items():
        arrived = [entry["Id"] for url, entry in sqs.accepted if url == sqs.queue_url(queue)]
        assert sorted(arrived) == sorted(str(event_id) for event_id in expected)
