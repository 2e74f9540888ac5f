"""Orders that nobody works on any more are found and resumed, and no other ones."""

import json
import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from functions.maintenance import stuck_orders
from functions.maintenance.stuck_orders import (
    BATCH_SIZE,
    CHECK_INTERVAL_SECONDS,
    MAX_RESUMES,
    PATIENCE_SECONDS,
    StuckOrders,
)
from orders.db import Database
from orders.executions import ExecutionStatus, execution_name
from orders.observability import metrics
from tests.integration.maintenance.support import (
    NO_TIME,
    PLENTY,
    StepFunctions,
    let_time_pass,
    order_status,
    publish_all,
    repairs,
    wait_for_a_lock,
)
from tests.support.factories import TRACE, add_order, add_product, execute, rows
from tests.support.webhooks import add_endpoint
from tools.cloud import recovery

SCHEDULE_SECONDS = 60
BADLY_ENDED = [ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.ABORTED]


@pytest.fixture
def resume(database: Database, step_functions: StepFunctions) -> Callable[[], int]:
    """One round's look for stuck orders."""
    return lambda: StuckOrders(database, lambda: step_functions.executions, PLENTY).resume()


@pytest.fixture
def accepted(database: Database) -> UUID:
    """An order whose event was published some time ago."""
    order_id = add_order(database)
    publish_all(database)
    let_time_pass(database, PATIENCE_SECONDS + 1)
    return order_id


@pytest.fixture
def processing(database: Database, accepted: UUID, step_functions: StepFunctions) -> UUID:
    """An order whose first execution runs, and has not got far for some time."""
    step_functions.executions.start(accepted, TRACE)
    start_processing(database, accepted)
    return accepted


