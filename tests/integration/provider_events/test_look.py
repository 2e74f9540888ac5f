"""An event of the payment provider has us look at its payment; what counts is what the provider says then."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from functions.operations.orders.records import read_records
from functions.provider_events.look import look
from orders import refunds
from orders.domain import RefundOrigin
from orders.errors import PaymentGatewayUnavailable, RefundExceedsCapture, ServiceUnavailable
from orders.observability import metrics
from orders.payments.gateway import GatewayDispute, PaymentGateway
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import ProviderMessage
from orders.tracing import tracing_header
from payment_simulator import customers, dashboard
from payment_simulator.gateway import SimulatedGateway
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import CONFIRMED, TOTAL, UNTOUCHED, Order, Pipeline, at_once
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, failed
from tests.support.factories import TRACE, TRACE_ID
from tests.support.payments import BEHAVIOUR
from tests.support.written import recorded
from tools.audit.database import PROMISES, Scope


@dataclass
class Provider:
    """The provider as it tells of an order's payment, and as its dashboard changes it."""

    order: Order
    woken: list[str] = field(default_factory=list)
    gateway: PaymentGateway | None = None

    @property
    def pipeline(self) -> Pipeline:
        return self.order.pipeline

    @property
    def key(self) -> str:
        return f"order-{self.order.order_id}"

    def event(self, type: str = "payment.captured", **changes: Any) -> ProviderMessage:
        fields = {
            "provider": PaymentProvider.SIMULATOR,
            "event_id": f"evt_{uuid4()}",
            "type": type,
            "payment_id": "pay_unknown",
            "key": self.key,
            "correlation_id": "correlation-7",
        }
        return ProviderMessage.model_validate(fields | changes)

    def tells(self, event: ProviderMessage | None = None, provider: str = "simulator") -> None:
        look(
            self.pipeline.database,
            self.gateway or self.pipeline.gateway,
            self.woken.append,
            PaymentProvider(provider),
            event or self.event(),
        )

    def refunds(self, amount: int) -> str:
        """Somebody does it in the dashboard."""
        refund_id = self.pipeline.database.transact(
            lambda connection: dashboard.refund(connection, self.key, amount)
        )
        assert refund_id
        return refund_id

    def disputes(self, amount: int | None = None) -> None:
        assert self.pipeline.database.transact(
            lambda connection: dashboard.open_dispute(connection, self.key, amount)
        )

    def decides(self, *, is_won: bool) -> None:
        assert self.pipeline.database.transact(
            lambda connection: dashboard.close_disputes(connection, self.key, is_won=is_won)
        )

    def payment(self) -> tuple[str, int, int]:
        (row,) = self._rows("SELECT status, captured, refunded FROM payments WHERE order_id = :order_id")
        return row["status"], row["captured"], row["refunded"]

    def recorded_refunds(self) -> list[tuple[str, str, int, str | None]]:
        return [
            (row["origin"], row["status"], row["amount"], row["provider_refund_id"])
            for row in self._rows("SELECT * FROM refunds WHERE order_id = :order_id ORDER BY id")
        ]

    def recorded_disputes(self) -> list[tuple[int, str]]:
        return [
            (row["amount"], row["status"])
            for row in self._rows("SELECT amount, status FROM payment_disputes WHERE order_id = :order_id")
        ]

    def repairs(self) -> list[str]:
        return [row["kind"] for row in self._rows("SELECT kind FROM repairs WHERE order_id = :order_id")]

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self.pipeline.rows(sql, order_id=self.order.order_id)


def counted(name: str) -> float:
    """A metric so far, which is forgotten then."""
    found = metrics.metric_set.get(name)
    metrics.clear_metrics()
    return sum(found["Value"]) if found else 0


@pytest.fixture
def confirmed(pipeline: Pipeline) -> Provider:  # noqa: F811
    order = pipeline.order()
    order.run()
    metrics.clear_metrics()
    return Provider(order)


@pytest.fixture
def waiting(pipeline: Pipeline) -> Provider:  # noqa: F811
    order = pipeline.order("pm_card_requires_action")
    assert order.run().is_waiting
    return Provider(order)


def mails_of(provider: Provider) -> list[str]:
    return provider.order.ending().told


# A saga that waits for its customer


