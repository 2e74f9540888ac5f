"""One round of maintenance, as the handler runs it."""

import importlib
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from functions.maintenance.counting import fold_counters
from functions.maintenance.deadline import Deadline
from functions.maintenance.maintenance import Maintenance
from functions.maintenance.stock import rearm_alerts
from orders.counters import FOLD_LIMIT
from orders.db import Database
from orders.executions import Executions
from orders.observability import metrics
from payment_simulator.gateway import SimulatedGateway
from tests.integration.maintenance.support import NO_TIME, PLENTY, StepFunctions, let_time_pass, publish_all
from tests.support.api import lambda_context
from tests.support.factories import TRACE, add_order, add_product, execute, rows
from tests.support.payments import BEHAVIOUR

RETENTION = timedelta(days=90)


@pytest.fixture
def handler(database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    handler = importlib.import_module("functions.maintenance.handler")
    monkeypatch.setattr(handler, "database", database)
    monkeypatch.setattr(handler, "gateway", SimulatedGateway(database, BEHAVIOUR))
    handler.executions.cache_clear()
    return handler


@pytest.fixture
def stuck_order(database: Database) -> UUID:
    order_id = add_order(database)
    publish_all(database)
    let_time_pass(database, 3600)
    return order_id


def test_a_round_adds_up_all_that_was_counted_as_far_as_the_time_goes(database: Database) -> None:
    execute(
        database,
        "INSERT INTO counted SELECT 'queue_jobs_completed', 'notify' FROM generate_series(1, :number)",
        number=FOLD_LIMIT + 1,
    )

    assert fold_counters(database, NO_TIME) == 0
    assert fold_counters(database, PLENTY) == FOLD_LIMIT + 1
    assert rows(database, "SELECT * FROM counted") == []
    assert rows(database, "SELECT events FROM counters") == [{"events": FOLD_LIMIT + 1}]


def test_a_round_answers_how_much_it_put_right(
    handler: Any, stuck_order: UUID, step_functions: StepFunctions
) -> None:
    counts = handler.handler({}, lambda_context(remaining_ms=60_000))
    assert counts == {
        "orders": 1,
        "refunds": 0,
        "reservations": 0,
        "payments": 0,
        "alerts": 0,
        "rows": 0,
        "counters": 0,
        "personal_data": 0,
        "events_due": 0,
    }
    assert step_functions.started == {f"order-{stuck_order}": "RUNNING"}


def test_a_round_that_finds_nothing_writes_nothing(handler: Any, database: Database) -> None:
    assert set(handler.handler({}, lambda_context(remaining_ms=60_000)).values()) == {0}


def test_a_task_that_fails_is_counted_and_the_others_have_their_turn(
    database: Database, stuck_order: UUID
) -> None:
    execute(database, "UPDATE idempotency_keys SET created_at = now() - interval '1 year'")

    def unreachable() -> Executions:
        raise ConnectionError("Step Functions is unreachable")

    metrics.clear_metrics()
    counts = Maintenance(
        database, unreachable, unreachable, SimulatedGateway(database, BEHAVIOUR), RETENTION
    ).run(PLENTY)
    assert "orders" not in counts
    assert counts["rows"] == 1
    assert metrics.metric_set["MaintenanceFailed"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_a_round_without_time_begins_nothing(handler: Any, stuck_order: UUID, database: Database) -> None:
    assert set(handler.handler({}, lambda_context(remaining_ms=5_000)).values()) == {0}
    assert rows(database, "SELECT * FROM saga_recoveries") == []


def test_a_round_stops_in_time_and_the_next_one_goes_on(
    database: Database, step_functions: StepFunctions
) -> None:
    product = add_product(database)
    for _ in range(3):
        add_order(database, [(product, 1)])
    publish_all(database)
    let_time_pass(database, 3600)
    remaining = iter([60.0, 60.0, 60.0] + [1.0] * 100)
    gateway = SimulatedGateway(database, BEHAVIOUR)
    round_ = Maintenance(
        database,
        lambda: step_functions.executions,
        lambda: step_functions.refunds,
        gateway,
        RETENTION,
    )
    first = round_.run(Deadline(lambda: next(remaining)))
    assert first["orders"] < 3
    let_time_pass(database, 60)
    assert round_.run(PLENTY)["orders"] == 3 - first["orders"]
    assert len(step_functions.started) == 3


def test_a_product_with_enough_stock_again_may_be_alerted_again(database: Database) -> None:
    low = add_product(database, available=5)
    enough = add_product(database, available=50)
    execute(database, "UPDATE stock SET low_since = now()")
    assert rearm_alerts(database, NO_TIME) == 0
    assert rearm_alerts(database, PLENTY) == 1
    marked = rows(database, "SELECT product_id FROM stock WHERE low_since IS NOT NULL")
    assert marked == [{"product_id": low.product_id}]
    assert enough.product_id != low.product_id


def test_executions_are_listed_to_the_last_page(
    step_functions: StepFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = {UUID(int=n) for n in range(150)}
    for order_id in orders:
        step_functions.executions.start(order_id, TRACE)
    paginator = step_functions.client.get_paginator("list_executions")
    paginate = paginator.paginate
    monkeypatch.setattr(
        step_functions.client,
        "get_paginator",
        lambda _: paginator,
    )
    monkeypatch.setattr(
        paginator, "paginate", lambda **kwargs: paginate(**kwargs, PaginationConfig={"PageSize": 100})
    )
    assert step_functions.executions.live(lambda: True) == orders
    assert len(step_functions.executions.live(lambda: False)) == 100


def test_an_execution_that_a_person_started_under_another_name_is_no_orders(
    step_functions: StepFunctions,
) -> None:
    step_functions.client.start_execution(stateMachineArn=os.environ["STATE_MACHINE_ARN"], name="order-try")
    assert step_functions.executions.live(lambda: True) == set()
