"""GET /orders/{orderId}/status: what a client polls until the order has ended."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from functions.saga_steps import payment
from orders import inventory, saga
from orders.db import Database
from orders.domain import SagaStep
from orders.errors import PaymentActionRequired, PaymentDeclined
from orders.payments import actions
from payment_simulator.gateway import SimulatedGateway
from tests.support.api import Answer, Client
from tests.support.factories import TRACE, add_order, execute, rows
from tests.support.logs import Logs
from tests.support.payments import BEHAVIOUR


@pytest.fixture
def order_id(database: Database) -> UUID:
    return add_order(database)


def status_of(client: Client, order_id: UUID, **headers: str) -> Answer:
    return client.get(
        f"/api/v1/orders/{order_id}/status",
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


def happen(database: Database, *steps: Callable[[Connection], Any]) -> None:
    """Each in a transaction of its own, as the saga's functions do it."""
    for step in steps:
        database.transact(step)


def done(order_id: UUID, step: SagaStep) -> Callable[[Connection], bool]:
    return lambda connection: saga.begin(connection, order_id, step)


def undone(order_id: UUID, compensation: SagaStep) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        saga.close(connection, order_id, compensation)
        saga.record_compensation(connection, order_id, compensation)

    return work


def set_status(database: Database, *statuses: str, reason: str | None = None) -> None:
    for status in statuses:
        execute(
            database,
            "UPDATE orders SET status = :status, failure_reason = :reason",
            status=status,
            reason=reason,
        )


def test_a_new_order_has_not_begun(alice: Client, order_id: UUID) -> None:
    answer = status_of(alice, order_id)

    assert answer.status == 200
    assert answer.json == {
        "orderId": str(order_id),
        "status": "PENDING",
        "failureReason": None,
        "progress": 0,
        "steps": [],
        "nextAction": None,
    }


def test_progress_grows_with_each_step(alice: Client, order_id: UUID, database: Database) -> None:
    set_status(database, "PROCESSING")
    seen = []
    for step in (
        SagaStep.VERIFY_STOCK,
        SagaStep.RESERVE_INVENTORY,
        SagaStep.PROCESS_PAYMENT,
        SagaStep.CONFIRM_RESERVATION,
        SagaStep.SEND_CONFIRMATION,
    ):
        happen(database, done(order_id, step))
        seen.append(status_of(alice, order_id).json["progress"])
    set_status(database, "CONFIRMED")
    seen.append(status_of(alice, order_id).json["progress"])

    assert seen == [16, 33, 50, 66, 83, 100]


def test_steps_stand_in_the_order_in_which_they_happened(
    alice: Client, order_id: UUID, database: Database
) -> None:
    """A declined payment: what was done, what failed, what was undone, and nothing of what never happened."""
    set_status(database, "PROCESSING")
    happen(
        database,
        done(order_id, SagaStep.VERIFY_STOCK),
        done(order_id, SagaStep.RESERVE_INVENTORY),
        lambda connection: saga.record_failure(
            connection, order_id, SagaStep.PROCESS_PAYMENT, PaymentDeclined("declined")
        ),
        undone(order_id, SagaStep.REFUND_PAYMENT),
        undone(order_id, SagaStep.RELEASE_RESERVATION),
        undone(order_id, SagaStep.SEND_CANCELLATION),
        undone(order_id, SagaStep.MARK_CANCELLED),
    )
    set_status(database, "CANCELLED", reason="PAYMENT_DECLINED")

    answer = status_of(alice, order_id).json

    assert [(step["name"], step["status"]) for step in answer["steps"]] == [
        ("VerifyStock", "SUCCEEDED"),
        ("ReserveInventory", "COMPENSATED"),
        ("ProcessPayment", "FAILED"),
        ("RefundPayment", "SKIPPED"),
        ("ReleaseReservation", "SKIPPED"),
        ("SendCancellation", "SUCCEEDED"),
        ("MarkCancelled", "SUCCEEDED"),
    ]
    assert (answer["status"], answer["failureReason"], answer["progress"]) == (
        "CANCELLED",
        "PAYMENT_DECLINED",
        100,
    )
    times = [datetime.fromisoformat(step["at"]) for step in answer["steps"]]
    assert times == sorted(times)


def test_a_fenced_step_never_happened(alice: Client, order_id: UUID, database: Database) -> None:
    happen(database, undone(order_id, SagaStep.RESTORE_INVENTORY))

    assert [step["name"] for step in status_of(alice, order_id).json["steps"]] == ["RestoreInventory"]


@pytest.mark.parametrize(
    ("statuses", "retry_after"),
    [
        ([], "1"),
        (["PROCESSING"], "1"),
        (["PROCESSING", "CONFIRMED"], None),
        (["PROCESSING", "CANCELLED"], None),
        (["PROCESSING", "NEEDS_REVIEW"], None),
    ],
)
def test_a_client_is_asked_to_come_back_until_the_order_has_ended(
    alice: Client, order_id: UUID, database: Database, statuses: list[str], retry_after: str | None
) -> None:
    set_status(database, *statuses)

    answer = status_of(alice, order_id)
    unchanged = status_of(alice, order_id, If_None_Match=answer.headers["etag"])

    assert answer.headers.get("retry-after") == retry_after
    assert unchanged.headers.get("retry-after") == retry_after