def start_processing(database: Database, order_id: UUID) -> None:
    execute(database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :order_id", order_id=order_id)


def test_two_minutes_suffice_to_find_a_dead_saga() -> None:
    assert SCHEDULE_SECONDS + max(PATIENCE_SECONDS, CHECK_INTERVAL_SECONDS) < 120
    # Or a look that came a moment too early would make it wait for the round after the next.
    assert CHECK_INTERVAL_SECONDS < SCHEDULE_SECONDS


# Never started


def test_an_order_whose_execution_never_started_is_started_under_its_first_name(
    accepted: UUID, step_functions: StepFunctions, resume: Callable[[], int], database: Database
) -> None:
    """The name that `start_saga` uses: should the event still arrive, it finds the execution there."""
    assert resume() == 1
    assert step_functions.started == {f"order-{accepted}": "RUNNING"}
    assert repairs(database) == ["SAGA_RESUMED"]


def test_the_execution_gets_the_order_and_its_trace(
    accepted: UUID, step_functions: StepFunctions, resume: Callable[[], int]
) -> None:
    resume()
    assert json.loads(step_functions.input(accepted)) == {
        "orderId": str(accepted),
        "correlationId": TRACE.correlation_id,
        "traceparent": TRACE.traceparent,
    }


def test_an_order_whose_event_was_removed_since_is_resumed_under_a_new_trace(
    accepted: UUID, step_functions: StepFunctions, resume: Callable[[], int], database: Database
) -> None:
    execute(database, "DELETE FROM outbox")
    resume()
    assert json.loads(step_functions.input(accepted))["correlationId"] == TRACE.correlation_id


def test_an_order_whose_event_is_dead_is_started(
    accepted: UUID, resume: Callable[[], int], database: Database
) -> None:
    execute(database, "UPDATE outbox SET status = 'DEAD', published_at = NULL")
    assert resume() == 1


def test_an_order_whose_event_waits_for_the_relay_is_left_to_it(
    accepted: UUID, resume: Callable[[], int], database: Database, step_functions: StepFunctions
) -> None:
    execute(database, "UPDATE outbox SET status = 'PENDING', published_at = NULL")
    assert resume() == 0
    assert step_functions.started == {}


def test_an_order_whose_event_was_published_just_now_is_left_to_its_consumer(
    database: Database, resume: Callable[[], int]
) -> None:
    add_order(database)
    let_time_pass(database, 3600)
    publish_all(database)
    assert resume() == 0


def test_a_fresh_order_is_nobodys_business(database: Database, resume: Callable[[], int]) -> None:
    order_id = add_order(database)
    publish_all(database)
    start_processing(database, order_id)
    let_time_pass(database, PATIENCE_SECONDS - 5)
    assert resume() == 0


# Ended


@pytest.mark.parametrize("status", BADLY_ENDED)
def test_an_execution_that_ended_badly_is_replaced_under_the_next_name(
    status: ExecutionStatus,
    processing: UUID,
    step_functions: StepFunctions,
    resume: Callable[[], int],
    database: Database,
) -> None:
    step_functions.end(processing, status)
    assert resume() == 1
    assert step_functions.started == {f"order-{processing}": status, f"order-{processing}-r1": "RUNNING"}
    (repair,) = rows(database, "SELECT kind, order_id, detail FROM repairs")
    assert repair == {
        "kind": "SAGA_RESUMED",
        "order_id": processing,
        "detail": f"execution=order-{processing}-r1 instead_of={status}",
    }


def test_a_replacement_that_ends_badly_is_replaced_too(
    processing: UUID, step_functions: StepFunctions, resume: Callable[[], int], database: Database
) -> None:
    step_functions.end(processing, ExecutionStatus.FAILED)
    resume()
    step_functions.end(processing, ExecutionStatus.ABORTED, resumes=1)
    let_time_pass(database, SCHEDULE_SECONDS)
    assert resume() == 1
    assert step_functions.started[execution_name(processing, 2)] == "RUNNING"


def test_an_order_left_unfinished_by_an_execution_that_succeeded_is_resumed(
    processing: UUID, step_functions: StepFunctions, resume: Callable[[], int]
) -> None:
    """Trap T14: the saga was complete and the order pending for ever."""
    step_functions.end(processing, ExecutionStatus.SUCCEEDED)
    assert resume() == 1


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED", "NEEDS_REVIEW"])
def test_a_terminal_order_is_never_resumed(
    status: str,
    processing: UUID,
    step_functions: StepFunctions,
    resume: Callable[[], int],
    database: Database,
) -> None:
    step_functions.end(processing, ExecutionStatus.FAILED)
    execute(database, "UPDATE orders SET status = :status", status=status)
    let_time_pass(database, PATIENCE_SECONDS + 1)
    assert resume() == 0
    assert repairs(database) == []


def test_an_order_that_ends_while_its_execution_is_looked_up_is_not_resumed(
    processing: UUID, step_functions: StepFunctions, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_functions.end(processing, ExecutionStatus.SUCCEEDED)
    look_up = step_functions.executions.status

    def slow_look_up(order_id: UUID, resumes: int = 0) -> ExecutionStatus:
        execute(database, "UPDATE orders SET status = 'CONFIRMED'")
        return look_up(order_id, resumes)

    monkeypatch.setattr(step_functions.executions, "status", slow_look_up)
    assert StuckOrders(database, lambda: step_functions.executions, PLENTY).resume() == 0
    assert list(step_functions.started) == [f"order-{processing}"]


# One execution at a time (promise I6)


def test_an_order_with_a_running_execution_is_left_alone(
    processing: UUID, step_functions: StepFunctions, resume: Callable[[], int], database: Database
) -> None:
    assert resume() == 0
    assert list(step_functions.started) == [f"order-{processing}"]
    assert repairs(database) == []


def test_a_running_execution_that_the_list_does_not_show_yet_is_found(
    processing: UUID,
    step_functions: StepFunctions,
    database: Database,
    resume: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Step Functions' lists are seconds behind."""
    monkeypatch.setattr(step_functions.executions, "live", lambda may_go_on: set())
    assert resume() == 0
    assert list(step_functions.started) == [f"order-{processing}"]


def test_rounds_at_the_same_time_start_one_execution(
    database: Database, other_process: Database, processing: UUID, step_functions: StepFunctions
) -> None:
    step_functions.end(processing, ExecutionStatus.FAILED)
    both = threading.Barrier(2)
    counts: list[int] = []

    def round_of(database: Database) -> None:
        both.wait()
        counts.append(StuckOrders(database, lambda: step_functions.executions, PLENTY).resume())

    threads = [threading.Thread(target=round_of, args=(each,)) for each in (database, other_process)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1]
    assert repairs(database) == ["SAGA_RESUMED"]


def test_a_round_that_was_overtaken_between_look_and_start_starts_nothing(
    database: Database,
    other_process: Database,
    processing: UUID,
    step_functions: StepFunctions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had seen the first execution dead; by now the second has come and gone, and the third is at work."""
    step_functions.end(processing, ExecutionStatus.FAILED)
    look_up = step_functions.executions.status
    overtaken = False

    def slow_look_up(order_id: UUID, resumes: int = 0) -> ExecutionStatus:
        nonlocal overtaken
        status = look_up(order_id, resumes)
        if not overtaken:
            overtaken = True
            for number in (1, 2):
                let_time_pass(other_process, SCHEDULE_SECONDS)
                StuckOrders(other_process, lambda: step_functions.executions, PLENTY).resume()
                if number == 1:
                    step_functions.end(processing, ExecutionStatus.FAILED, resumes=1)
        return status

    monkeypatch.setattr(step_functions.executions, "status", slow_look_up)
    assert StuckOrders(database, lambda: step_functions.executions, PLENTY).resume() == 0
    assert step_functions.started == {
        f"order-{processing}": "FAILED",
        f"order-{processing}-r1": "FAILED",
        f"order-{processing}-r2": "RUNNING",
    }
    assert repairs(database) == ["SAGA_RESUMED"] * 2
    assert rows(database, "SELECT resumes FROM saga_recoveries") == [{"resumes": 2}]


@pytest.mark.parametrize("known", [False, True], ids=["seen for the first time", "seen before"])
def test_an_order_that_another_round_has_just_claimed_is_not_looked_up(
    database: Database,
    other_process: Database,
    observer: Database,
    processing: UUID,
    step_functions: StepFunctions,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
) -> None:
    if known:
        execute(
            database, "INSERT INTO saga_recoveries VALUES (:id, 0, now() - interval '1 hour')", id=processing
        )
    step_functions.end(processing, ExecutionStatus.FAILED)
    looked_up: list[UUID] = []
    monkeypatch.setattr(step_functions.executions, "status", lambda order_id, _: looked_up.append(order_id))
    this_round = StuckOrders(database, lambda: step_functions.executions, PLENTY)
    with other_process.engine.begin() as other_round:
        claim = {"patience": PATIENCE_SECONDS, "interval": CHECK_INTERVAL_SECONDS, "limit": BATCH_SIZE}
        assert len(other_round.execute(stuck_orders._CLAIM, claim).all()) == 1
        thread = threading.Thread(target=this_round.resume)
        thread.start()
        wait_for_a_lock(observer)
    thread.join()
    assert looked_up == []


def test_a_round_killed_between_number_and_start_is_made_good_under_the_same_number(
    processing: UUID,
    step_functions: StepFunctions,
    database: Database,
    resume: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step_functions.end(processing, ExecutionStatus.FAILED)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(step_functions.executions, "start", killed)
        with pytest.raises(Killed):
            resume()
    assert list(step_functions.started) == [f"order-{processing}"]
    let_time_pass(database, SCHEDULE_SECONDS)
    assert resume() == 1
    assert step_functions.started[f"order-{processing}-r1"] == "RUNNING"
    assert len(step_functions.started) == 2


# Lost with an emulator


def restart_emulator(database: Database, step_functions: StepFunctions) -> None:
    """The local cloud numbers the executions that the emulator has lost anew."""
    step_functions.forget_everything()
    execute(database, recovery.RENUMBER)


def test_an_order_whose_executions_are_all_lost_begins_again_with_the_first_name(
    processing: UUID, step_functions: StepFunctions, database: Database, resume: Callable[[], int]
) -> None:
    """After a restart its event is published again; both then want the same name."""
    step_functions.end(processing, ExecutionStatus.FAILED)
    resume()
    restart_emulator(database, step_functions)
    let_time_pass(database, SCHEDULE_SECONDS)
    assert resume() == 1
    # Which its event does.
    step_functions.executions.start(processing, TRACE)
    assert step_functions.started == {f"order-{processing}": "RUNNING"}


def test_an_order_that_was_started_again_after_a_loss_is_left_alone(
    processing: UUID,
    step_functions: StepFunctions,
    database: Database,
    resume: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step_functions.end(processing, ExecutionStatus.FAILED)
    resume()
    restart_emulator(database, step_functions)
    step_functions.executions.start(processing, TRACE)
    let_time_pass(database, SCHEDULE_SECONDS)
    monkeypatch.setattr(step_functions.executions, "live", lambda may_go_on: set())
    assert resume() == 0
    assert step_functions.started == {f"order-{processing}": "RUNNING"}


# Limits


def test_an_order_that_cannot_be_helped_needs_review(
    processing: UUID, step_functions: StepFunctions, database: Database, resume: Callable[[], int]
) -> None:
    add_endpoint(database)
    metrics.clear_metrics()
    for resumes in range(MAX_RESUMES + 1):
        assert order_status(database, processing) == "PROCESSING"
        step_functions.end(processing, ExecutionStatus.FAILED, resumes)
        let_time_pass(database, SCHEDULE_SECONDS)
        resume()
    assert order_status(database, processing) == "NEEDS_REVIEW"
    assert repairs(database) == ["SAGA_RESUMED"] * MAX_RESUMES + ["ORDER_GIVEN_UP"]
    assert rows(
        database,
        "SELECT subject, data ->> 'failureReason' AS reason FROM outbox WHERE type LIKE '%review_required%'",
    ) == [{"subject": processing, "reason": "PROCESSING_FAILED"}]
    assert metrics.metric_set["OrdersNeedingReview"]["Value"] == [1.0]
    metrics.clear_metrics()
    let_time_pass(database, SCHEDULE_SECONDS)
    assert resume() == 0


def test_an_order_that_never_got_to_its_first_step_can_be_given_up_too(
    accepted: UUID, step_functions: StepFunctions, database: Database, resume: Callable[[], int]
) -> None:
    resume()
    execute(database, "UPDATE saga_recoveries SET resumes = :resumes", resumes=MAX_RESUMES)
    step_functions.executions.start(accepted, TRACE, MAX_RESUMES)
    step_functions.end(accepted, ExecutionStatus.FAILED, MAX_RESUMES)
    step_functions.end(accepted, ExecutionStatus.FAILED)
    let_time_pass(database, SCHEDULE_SECONDS)
    resume()
    assert order_status(database, accepted) == "NEEDS_REVIEW"


def test_all_of_many_stuck_orders_are_resumed_in_one_round(
    database: Database, step_functions: StepFunctions, resume: Callable[[], int]
) -> None:
    product = add_product(database)
    for _ in range(BATCH_SIZE + 5):
        add_order(database, [(product, 1)])
    publish_all(database)
    let_time_pass(database, PATIENCE_SECONDS + 1)
    assert resume() == BATCH_SIZE + 5


def test_a_round_without_time_begins_nothing(
    accepted: UUID, database: Database, step_functions: StepFunctions
) -> None:
    assert StuckOrders(database, lambda: step_functions.executions, NO_TIME).resume() == 0
    assert rows(database, "SELECT * FROM saga_recoveries") == []


def test_a_round_without_stuck_orders_does_not_ask_step_functions(database: Database) -> None:
    def connect() -> object:
        raise AssertionError("not needed")

    assert StuckOrders(database, connect, PLENTY).resume() == 0  # type: ignore[arg-type]


def test_a_resumed_saga_is_counted(accepted: UUID, resume: Callable[[], int]) -> None:
    metrics.clear_metrics()
    resume()
    assert metrics.metric_set["SagasResumed"]["Value"] == [1.0]
    metrics.clear_metrics()
