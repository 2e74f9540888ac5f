"""Each thing is counted once, in the transaction in which it happens, whoever folds and reads at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Connection

from orders import counters, inbox
from orders.counters import Count, Counter
from orders.db import Credentials, Database
from orders.domain import COMPENSATIONS, FORWARD_STEPS, OrderStatus
from orders.events import Consumer
from orders.ids import uuid7
from tests.support.factories import add_order, execute, rows

ENDS = ("CONFIRMED", "CANCELLED", "NEEDS_REVIEW")


QUEUE = "order-processing"


@contextmanager
def process(credentials: Credentials) -> Iterator[Database]:
    """The database as another process has it: with a connection of its own."""
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()


def count_jobs(database: Database, number: int) -> None:
    execute(
        database,
        "INSERT INTO counted (counter, label) SELECT 'queue_jobs_completed', :label "
        "FROM generate_series(1, :number)",
        label=QUEUE,
        number=number,
    )


def read(database: Database) -> list[Count]:
    return list(database.transact_alone(counters.read))


def totals(database: Database, counter: Counter) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in read(database):
        if one.counter == counter:
            found[one.label] = found.get(one.label, 0) + one.events
    return found


def end(database: Database, status: str, *, seconds: float = 0) -> None:
    order_id = add_order(database)
    execute(
        database,
        "UPDATE orders SET created_at = now() - make_interval(secs => :seconds) WHERE id = :id",
        id=order_id,
        seconds=seconds,
    )
    for next_status in ("PROCESSING", status):
        execute(database, "UPDATE orders SET status = :s WHERE id = :id", id=order_id, s=next_status)


def test_an_order_is_counted_when_it_ends_and_not_before(database: Database) -> None:
    order_id = add_order(database)
    execute(database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :id", id=order_id)
    assert read(database) == []

    execute(database, "UPDATE orders SET status = 'CONFIRMED' WHERE id = :id", id=order_id)
    execute(database, "UPDATE orders SET status = 'CONFIRMED' WHERE id = :id", id=order_id)
    assert totals(database, Counter.ORDERS_PROCESSED) == {"CONFIRMED": 1}


def test_a_hundred_orders_move_their_counter_by_a_hundred(database: Database) -> None:
    for number in range(100):
        end(database, ENDS[min(number % 10, 2)])
        if number % 40 == 7:
            database.transact_alone(counters.fold)

    assert totals(database, Counter.ORDERS_PROCESSED) == {
        "CONFIRMED": 10,
        "CANCELLED": 10,
        "NEEDS_REVIEW": 80,
    }


def test_every_end_of_an_order_is_one_that_is_counted(database: Database) -> None:
    """The trigger's list and the domain's."""
    for status in set(OrderStatus) - {OrderStatus.PENDING, OrderStatus.PROCESSING}:
        end(database, status)

    assert totals(database, Counter.ORDERS_PROCESSED) == dict.fromkeys(ENDS, 1)


@pytest.mark.parametrize("folded", [False, True])
def test_a_duration_is_in_the_first_bucket_that_holds_it(database: Database, folded: bool) -> None:
    for seconds in (0.1, 0.6, 0.7, 40, 10_000):
        end(database, "CONFIRMED", seconds=seconds)
    if folded:
        assert database.transact_alone(counters.fold) == 5

    found = read(database)
    assert [(one.bucket, one.events) for one in found] == [
        (0.5, 1),
        (1.0, 2),
        (60.0, 1),
        (float("inf"), 1),
    ]
    assert sum(one.seconds for one in found) == pytest.approx(10_041.4, abs=2)


def test_what_is_rolled_back_is_not_counted(database: Database) -> None:
    class Dead(Exception):
        pass

    def work(connection: Connection) -> None:
        inbox.record(connection, Consumer.NOTIFY, uuid7())
        raise Dead

    with pytest.raises(Dead):
        database.transact(work)

    assert read(database) == []


def test_a_job_is_counted_once_however_often_it_is_delivered(database: Database) -> None:
    event_id = uuid7()
    for _ in range(3):
        database.transact(lambda connection: inbox.record(connection, Consumer.NOTIFY, event_id))

    assert totals(database, Counter.QUEUE_JOBS_COMPLETED) == {"notify": 1}


def test_compensations_are_counted_and_forward_steps_are_not(database: Database) -> None:
    order_id = add_order(database)
    for step in (*FORWARD_STEPS, *COMPENSATIONS, *COMPENSATIONS):
        execute(
            database,
            "INSERT INTO saga_steps (order_id, step, status) VALUES (:id, :step, 'SUCCEEDED') "
            "ON CONFLICT (order_id, step) DO UPDATE SET attempts = saga_steps.attempts + 1",
            id=order_id,
            step=step,
        )

    assert totals(database, Counter.SAGA_COMPENSATIONS) == dict.fromkeys(map(str, COMPENSATIONS), 1)


def test_folding_changes_no_sum_and_leaves_nothing_to_fold(database: Database) -> None:
    count_jobs(database, 250)
    before = read(database)

    assert [database.transact_alone(lambda c: counters.fold(c, limit=100)) for _ in range(4)] == [
        100,
        100,
        50,
        0,
    ]
    assert read(database) == before
    assert rows(database, "SELECT * FROM counted") == []
    assert rows(database, "SELECT events FROM counters") == [{"events": 250}]


def test_folds_and_reads_at_the_same_time_count_everything_once_and_never_go_back(
    database: Database, credentials: Credentials
) -> None:
    """Readers see a row in one of the two tables, also while a fold moves it; writers go on meanwhile."""
    batches, batch = 20, 50

    def write(database: Database) -> list[int]:
        for _ in range(batches):
            count_jobs(database, batch)
        return []

    def fold(database: Database) -> list[int]:
        for _ in range(3 * batches):
            database.transact_alone(lambda connection: counters.fold(connection, limit=70))
        return []

    def watch(database: Database) -> list[int]:
        return [totals(database, Counter.QUEUE_JOBS_COMPLETED).get(QUEUE, 0) for _ in range(3 * batches)]

    with ThreadPoolExecutor(6) as pool, ExitStack() as processes:
        tasks = [
            pool.submit(work, processes.enter_context(process(credentials)))
            for work in (write, write, fold, fold, watch, watch)
        ]
        for seen in (task.result() for task in tasks):
            assert seen == sorted(seen)

    assert totals(database, Counter.QUEUE_JOBS_COMPLETED) == {QUEUE: 2 * batches * batch}


def test_what_a_fold_has_in_hand_is_still_counted_and_no_other_fold_takes_it(
    database: Database, credentials: Credentials
) -> None:
    count_jobs(database, 4)
    with process(credentials) as other:

        def meanwhile(connection: Connection) -> tuple[int, int, dict[str, int]]:
            mine = counters.fold(connection)
            theirs = other.transact_alone(counters.fold)
            return mine, theirs, totals(other, Counter.QUEUE_JOBS_COMPLETED)

        assert database.transact(meanwhile) == (4, 0, {QUEUE: 4})
        assert totals(other, Counter.QUEUE_JOBS_COMPLETED) == {QUEUE: 4}