class TestConditionalRequests:
    def test_what_has_not_changed_is_not_sent_again(self, alice: Client, order_id: UUID) -> None:
        first = status_of(alice, order_id)

        again = status_of(alice, order_id, If_None_Match=first.headers["etag"])

        assert (again.status, again.text) == (304, "")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-type" not in again.headers
        assert "x-correlation-id" in again.headers

    @pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', '"other",W/{},"third"', "*"])
    def test_a_client_may_know_several_versions(self, alice: Client, order_id: UUID, known: str) -> None:
        tag = status_of(alice, order_id).headers["etag"]

        assert status_of(alice, order_id, If_None_Match=known.format(tag)).status == 304

    @pytest.mark.parametrize("known", ['"other"', "", "nonsense", "{unquoted}"])
    def test_another_version_is_answered(self, alice: Client, order_id: UUID, known: str) -> None:
        tag = status_of(alice, order_id).headers["etag"]

        assert status_of(alice, order_id, If_None_Match=known.format(unquoted=tag.strip('"'))).status == 200

    def test_each_change_is_a_new_version(self, alice: Client, order_id: UUID, database: Database) -> None:
        tags = [status_of(alice, order_id).headers["etag"]]
        set_status(database, "PROCESSING")
        tags.append(status_of(alice, order_id).headers["etag"])
        happen(database, done(order_id, SagaStep.VERIFY_STOCK))
        tags.append(status_of(alice, order_id).headers["etag"])
        happen(database, done(order_id, SagaStep.RESERVE_INVENTORY))
        tags.append(status_of(alice, order_id).headers["etag"])
        happen(database, undone(order_id, SagaStep.RELEASE_RESERVATION))
        tags.append(status_of(alice, order_id).headers["etag"])
        set_status(database, "CANCELLED", reason="INSUFFICIENT_STOCK")
        tags.append(status_of(alice, order_id).headers["etag"])

        assert len(set(tags)) == len(tags)

    def test_two_orders_have_no_version_in_common(self, alice: Client, database: Database) -> None:
        one, other = add_order(database), add_order(database)

        tag = status_of(alice, one).headers["etag"]

        assert status_of(alice, other, If_None_Match=tag).status == 200


@pytest.fixture
def waiting(database: Database, order_id: UUID) -> UUID:
    """An order whose payment waits for its customer, as ProcessPayment leaves it."""
    set_status(database, "PROCESSING")
    gateway = SimulatedGateway(database, BEHAVIOUR)
    execute(database, "UPDATE orders SET payment_method = 'pm_card_requires_action'")
    happen(database, lambda connection: inventory.reserve(connection, order_id, 900))
    with pytest.raises(PaymentActionRequired):
        payment.process(database, gateway, order_id, TRACE)
    return order_id


def next_action(client: Client, order_id: UUID) -> Any:
    return status_of(client, order_id).json["nextAction"]


def test_the_owner_learns_what_to_do_where_and_until_when(
    alice: Client, waiting: UUID, database: Database
) -> None:
    (action,) = rows(database, "SELECT * FROM payment_actions")
    (expiry,) = rows(database, "SELECT min(expires_at) AS first FROM reservations")

    told = next_action(alice, waiting)

    assert datetime.fromisoformat(told.pop("expiresAt")) == expiry["first"]
    assert told == {
        "type": "authenticate",
        "provider": "simulator",
        "clientSecret": action["client_secret"],
    }


def test_a_client_asks_less_often_while_it_waits_for_its_customer(
    alice: Client, waiting: UUID, database: Database
) -> None:
    first = status_of(alice, waiting)
    assert first.headers["retry-after"] == "3"
    assert status_of(alice, waiting, If_None_Match=first.headers["etag"]).status == 304

    happen(database, lambda connection: actions.end(connection, waiting))

    then = status_of(alice, waiting, If_None_Match=first.headers["etag"])
    assert (then.status, then.headers["retry-after"], then.json["nextAction"]) == (200, "1", None)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE payment_actions SET expires_at = now()", id="its time is over"),
        pytest.param("UPDATE payment_actions SET ended_at = now()", id="somebody has ended it"),
        pytest.param("UPDATE payments SET status = 'CAPTURED'", id="it is done"),
        pytest.param("UPDATE payments SET status = 'VOIDED'", id="it is closed"),
        pytest.param("UPDATE orders SET status = 'NEEDS_REVIEW'", id="the order needs review"),
    ],
)
def test_there_is_nothing_to_do_any_more(
    alice: Client, waiting: UUID, database: Database, change: str
) -> None:
    execute(database, change)

    assert next_action(alice, waiting) is None


def test_nobody_but_the_owner_sees_the_client_s_secret(
    alice: Client, bob: Client, waiting: UUID, database: Database, logs: Logs
) -> None:
    (action,) = rows(database, "SELECT * FROM payment_actions")

    assert status_of(bob, waiting).status == 404
    assert status_of(alice, waiting).headers["cache-control"] == "no-store"
    for path in (f"/api/v1/orders/{waiting}", "/api/v1/orders"):
        assert action["client_secret"] not in alice.get(path).text
    assert action["client_secret"] not in logs.everything
