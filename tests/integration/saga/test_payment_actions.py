"""What a customer must do for a payment, and who waits for it: recorded, ended and woken once, in whatever order."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, cast

import botocore.session
import pytest
from botocore.stub import Stubber
from sqlalchemy import Connection

from orders import saga
from orders.db import Database
from orders.errors import ServiceUnavailable, StepFenced
from orders.payments import actions
from orders.payments.actions import Recorded
from orders.payments.gateway import CustomerAction
from tests.integration.saga.pipeline import Order, Pipeline, wait_until_somebody_waits_for_a_lock

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ACTION = CustomerAction("authenticate", "secret-of-the-owner")


@pytest.fixture
def order(pipeline: Pipeline) -> Order:
    """Its stock is held, and its payment comes next."""
    order = pipeline.order("pm_card_requires_action")
    order.run_until("ProcessPayment")
    return order


def record(order: Order) -> Recorded:
    return order.pipeline.database.transact(
        lambda connection: actions.record(connection, order.order_id, ACTION)
    )


def keep_token(order: Order, token: str) -> bool:
    return order.pipeline.database.transact_alone(
        lambda connection: actions.keep_token(connection, order.order_id, token)
    )


def end(order: Order) -> str | None:
    return order.pipeline.database.transact(lambda connection: actions.end(connection, order.order_id))


def turn_back(order: Order, connection: Connection) -> str | None:
    """What a cancellation does."""
    saga.turn_back(connection, order.order_id, "CancellationRequested")
    return actions.end(connection, order.order_id)


def action_row(order: Order) -> dict[str, object]:
    (row,) = order.pipeline.rows(
        "SELECT * FROM payment_actions WHERE order_id = :order_id", order_id=order.order_id
    )
    return row


def first_expiry(order: Order) -> datetime:
    (row,) = order.pipeline.rows(
        "SELECT min(expires_at) AS first FROM reservations WHERE order_id = :order_id",
        order_id=order.order_id,
    )
    first: datetime = row["first"]
    return first


def test_the_customer_has_as_long_as_the_first_of_the_order_s_reservations(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE reservations SET expires_at = now() + interval '1 minute' WHERE order_id = :order_id "
        "AND product_id = :product_id",
        order_id=order.order_id,
        product_id=order.product_ids[1],
    )

    assert record(order) == Recorded(is_over=False, is_new=True)

    assert action_row(order)["expires_at"] == first_expiry(order)


def test_the_time_is_set_once_however_often_the_action_is_recorded(order: Order) -> None:
    record(order)
    before = action_row(order)
    order.pipeline.execute(
        "UPDATE reservations SET expires_at = now() + interval '1 day' WHERE order_id = :order_id",
        order_id=order.order_id,
    )

    assert record(order) == Recorded(is_over=False, is_new=False)

    assert action_row(order) == before


def test_without_a_reservation_the_time_is_over_at_once(order: Order) -> None:
    order.call("ReleaseReservation")
    order.pipeline.execute("DELETE FROM saga_steps WHERE step = 'CompleteOrder'")

    assert record(order).is_over


def test_who_ends_the_action_gets_the_token_to_wake(order: Order) -> None:
    record(order)

    assert keep_token(order, "token-1") is True
    assert end(order) == "token-1"

    row = action_row(order)
    assert row["ended_at"] is not None
    assert row["client_secret"] is None


def test_who_comes_to_wait_after_the_end_does_not_wait(order: Order) -> None:
    record(order)

    assert end(order) is None
    assert keep_token(order, "token-1") is False


def test_an_action_that_ends_twice_gives_the_token_again(order: Order) -> None:
    """Whoever ended it first may have died before they could wake anybody."""
    record(order)
    keep_token(order, "token-1")

    assert [end(order), end(order)] == ["token-1", "token-1"]


def test_there_is_nothing_to_end_where_nobody_has_to_act(order: Order) -> None:
    assert end(order) is None
    assert keep_token(order, "token-1") is False


def test_an_ended_action_that_is_still_to_be_done_is_opened_again(order: Order) -> None:
    record(order)
    end(order)

    assert record(order) == Recorded(is_over=False, is_new=True)

    assert action_row(order)["client_secret"] == ACTION.client_secret
    assert keep_token(order, "token-2") is True


def test_nobody_waits_for_an_order_that_is_being_undone(order: Order) -> None:
    order.pipeline.database.transact(lambda connection: turn_back(order, connection))

    with pytest.raises(StepFenced):
        record(order)


def test_who_turns_the_saga_back_while_the_action_is_being_recorded_finds_it(
    order: Order, process: Callable[[], Database]
) -> None:
    other = process()
    undone = threading.Thread(target=lambda: other.transact(lambda connection: turn_back(order, connection)))

    with order.pipeline.database.engine.begin() as connection:
        actions.record(connection, order.order_id, ACTION)
        undone.start()
        wait_until_somebody_waits_for_a_lock(Pipeline(process(), order.pipeline.gateway))
    undone.join()

    assert keep_token(order, "token-1") is False


def test_an_action_that_is_recorded_while_the_saga_is_turned_back_is_refused(
    order: Order, process: Callable[[], Database]
) -> None:
    refused: list[Exception] = []

    def record_meanwhile() -> None:
        try:
            record(order)
        except StepFenced as error:
            refused.append(error)

    recording = threading.Thread(target=record_meanwhile)
    with process().engine.begin() as connection:
        turn_back(order, connection)
        recording.start()
        wait_until_somebody_waits_for_a_lock(Pipeline(process(), order.pipeline.gateway))
    recording.join()

    assert len(refused) == 1


def test_a_token_that_comes_while_the_action_is_being_ended_is_not_kept(
    order: Order, process: Callable[[], Database]
) -> None:
    record(order)
    kept: list[bool] = []
    waiting = threading.Thread(target=lambda: kept.append(keep_token(order, "token-1")))

    with process().engine.begin() as connection:
        assert actions.end(connection, order.order_id) is None
        waiting.start()
        wait_until_somebody_waits_for_a_lock(Pipeline(process(), order.pipeline.gateway))
    waiting.join()

    assert kept == [False]


@pytest.fixture
def step_functions() -> Stubber:
    client = botocore.session.get_session().create_client(
        "stepfunctions", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    return Stubber(client)


def test_a_waiting_execution_is_woken_by_its_token(step_functions: Stubber) -> None:
    step_functions.add_response("send_task_success", {}, {"taskToken": "token-1", "output": "{}"})
    with step_functions:
        assert actions.wake(cast("SFNClient", step_functions.client), "token-1") is True


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_token_that_comes_late_twice_or_from_nowhere_wakes_nobody_and_is_no_error(
    step_functions: Stubber, code: str
) -> None:
    step_functions.add_client_error("send_task_success", code)
    with step_functions:
        assert actions.wake(cast("SFNClient", step_functions.client), "token-1") is False


def test_step_functions_that_do_not_answer_are_said_to(step_functions: Stubber) -> None:
    step_functions.add_client_error("send_task_success", "ThrottlingException")
    with step_functions, pytest.raises(ServiceUnavailable):
        actions.wake(cast("SFNClient", step_functions.client), "token-1")