@pytest.mark.parametrize("act", [customers.complete, customers.fail])
def test_a_saga_is_woken_when_its_customer_has_acted(waiting: Provider, act: Any) -> None:
    assert waiting.pipeline.database.transact(lambda connection: act(connection, waiting.key))

    waiting.tells()

    assert len(waiting.woken) == 1
    assert waiting.repairs() == []


def test_a_saga_whose_payment_was_cancelled_at_the_provider_is_woken(waiting: Provider) -> None:
    waiting.pipeline.execute(
        "UPDATE gateway.payments SET status = 'VOIDED' WHERE key = :key", key=waiting.key
    )
    waiting.tells(waiting.event("payment.voided"))
    assert len(waiting.woken) == 1


def test_an_event_that_says_more_than_the_provider_does_wakes_nobody(waiting: Provider) -> None:
    waiting.tells(waiting.event("payment.captured"))

    assert waiting.woken == []
    assert waiting.payment() == ("ACTION_REQUIRED", 0, 0)


def test_a_wake_up_that_fails_is_tried_again_with_the_event(waiting: Provider) -> None:
    waiting.pipeline.database.transact(lambda connection: customers.complete(connection, waiting.key))
    event = waiting.event()

    def fail(token: str) -> None:
        raise ServiceUnavailable("Step Functions")

    with pytest.raises(ServiceUnavailable):
        look(waiting.pipeline.database, waiting.pipeline.gateway, fail, PaymentProvider.SIMULATOR, event)
    waiting.tells(event)

    assert len(waiting.woken) == 1


def test_an_order_that_does_not_wait_is_left_alone(confirmed: Provider) -> None:
    confirmed.tells()

    assert confirmed.woken == []
    assert confirmed.order.ending() == CONFIRMED
    assert confirmed.repairs() == []


