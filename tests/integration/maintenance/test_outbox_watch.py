"""Events that nobody publishes are noticed by somebody else than the relay."""

import pytest

from functions.maintenance.outbox_watch import watch_outbox
from orders.db import Database
from orders.observability import metrics
from tests.integration.maintenance.support import publish_all
from tests.support.factories import add_order, execute


def waiting_ms(database: Database) -> float:
    """What the metric says."""
    metrics.clear_metrics()
    watch_outbox(database)
    (value,) = metrics.metric_set["OutboxWaiting"]["Value"]
    metrics.clear_metrics()
    return float(value)


def test_an_event_that_is_due_waits_longer_and_longer(database: Database) -> None:
    add_order(database)
    execute(database, "UPDATE outbox SET available_at = now() - interval '5 minutes'")
    add_order(database)

    assert waiting_ms(database) == pytest.approx(300_000, abs=30_000)


@pytest.mark.parametrize("later", [False, True], ids=["published", "not due"])
def test_without_an_event_that_is_due_nothing_waits_and_that_is_said(database: Database, later: bool) -> None:
    """A metric that is missing means that nobody has looked."""
    add_order(database)
    if later:
        execute(database, "UPDATE outbox SET available_at = now() + interval '5 minutes'")
    else:
        publish_all(database)

    assert waiting_ms(database) == 0
