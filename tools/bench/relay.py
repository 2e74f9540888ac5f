"""The relay: how much it publishes to an SQS that answers in 10 ms, and what its poll costs when there is nothing."""

import contextlib
import time
from typing import Final

from functions.outbox_relay.claims import Claims
from functions.outbox_relay.relay import CLAIM_LIMIT, SAFETY_MARGIN_SECONDS
from orders import db
from tools.bench import stats
from tools.bench.database import BenchDatabase
from tools.bench.functions import Call, Worker
from tools.bench.run import LARGEST, Bench, Stocked
from tools.round_trips import RoundTripCounter
from tools.waiting import wait_until

_POLLS: Final = 300
_WARM_UP_EVENTS: Final = 100
_WARM_UP_SECONDS: Final = 1
_EVENTS: Final = {1: 6_000, 4: 12_000}
"""By the number of relays: enough for some seconds."""
_LONGEST_SECONDS: Final = 30
"""A relay that has not published everything by then never will."""

# As `create_order` writes them, of orders that there are.
_ADD_PENDING: Final = """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
    SELECT uuidv7(), type, subject, data, correlation_id, traceparent FROM outbox
    WHERE status = 'PUBLISHED' AND type = 'com.orders.order.created.v1' LIMIT :events
"""

# The CASE is the condition of the index of events that are due: of a million published ones none is looked at.
_IS_PENDING: Final = "SELECT FROM outbox WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END LIMIT 1"


def measure(bench: Bench) -> None:
    stocked = bench.stocked(LARGEST)
    _count(bench, stocked)
    _poll(bench, stocked, "idle")
    for relays, events in _EVENTS.items():
        rate = _publish(bench, stocked, relays, events)
        bench.report.add(f"published, {relays} relay{'s' if relays > 1 else ''}", rate, "events/s")
    # Thousands of rows have just left the index of pending ones, and no vacuum has been there yet.
    _poll(bench, stocked, "drained")


def _count(bench: Bench, stocked: Stocked) -> None:
    with stocked.database.administer() as connection:
        connection.run(_ADD_PENDING, events=2 * CLAIM_LIMIT)
    with RoundTripCounter.to(stocked.credentials) as counter:
        database = db.Database(lambda: counter.credentials)
        claims = Claims(database)
        claims.mark_published(claims.claim(CLAIM_LIMIT))
        with counter.listening() as heard:
            claims.mark_published(claims.claim(CLAIM_LIMIT))
        database.engine.dispose()
    bench.report.add(f"relay round trips, {CLAIM_LIMIT} events", heard.round_trips, "trips")


def _poll(bench: Bench, stocked: Stocked, state: str) -> None:
    database = db.Database(lambda: stocked.credentials)
    claims = Claims(database)
    milliseconds = []
    for _ in range(_POLLS):
        started = time.perf_counter()
        assert not claims.claim(CLAIM_LIMIT), "the outbox is not empty"
        milliseconds.append(1000 * (time.perf_counter() - float(started)))
    database.engine.dispose()
    bench.report.add(f"{state} outbox, one poll, p50", stats.p50(milliseconds), "ms")


def _publish(bench: Bench, stocked: Stocked, relays: int, events: int) -> float:
    """Events a second, from the start of so many warm relays to the last event that they marked."""
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(bench.worker("outbox_relay", stocked.credentials)) for _ in range(relays)
        ]
        with stocked.database.administer() as connection:
            connection.run(_ADD_PENDING, events=_WARM_UP_EVENTS)
            _start(workers, _WARM_UP_SECONDS)
            for worker in workers:
                worker.finish()
            connection.run(_ADD_PENDING, events=events)
            ((started,),) = connection.run("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
        _start(workers, _LONGEST_SECONDS)
        return events / (_drained(stocked.database) - float(started))


def _start(workers: list[Worker], seconds: float) -> None:
    """Lets each relay work for so long: it ends by itself when the rest of its time is its margin."""
    for worker in workers:
        worker.start([Call({})], seconds + SAFETY_MARGIN_SECONDS)


def _drained(database: BenchDatabase) -> float:
    """When the last pending event was marked, by the database's clock (seconds)."""
    with database.administer() as connection:
        if not wait_until(lambda: not connection.run(_IS_PENDING), _LONGEST_SECONDS):
            raise RuntimeError(f"the relay has not drained the outbox within {_LONGEST_SECONDS} s")
        ((last,),) = connection.run(
            "SELECT CAST(extract(epoch FROM max(published_at)) AS float8) FROM outbox"
        )
    return float(last)