def test_money_that_came_for_a_cancelled_order_is_given_back(pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order("pm_card_down")
    order.run()
    provider = Provider(order)
    pipeline.execute("UPDATE gateway.payments SET status = 'CAPTURED' WHERE key = :key", key=provider.key)
    pipeline.execute(
        "INSERT INTO gateway.entries (key, kind, amount) VALUES (:key, 'CAPTURE', :amount)",
        key=provider.key,
        amount=TOTAL,
    )

    provider.tells()

    assert provider.payment() == ("REFUNDED", TOTAL, TOTAL)
    assert provider.repairs() == ["PAYMENT_GIVEN_BACK"]


# Refunds that somebody made at the provider


def test_a_refund_of_the_dashboard_is_recorded_once_and_nobody_is_mailed(confirmed: Provider) -> None:
    refund_id = confirmed.refunds(1000)
    before = mails_of(confirmed)
    event = confirmed.event("refund.created")

    for each in (event, event, confirmed.event("refund.created"), confirmed.event("payment.captured")):
        confirmed.tells(each)

    assert confirmed.recorded_refunds() == [("PROVIDER", "COMPLETED", 1000, refund_id)]
    assert confirmed.payment() == ("CAPTURED", TOTAL, 1000)
    assert confirmed.order.ending().status == "CONFIRMED"
    assert confirmed.repairs() == []
    assert mails_of(confirmed) == before
    assert counted("ProviderRefundsRecorded") == 1


def test_several_of_them_are_each_recorded_and_add_up(confirmed: Provider) -> None:
    confirmed.refunds(1000)
    confirmed.tells()
    confirmed.refunds(500)
    confirmed.refunds(TOTAL - 1500)
    confirmed.tells()

    assert [amount for _, _, amount, _ in confirmed.recorded_refunds()] == [1000, 500, TOTAL - 1500]
    assert confirmed.payment() == ("REFUNDED", TOTAL, TOTAL)
    assert confirmed.repairs() == []


def test_two_deliveries_at_once_record_it_once(
    confirmed: Provider,
    process: Any,  # noqa: F811
) -> None:
    confirmed.refunds(1000)
    databases = [process(), process()]
    outcomes = at_once(
        *(
            lambda database=database: look(
                database,
                SimulatedGateway(database, BEHAVIOUR),
                confirmed.woken.append,
                PaymentProvider.SIMULATOR,
                confirmed.event(),
            )
            for database in databases
        )
    )

    assert outcomes == [None, None]
    assert len(confirmed.recorded_refunds()) == 1
    assert confirmed.payment() == ("CAPTURED", TOTAL, 1000)


def test_two_deliveries_of_one_event_at_once_have_one_effect(
    confirmed: Provider,
) -> None:
    """The second comes while the first asks the provider, and finds what no rule puts right."""
    provider, event = confirmed, confirmed.event()
    provider.pipeline.execute(
        "UPDATE gateway.payments SET status = 'VOIDED' WHERE key = :key", key=provider.key
    )

    class Slow(SimulatedGateway):
        def find(self, key: str) -> Any:
            found = super().find(key)
            provider.gateway = None
            provider.tells(event)
            return found

    provider.gateway = Slow(provider.pipeline.database, BEHAVIOUR)
    look(
        provider.pipeline.database,
        provider.gateway,
        provider.woken.append,
        PaymentProvider.SIMULATOR,
        event,
    )

    assert provider.repairs() == ["PAYMENT_CONFLICT"]
    provider.pipeline.execute(
        "UPDATE gateway.payments SET status = 'CAPTURED' WHERE key = :key", key=provider.key
    )


def test_a_refund_of_ours_is_left_to_its_own_execution(confirmed: Provider) -> None:
    def grant(connection: Any) -> refunds.Granted:
        return refunds.grant(
            connection,
            confirmed.order.order_id,
            origin=RefundOrigin.OPERATOR,
            requested_by="operator-1",
            reason="broken",
            amount=1000,
            lines={},
            restock=False,
            trace=TRACE,
        )

    granted = confirmed.pipeline.database.transact(grant)
    confirmed.pipeline.gateway.refund_part(confirmed.key, f"refund-{granted.refund_id}", 1000)
    confirmed.tells(confirmed.event("refund.created"))

    assert confirmed.recorded_refunds() == [("OPERATOR", "REQUESTED", 1000, None)]
    assert confirmed.payment() == ("CAPTURED", TOTAL, 0)
    assert confirmed.repairs() == []
    # As its execution would.
    confirmed.pipeline.database.transact(
        lambda connection: refunds.record_refunded(connection, granted.refund_id, TRACE)
    )
    confirmed.tells()
    assert confirmed.repairs() == []


def test_what_was_given_back_at_the_provider_cannot_be_granted_again(confirmed: Provider) -> None:
    confirmed.refunds(TOTAL - 500)
    confirmed.tells()

    with pytest.raises(RefundExceedsCapture):
        confirmed.pipeline.database.transact(
            lambda connection: refunds.grant(
                connection,
                confirmed.order.order_id,
                origin=RefundOrigin.OPERATOR,
                requested_by="operator-1",
                reason="broken",
                amount=501,
                lines={},
                restock=False,
                trace=TRACE,
            )
        )


@pytest.mark.parametrize("amount", [1000, TOTAL])
def test_an_order_whose_money_goes_back_while_it_is_processed_is_never_confirmed_for_less(
    pipeline: Pipeline,  # noqa: F811
    amount: int,
) -> None:
    order = pipeline.order()
    provider = Provider(order)

    def give_back(order: Order) -> None:
        provider.refunds(amount)
        provider.tells(provider.event("refund.created"))

    order.run(meanwhile={"ConfirmReservation": give_back})

    ending = order.ending()
    assert ending.status == "CANCELLED"
    assert ending.stock == UNTOUCHED
    assert provider.payment() == ("REFUNDED", TOTAL, TOTAL)
    assert sum(amount for kind, amount in ending.ledger if kind == "REFUND") == TOTAL


def test_a_refund_before_the_capture_is_recorded_is_found_with_the_capture(
    pipeline: Pipeline,  # noqa: F811
) -> None:
    """The customer has acted, and somebody gives money back before the saga has looked."""
    order = pipeline.order("pm_card_requires_action")
    execution = order.run()
    provider = Provider(order)
    pipeline.database.transact(lambda connection: customers.complete(connection, provider.key))
    provider.refunds(1000)

    provider.tells()
    assert provider.recorded_refunds() == []
    pipeline.tokens.send_task_success(taskToken=provider.woken[0], output="{}")
    while not execution.ended and execution.next_state != "ConfirmReservation":
        execution.step()
    provider.tells()

    assert [amount for _, _, amount, _ in provider.recorded_refunds()] == [1000]
    while not execution.ended:
        execution.step()
    assert order.ending().status == "CANCELLED"


def test_a_refund_that_we_know_and_the_provider_does_not_is_shown_to_an_operator(confirmed: Provider) -> None:
    confirmed.refunds(1000)
    confirmed.tells()
    confirmed.pipeline.execute("DELETE FROM gateway.refunds WHERE key = :key", key=confirmed.key)
    confirmed.pipeline.execute("UPDATE gateway.payments SET refunded = 0 WHERE key = :key", key=confirmed.key)

    confirmed.tells()

    assert confirmed.repairs() == ["PAYMENT_CONFLICT"]
    assert counted("PaymentConflicts") == 1
    confirmed.pipeline.execute(
        "UPDATE gateway.payments SET refunded = 1000 WHERE key = :key", key=confirmed.key
    )


# Disputes


def test_a_dispute_is_recorded_and_counted_once(confirmed: Provider) -> None:
    confirmed.disputes(2000)
    event = confirmed.event("dispute.opened")
    for each in (event, event, confirmed.event("dispute.opened")):
        confirmed.tells(each)

    assert confirmed.recorded_disputes() == [(2000, "OPEN")]
    assert counted("PaymentDisputesOpened") == 1


@pytest.mark.parametrize(("is_won", "status", "lost"), [(True, "WON", 0), (False, "LOST", 1)])
def test_its_end_is_recorded_whatever_order_the_events_come_in(
    confirmed: Provider, is_won: bool, status: str, lost: int
) -> None:
    confirmed.disputes()
    opened, closed = confirmed.event("dispute.opened"), confirmed.event("dispute.closed")
    confirmed.decides(is_won=is_won)

    confirmed.tells(closed)
    confirmed.tells(opened)

    assert confirmed.recorded_disputes() == [(TOTAL, status)]
    assert counted("PaymentDisputesLost") == lost
    assert counted("PaymentDisputesOpened") == 0


def test_an_answer_that_was_long_on_its_way_does_not_undo_a_later_one(confirmed: Provider) -> None:
    confirmed.disputes()
    provider = confirmed

    class Slow(SimulatedGateway):
        def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
            found = super().find_disputes(key)
            provider.gateway = None
            provider.decides(is_won=False)
            provider.tells(provider.event("dispute.closed"))
            return found

    provider.gateway = Slow(provider.pipeline.database, BEHAVIOUR)
    provider.tells(provider.event("dispute.opened"))

    assert provider.recorded_disputes() == [(TOTAL, "LOST")]


@pytest.mark.parametrize(("is_won", "is_granted"), [(None, False), (False, False), (True, True)])
def test_what_is_contested_or_lost_is_not_refunded_as_well(
    confirmed: Provider, is_won: bool | None, is_granted: bool
) -> None:
    confirmed.disputes()
    if is_won is not None:
        confirmed.decides(is_won=is_won)
    confirmed.tells()

    def grant(connection: Any) -> refunds.Granted:
        return refunds.grant(
            connection,
            confirmed.order.order_id,
            origin=RefundOrigin.OPERATOR,
            requested_by="operator-1",
            reason="broken",
            amount=1,
            lines={},
            restock=False,
            trace=TRACE,
        )

    if is_granted:
        assert confirmed.pipeline.database.transact(grant).amount == 1
    else:
        with pytest.raises(RefundExceedsCapture):
            confirmed.pipeline.database.transact(grant)


# Whose it is, and who answers


def test_a_payment_is_found_by_the_providers_own_id(confirmed: Provider) -> None:
    (row,) = confirmed.pipeline.rows(
        "SELECT provider_payment_id FROM payments WHERE order_id = :id", id=confirmed.order.order_id
    )
    confirmed.refunds(1000)
    confirmed.tells(confirmed.event(key=None, payment_id=row["provider_payment_id"]))
    assert len(confirmed.recorded_refunds()) == 1


@pytest.mark.parametrize("key", [None, "order-of-another-environment", "'; DROP TABLE payments --"])
def test_a_payment_of_another_account_is_counted_and_not_asked_for(
    confirmed: Provider, key: str | None
) -> None:
    confirmed.gateway = _Unreachable(confirmed.pipeline.database, BEHAVIOUR)
    confirmed.tells(confirmed.event(key=key))
    assert counted("ProviderEventsUnknown") == 1


def test_an_event_of_another_provider_is_counted_and_not_asked_for(confirmed: Provider) -> None:
    confirmed.gateway = _Unreachable(confirmed.pipeline.database, BEHAVIOUR)
    look(
        confirmed.pipeline.database,
        confirmed.gateway,
        confirmed.woken.append,
        "another",  # type: ignore[arg-type]
        confirmed.event(),
    )
    assert counted("ProviderEventsUnknown") == 1


class _Unreachable(SimulatedGateway):
    def find(self, key: str) -> Any:
        raise PaymentGatewayUnavailable("down")


@pytest.fixture
def handler(confirmed: Provider, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = importlib.import_module("functions.provider_events.handler")
    monkeypatch.setattr(module, "database", confirmed.pipeline.database)
    monkeypatch.setattr(module, "gateway", confirmed.pipeline.gateway)
    return module


def test_a_gateway_that_does_not_answer_sends_the_message_back(
    handler: Any, confirmed: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed.refunds(1000)
    body = confirmed.event().model_dump_json(by_alias=True)
    context = lambda_context(remaining_ms=30_000)
    with monkeypatch.context() as outage:
        outage.setattr(handler, "gateway", _Unreachable(confirmed.pipeline.database, BEHAVIOUR))
        assert failed(handler.handler(batch(body), context)) == ["message-0"]
    assert confirmed.recorded_refunds() == []

    assert failed(handler.handler(batch(body), context)) == []
    assert len(confirmed.recorded_refunds()) == 1


def test_what_is_no_event_of_the_provider_goes_to_the_dead_letters_alone(
    handler: Any, confirmed: Provider, dead_letters: FakeDeadLetterQueue
) -> None:
    good = confirmed.event().model_dump_json(by_alias=True)
    bodies = ["not json", "{}", good, good.replace("simulator", "paypal"), good[:-1] + ', "more": 1}']
    confirmed.refunds(1000)

    answer = handler.handler(batch(*bodies), lambda_context(remaining_ms=30_000))

    assert failed(answer) == []
    assert dead_letters.bodies == [bodies[0], bodies[1], bodies[3], bodies[4]]
    assert len(confirmed.recorded_refunds()) == 1


def test_its_log_lines_carry_the_trace_of_the_message(handler: Any, confirmed: Provider) -> None:
    body = confirmed.event().model_dump_json(by_alias=True)
    context = lambda_context(remaining_ms=30_000)
    handler.handler(batch(body), context)

    with recorded() as written:
        handler.handler(batch(body, tracing_header=tracing_header(TRACE.traceparent)), context)

    (line,) = written.logs("Event of the payment provider was dealt with before")
    assert line["trace_id"] == TRACE_ID


def test_a_batch_stops_before_the_functions_time_is_over(handler: Any, confirmed: Provider) -> None:
    body = confirmed.event().model_dump_json(by_alias=True)
    assert failed(handler.handler(batch(body), lambda_context(remaining_ms=5_000))) == ["message-0"]


# Who looks at it afterwards


def test_the_orders_report_and_the_audit_know_of_both(confirmed: Provider) -> None:
    confirmed.refunds(1000)
    confirmed.disputes(2000)
    confirmed.tells()

    report = read_records(confirmed.pipeline.database, confirmed.order.order_id)

    assert [(refund.origin, refund.amount) for refund in report.refunds] == [("PROVIDER", 1000)]
    assert [(dispute.amount, dispute.status) for dispute in report.disputes] == [(2000, "OPEN")]
    assert broken(confirmed) == {}


def test_the_audit_finds_nothing_wrong_with_an_order_that_was_refunded_at_the_provider_and_cancelled(
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    provider = Provider(order)

    def give_back(order: Order) -> None:
        provider.refunds(1000)
        provider.tells()

    order.run(meanwhile={"ConfirmReservation": give_back})

    assert broken(provider) == {}


def broken(provider: Provider) -> dict[str, list[str]]:
    """The promises about money that the audit finds broken."""
    with provider.pipeline.database.engine.connect() as connection:
        verdicts = [
            promise.check(connection, Scope.of([provider.order.order_id]))
            for promise in PROMISES
            if promise.number in ("I2", "I3", "I13")
        ]
    return {
        verdict.promise: [violation.problem for violation in verdict.violations]
        for verdict in verdicts
        if verdict.violations
    }
