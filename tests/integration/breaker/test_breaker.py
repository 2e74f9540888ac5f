"""The circuit around the payment gateway, as several Lambda processes meet it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

import pytest

from orders.db import Credentials, Database
from orders.errors import (
    DatabaseUnavailable,
    FraudSuspected,
    OrdersError,
    PaymentDeclined,
    PaymentGatewayCircuitOpen,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    StepFenced,
    failure_reason,
)
from orders.observability import metrics
from orders.payments.breaker import POLICY, CircuitBreaker
from orders.payments.gateway import GatewayStatus, NothingToRefund, PaymentGateway
from payment_simulator import outages
from payment_simulator.gateway import SimulatedGateway
from tests.integration.breaker.gateways import CHARGE, Act, Held, ScriptedGateway, fail, work
from tests.support.factories import execute, rows
from tests.support.payments import BEHAVIOUR
from tools.round_trips import RoundTripCounter

KEY = "order-1"
ALL_BUT_ONE = POLICY.calls - 1


@dataclass
class Process:
    """One Lambda process: its own connection, its own breaker, the same gateway."""

    database: Database
    gateway: ScriptedGateway
    breaker: PaymentGateway

    def capture(self, act: Act = work, key: str = KEY) -> None:
        self.gateway.act = act
        self.breaker.capture(key, CHARGE)

    def works(self, times: int) -> None:
        for _ in range(times):
            self.capture()

    def fails(self, times: int = 1, *, keys: int = 1_000) -> None:
        """Each time for another payment, of so many different ones."""
        for place in range(times):
            with pytest.raises(PaymentGatewayUnavailable) as raised:
                self.capture(fail, f"order-{place % keys}")
            assert not isinstance(raised.value, PaymentGatewayCircuitOpen), "the gateway was not called"

    def is_refused(self, call: Callable[[], object] | None = None) -> float:
        """Sees that a call is refused without reaching the gateway; answers the wait that it is told."""
        before = list(self.gateway.calls)
        with pytest.raises(PaymentGatewayCircuitOpen) as raised:
            (call or self.capture)()
        assert self.gateway.calls == before
        return raised.value.retry_after_seconds


Launch = Callable[[], Process]


@pytest.fixture
def launch(credentials: Credentials) -> Iterator[Launch]:
    """Starts another process on this test's database."""
    databases: list[Database] = []

    def launch() -> Process:
        databases.append(Database(lambda: credentials))
        gateway = ScriptedGateway()
        return Process(databases[-1], gateway, CircuitBreaker(gateway, databases[-1]))

    yield launch
    for database in databases:
        database.engine.dispose()


@pytest.fixture
def process(launch: Launch) -> Process:
    return launch()


@pytest.fixture
def other(launch: Launch) -> Process:
    return launch()


def let_time_pass(database: Database, seconds: float) -> None:
    """By moving what the database's clock is compared with."""
    execute(
        database,
        "UPDATE circuit_breakers SET window_started_at = window_started_at - make_interval(secs => :seconds), "
        "open_until = open_until - make_interval(secs => :seconds), "
        "probe_until = probe_until - make_interval(secs => :seconds)",
        seconds=seconds,
    )


def raising(error: BaseException) -> Act:
    def act() -> None:
        raise error

    return act


# Opening


def test_the_policy_is_half_of_ten_calls_in_half_a_minute_and_a_rest_of_a_minute() -> None:
    assert (POLICY.calls, POLICY.failure_share, POLICY.window_seconds) == (10, 0.5, 30)
    assert (POLICY.keys, POLICY.open_seconds) == (3, 60)


def test_fewer_calls_than_ten_say_nothing(process: Process) -> None:
    process.fails(ALL_BUT_ONE)
    process.capture()
    assert process.gateway.calls == ["capture"] * POLICY.calls


def test_ten_failures_open_the_circuit_for_a_minute(process: Process) -> None:
    process.fails(POLICY.calls)
    assert process.is_refused() == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    ("failures", "successes", "is_open"), [(10, 10, True), (10, 11, False), (30, 31, False)]
)
def test_the_share_of_failures_decides_and_not_their_number(
    process: Process, failures: int, successes: int, is_open: bool
) -> None:
    process.fails(1)
    process.works(successes)
    process.fails(failures - 2)
    with pytest.raises(PaymentGatewayUnavailable):
        process.capture(fail)
    if is_open:
        process.is_refused()
    else:
        process.capture()


def test_a_gateway_that_fails_now_and_then_is_not_given_up(process: Process) -> None:
    for _ in range(12):
        process.fails(2)
        process.works(3)


@pytest.mark.parametrize("keys", [1, 2])
def test_the_retries_of_one_order_or_two_never_open_it(process: Process, keys: int) -> None:
    process.fails(5 * POLICY.calls, keys=keys)
    process.capture()


def test_a_third_order_that_fails_opens_it(process: Process) -> None:
    process.fails(POLICY.calls, keys=2)
    with pytest.raises(PaymentGatewayUnavailable):
        process.capture(fail, "order-of-another-customer")
    process.is_refused()


def test_failures_of_another_half_minute_do_not_add_up(process: Process) -> None:
    process.fails(ALL_BUT_ONE)
    let_time_pass(process.database, POLICY.window_seconds)
    process.fails(ALL_BUT_ONE)
    process.capture()


def test_what_the_release_before_has_counted_is_no_part_of_a_window(process: Process) -> None:
    execute(process.database, "INSERT INTO circuit_breakers (name, failures) VALUES ('payment-gateway', 50)")
    process.fails(ALL_BUT_ONE)
    process.capture()


# Whose fault it is


@pytest.mark.parametrize(
    "error",
    [
        PaymentGatewayUnavailable("the payment failed technically", gateway_at_fault=False),
        PaymentGatewayTimeout("pm_card_timeout did not answer", gateway_at_fault=False),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_method_that_fails_by_itself_counts_neither_as_a_failure_nor_as_a_sign_of_health(
    process: Process, error: Exception
) -> None:
    process.fails(ALL_BUT_ONE)
    for place in range(5 * POLICY.calls):
        with pytest.raises(type(error)):
            process.capture(raising(error), f"order-of-{place}")
    process.fails(1)
    process.is_refused()


def test_a_method_that_fails_by_itself_decides_no_probe(process: Process, other: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    with pytest.raises(PaymentGatewayUnavailable, match="pm_card_down"):
        process.capture(raising(PaymentGatewayUnavailable("pm_card_down", gateway_at_fault=False)))
    other.capture()
    process.capture()


@pytest.mark.parametrize("method", ["pm_card_down", "pm_card_flaky", "pm_card_timeout", "pm_card_declined"])
def test_no_test_method_of_the_simulator_opens_the_circuit(process: Process, method: str) -> None:
    """Two orders by `pm_card_down` made another customer's payment take 75 seconds."""
    breaker = CircuitBreaker(SimulatedGateway(process.database, BEHAVIOUR), process.database)
    for place in range(2 * POLICY.calls):
        with suppress(PaymentGatewayUnavailable, PaymentDeclined):
            breaker.capture(f"order-{place}", replace(CHARGE, method=method))

    assert breaker.capture("order-of-another", CHARGE).status is GatewayStatus.CAPTURED
    assert rows(process.database, "SELECT * FROM circuit_breakers") == []


def test_an_outage_of_the_simulator_opens_it_and_its_end_closes_it(process: Process) -> None:
    simulator = SimulatedGateway(process.database, BEHAVIOUR)
    breaker = CircuitBreaker(simulator, process.database)
    process.database.transact(lambda connection: outages.begin(connection, 600))
    for place in range(POLICY.calls):
        with pytest.raises(PaymentGatewayUnavailable, match="down"):
            breaker.capture(f"order-{place}", CHARGE)
    with pytest.raises(PaymentGatewayCircuitOpen):
        breaker.capture("order-of-another", CHARGE)

    process.database.transact(outages.end)
    let_time_pass(process.database, 61)
    assert breaker.capture("order-of-another", CHARGE).status is GatewayStatus.CAPTURED


# All processes


def test_failures_of_different_processes_add_up_and_all_of_them_are_refused(
    process: Process, other: Process
) -> None:
    process.fails(POLICY.calls - 3)
    other.fails(3)
    process.is_refused()
    other.is_refused()


def test_an_open_circuit_stops_every_kind_of_call(process: Process) -> None:
    process.fails(POLICY.calls)
    process.is_refused(lambda: process.breaker.capture(KEY, CHARGE))
    process.is_refused(lambda: process.breaker.find(KEY))
    process.is_refused(lambda: process.breaker.void(KEY, CHARGE))
    process.is_refused(lambda: process.breaker.refund(KEY))


def test_the_failure_that_opens_it_is_reported_as_what_it_was(process: Process) -> None:
    process.fails(ALL_BUT_ONE)
    with pytest.raises(PaymentGatewayTimeout):
        process.capture(raising(PaymentGatewayTimeout("no answer")))
    process.is_refused()


def test_failures_at_the_same_time_are_all_counted(process: Process, launch: Launch) -> None:
    calls = [Held(fail) for _ in range(POLICY.calls)]
    with _threads(
        [
            partial(_swallow, partial(launch().capture, call, f"order-{place}"))
            for place, call in enumerate(calls)
        ]
    ):
        assert all(call.reached.wait(10) for call in calls)
        for call in calls:
            call.released.set()
    process.is_refused()


@pytest.mark.parametrize("call", ["capture", "find", "void", "refund"])
def test_a_technical_failure_of_any_call_counts(process: Process, call: str) -> None:
    process.fails(ALL_BUT_ONE)
    process.gateway.act = fail
    with pytest.raises(PaymentGatewayUnavailable):
        _call(process, call)
    process.is_refused()


# Answers


@pytest.mark.parametrize(
    "answer",
    [PaymentDeclined("no"), FraudSuspected("no"), StepFenced("voided"), NothingToRefund("nothing")],
    ids=lambda error: type(error).__name__,
)
def test_an_answer_we_do_not_like_is_not_a_failure(process: Process, answer: Exception) -> None:
    """Trap T7: four fraud orders opened the breaker and 36 of 40 good orders were cancelled."""
    for place in range(2 * POLICY.calls):
        with pytest.raises(type(answer)):
            process.capture(raising(answer), f"order-{place}")
    process.capture()


def test_a_decline_is_a_sign_of_health(process: Process) -> None:
    process.fails(ALL_BUT_ONE)
    for _ in range(POLICY.calls + 1):
        with pytest.raises(PaymentDeclined):
            process.capture(raising(PaymentDeclined("no")))
    process.fails(1)
    process.capture()


def test_successes_of_any_process_count(process: Process, other: Process) -> None:
    process.fails(ALL_BUT_ONE)
    other.works(POLICY.calls + 1)
    process.fails(1)
    process.capture()


def test_a_success_whose_call_began_before_the_failures_counts(process: Process, launch: Launch) -> None:
    """With calls at the same time, most successes are of this kind: were they ignored, a gateway that fails now and
    then would be given up."""
    slow = [Held() for _ in range(POLICY.calls + 1)]
    with _threads([partial(launch().capture, call) for call in slow]):
        assert all(call.reached.wait(10) for call in slow)
        process.fails(ALL_BUT_ONE)
        for call in slow:
            call.released.set()
    process.fails(1)
    process.capture()


def test_looking_a_payment_up_is_no_sign_of_health(process: Process) -> None:
    """Every retry looks first. A gateway that can read but not charge would never be given a rest."""
    process.fails(ALL_BUT_ONE)
    process.gateway.act = work
    for _ in range(POLICY.calls):
        process.breaker.find(KEY)
    process.fails(1)
    process.is_refused()


def test_a_defect_of_ours_is_neither_a_failure_nor_an_answer(process: Process) -> None:
    process.fails(ALL_BUT_ONE)
    with pytest.raises(ZeroDivisionError):
        process.capture(raising(ZeroDivisionError()))
    process.fails(1)
    process.is_refused()


# The probe


def test_after_a_minute_exactly_one_call_goes_through(process: Process, other: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    probe = Held()
    with _threads([lambda: process.capture(probe)]):
        assert probe.reached.wait(10)
        assert other.is_refused() == pytest.approx(POLICY.probe_seconds, abs=2)
        probe.released.set()
    other.capture()
    assert process.gateway.calls[POLICY.calls :] == ["capture"]


def test_of_many_processes_that_come_at_once_one_probes(process: Process, launch: Launch) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    probe = Held()
    others = [launch() for _ in range(8)]
    refused: list[PaymentGatewayCircuitOpen] = []

    def come(each: Process) -> None:
        try:
            each.capture(probe)
        except PaymentGatewayCircuitOpen as error:
            refused.append(error)
            if len(refused) == len(others) - 1:
                probe.released.set()

    with _threads([partial(come, each) for each in others]):
        pass
    assert sum(len(each.gateway.calls) for each in others) == 1


def test_a_probe_that_fails_opens_the_circuit_for_another_minute(process: Process, other: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    process.fails(1)
    assert other.is_refused() == pytest.approx(60, abs=2)


def test_after_a_good_probe_it_takes_as_many_failures_again(process: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    process.capture()
    process.fails(ALL_BUT_ONE)
    process.capture()


def test_a_declined_probe_closes_the_circuit(process: Process, other: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    with pytest.raises(PaymentDeclined):
        process.capture(raising(PaymentDeclined("no")))
    other.capture()


def test_looking_a_payment_up_decides_nothing_and_leaves_the_probe_to_the_next_call(
    process: Process, other: Process
) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    process.gateway.act = work
    process.breaker.find(KEY)
    other.fails(1)
    process.is_refused()


def test_a_circuit_that_opens_refuses_and_closes_is_counted(process: Process) -> None:
    metrics.clear_metrics()
    process.fails(POLICY.calls)
    process.is_refused()
    let_time_pass(process.database, 61)
    process.capture()
    counted = {name: metric["Value"] for name, metric in metrics.metric_set.items()}
    metrics.clear_metrics()
    assert counted == {"CircuitOpened": [1.0], "CircuitRefused": [1.0], "CircuitClosed": [1.0]}


def test_a_probe_lost_with_its_process_is_replaced_when_its_time_is_over(
    process: Process, other: Process
) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    with pytest.raises(KeyboardInterrupt):
        process.capture(raising(KeyboardInterrupt()))
    other.is_refused()
    let_time_pass(process.database, POLICY.probe_seconds + 1)
    other.capture()
    process.capture()


def test_a_probe_that_answers_after_its_time_has_no_say(process: Process, other: Process) -> None:
    process.fails(POLICY.calls)
    let_time_pass(process.database, 61)
    late = Held()
    with _threads([lambda: process.capture(late)]):
        assert late.reached.wait(10)
        let_time_pass(process.database, POLICY.probe_seconds + 1)
        other.fails(1)
        late.released.set()
    other.is_refused()


def test_a_failure_that_comes_late_does_not_lengthen_the_rest(process: Process, other: Process) -> None:
    slow = Held(fail)
    with _threads([lambda: _swallow(lambda: other.capture(slow))]):
        assert slow.reached.wait(10)
        process.fails(POLICY.calls)
        let_time_pass(process.database, 30)
        slow.released.set()
    assert process.is_refused() == pytest.approx(30, abs=2)


# Around it


def test_a_healthy_call_costs_two_round_trips(credentials: Credentials) -> None:
    with RoundTripCounter.to(credentials) as counter:
        database = Database(lambda: counter.credentials)
        breaker = CircuitBreaker(ScriptedGateway(), database)
        breaker.capture(KEY, CHARGE)
        with counter.listening() as heard:
            breaker.capture(KEY, CHARGE)
            assert heard.round_trips == 2
        database.engine.dispose()


def test_a_healthy_call_writes_nothing(process: Process) -> None:
    process.capture()
    assert rows(process.database, "SELECT * FROM circuit_breakers") == []


def test_no_connection_is_held_while_the_gateway_works(process: Process) -> None:
    process.capture(lambda: execute(process.database, "SELECT 1"))


@pytest.mark.parametrize(("act", "outcome"), [(work, None), (fail, PaymentGatewayUnavailable)])
def test_what_the_gateway_said_outlives_a_database_that_is_gone(
    process: Process, monkeypatch: pytest.MonkeyPatch, act: Act, outcome: type[Exception] | None
) -> None:
    def then_lose_the_database() -> None:
        def unreachable(work: object) -> object:
            raise DatabaseUnavailable("gone")

        monkeypatch.setattr(process.database, "transact_alone", unreachable)
        act()

    if outcome is None:
        process.capture(then_lose_the_database)
    else:
        with pytest.raises(outcome):
            process.capture(then_lose_the_database)


def test_the_customer_of_an_order_that_waited_in_vain_reads_that_payment_was_unavailable() -> None:
    assert failure_reason(PaymentGatewayCircuitOpen.__name__) == "PAYMENT_UNAVAILABLE"


def _call(process: Process, name: str) -> object:
    calls: dict[str, Callable[[], object]] = {
        "capture": lambda: process.breaker.capture(KEY, CHARGE),
        "find": lambda: process.breaker.find(KEY),
        "void": lambda: process.breaker.void(KEY, CHARGE),
        "refund": lambda: process.breaker.refund(KEY),
    }
    return calls[name]()


@contextmanager
def _threads(calls: Sequence[Callable[[], object]]) -> Iterator[None]:
    """The calls in threads of their own, which have ended when the block has."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def _swallow(call: Callable[[], object]) -> None:
    try:
        call()
    except OrdersError:
        return
