"""Whatever happens, in whatever order, between any two statements: the promises hold.

Hypothesis writes the histories and looks for a short one that breaks a promise. A longer search than the suite's:

    pytest tests/integration/model --hypothesis-profile=long
"""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from functions.outbox_relay import outcomes
from orders import db
from orders.db import Credentials, Database
from tests.integration.model.outside import Delivery, Notice
from tests.integration.model.simulated_system import SagaExecution, SimulatedSystem
from tests.integration.refunds.support import deploy as deploy_refunds
from tests.integration.saga.pipeline import FORWARD, Pipeline
from tests.support.factories import Product, add_product
from tests.support.postgres import Server

T = TypeVar("T")

SHARE_OF_EXAMPLES = 0.3
"""Of the profile's: one history costs as much as many of another test's examples."""
MOVES = 40

SCARCE, PLENTY = 3, 100
PAYMENT_METHODS = [
    *["pm_card_visa"] * 3,
    *["pm_card_timeout"] * 2,
    "pm_card_flaky",
    "pm_card_declined",
    "pm_card_fraud",
    "pm_card_down",
    *["pm_card_requires_action"] * 3,
]
"""`pm_simulated` follows the dice; it does nothing that these do not."""
ORDERS = 3
MORE_POSTS = 3
AT_ONCE = 8
"""Functions that may be under way at the same time."""

Cart = list[tuple[int, int]]
"""Products by their place, with quantities."""

carts = strategies.sampled_from([[(0, 2)], [(0, 2), (1, 1)], [(1, 2), (0, 1)], [(1, 1)]])
methods = strategies.sampled_from(PAYMENT_METHODS)
which = strategies.integers(0, AT_ONCE)
gates = strategies.one_of(strategies.integers(0, 6), strategies.just(100))


@pytest.fixture(scope="module")
def model_credentials(postgres_server: Server) -> Iterator[Credentials]:
    """A database that is patient with transactions which a history leaves standing for a while."""
    with postgres_server.fresh_database() as credentials:
        for setting, value in (
            ("lock_timeout", "30s"),
            ("statement_timeout", "40s"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("deadlock_timeout", "100ms"),
        ):
            postgres_server.administer(f"ALTER DATABASE {credentials.dbname} SET {setting} = '{value}'")
        yield credentials


@pytest.fixture(scope="module")
def products(model_credentials: Credentials) -> list[Product]:
    """In the order of their ids, which is the order in which they are locked."""
    database = Database(lambda: model_credentials)
    made = [add_product(database, unit_price=1250), add_product(database, unit_price=4000)]
    database.engine.dispose()
    return sorted(made, key=lambda product: product.product_id)


def chosen(which: int, among: Sequence[T]) -> Sequence[T]:
    """One of them, or none if there are none."""
    return [among[which % len(among)]] if among else []


class Histories(RuleBasedStateMachine):
    """The moves. Each begins something, or decides what becomes of something that was begun.

    A move that has nothing to move does nothing. It has no precondition: what Hypothesis draws next must not hang on
    the state of a database, which it would take for a flaky test.
    """

    def __init__(self, system: SimulatedSystem) -> None:
        super().__init__()
        self.system = system
        self.posts = 0
        system.begin([SCARCE, PLENTY])

    @initialize(
        orders=strategies.lists(
            strategies.tuples(carts, methods, strategies.integers(0, 6)), min_size=1, max_size=ORDERS
        )
    )
    def accept_some_orders(self, orders: list[tuple[Cart, str, int]]) -> None:
        """Their sagas have started, and have come as far as it says."""
        for key, (cart, payment_method, _) in enumerate(orders):
            self.system.run(self.system.post(f"key-{key}", self._lines(cart), payment_method))
        self.system.run(self.system.relay([Delivery.SENT]))
        for message in list(self.system.queues.messages):
            self.system.run(self.system.deliver(message))
        for execution, (_, _, states) in zip(self.system.waiting_executions, orders, strict=True):
            self._go_on(execution, states)

    @rule(key=strategies.integers(0, ORDERS), cart=carts, payment_method=methods, gates=gates)
    def post_an_order(self, key: int, cart: Cart, payment_method: str, gates: int) -> None:
        if self._has_room and self.posts < MORE_POSTS:
            self.posts += 1
            self.system.run(self.system.post(f"key-{key}", self._lines(cart), payment_method), gates)

    @rule(which=which, gates=gates)
    def cancel_an_order(self, which: int, gates: int) -> None:
        """Its customer does, whatever is under way."""
        if self._has_room:
            for order_id in chosen(which, self.system.orders):
                self.system.run(self.system.cancel(order_id), gates)

    @rule(which=which, amount=strategies.sampled_from([500, 2500, None]), gates=gates)
    def refund_an_order(self, which: int, amount: int | None, gates: int) -> None:
        """An operator does, whatever is under way, and however often."""
        if self._has_room:
            for order_id in chosen(which, self.system.orders):
                self.system.run(self.system.refund(order_id, amount), gates)

    @rule(
        deliveries=strategies.lists(
            strategies.sampled_from(
                [
                    Delivery.SENT,
                    Delivery.SENT,
                    Delivery.SENT_TWICE,
                    Delivery.ANSWER_LOST,
                    Delivery.UNDELIVERED,
                    Delivery.REFUSED,
                ]
            ),
            min_size=1,
            max_size=3,
        ),
        gates=gates,
    )
    def relay(self, deliveries: list[str], gates: int) -> None:
        if self._has_room:
            self.system.run(self.system.relay(deliveries), gates)

    @rule(
        which=strategies.integers(0, 20),
        notice=strategies.sampled_from([Notice.SENT, Notice.ANSWER_LOST, Notice.NOT_SENT, Notice.REFUSED]),
        gates=gates,
    )
    def deliver_a_message(self, which: int, notice: str, gates: int) -> None:
        messages = sorted(
            self.system.queues.messages, key=lambda message: (message.is_done, message.deliveries)
        )
        if self._has_room and messages:
            self.system.run(self.system.deliver(messages[which % len(messages)], notice), gates)

    @rule(gates=gates)
    def maintain(self, gates: int) -> None:
        if self._has_room:
            self.system.run(self.system.maintain(), gates)

    @rule(seconds=strategies.sampled_from([45, 130, 1000]))
    def let_time_pass(self, seconds: float) -> None:
        self.system.pass_time(seconds)

    @rule(which=which, states=strategies.integers(1, 8))
    def let_a_saga_go_on(self, which: int, states: int) -> None:
        for execution in chosen(which, self.system.waiting_executions):
            self._go_on(execution, states)

    @rule(which=which, gates=gates)
    def let_a_function_go_on(self, which: int, gates: int) -> None:
        for invocation in chosen(which, self.system.stopped):
            self.system.run(invocation, gates)

    @rule(which=which)
    def lose_an_answer(self, which: int) -> None:
        for invocation in chosen(which, self.system.stopped):
            self.system.lose_answer(invocation)

    @rule(which=which)
    def kill_a_process(self, which: int) -> None:
        for invocation in chosen(which, self.system.stopped):
            self.system.kill(invocation)

    @rule(which=which, for_good=strategies.booleans())
    def give_a_step_up(self, which: int, for_good: bool) -> None:
        """It goes on all the same. For good: every retry comes to nothing as well."""
        for execution in self._chosen_execution(which):
            step = execution.waits_for
            assert step is not None
            self.system.time_out(execution)
            while for_good and execution.waits_for is not None and execution.waits_for.name == step.name:
                self.system.kill(execution.waits_for)

    @rule(which=which, gates=gates)
    def call_a_step_twice(self, which: int, gates: int) -> None:
        for execution in self._chosen_execution(which):
            assert execution.waits_for is not None
            self.system.run(self.system.repeat(execution.waits_for), gates)

    @rule(which=which, step=strategies.sampled_from(FORWARD), gates=gates)
    def call_a_step_after_the_end(self, which: int, step: str, gates: int) -> None:
        if self._has_room:
            for execution in chosen(which, self.system.executions_at_their_end):
                self.system.run(self.system.call_after_the_end(execution, step), gates)

    @rule(which=which, completes=strategies.booleans())
    def let_a_customer_act(self, which: int, completes: bool) -> None:
        """Whether or not they must, and whether or not it is too late."""
        for execution in chosen(which, list(self.system.executions.values())):
            self.system.act(execution.order_id, completes=completes)

    @rule(which=which, gates=gates)
    def wake_a_saga(self, which: int, gates: int) -> None:
        """Somebody has heard of its customer, or thinks so."""
        if self._has_room:
            for execution in chosen(which, list(self.system.executions.values())):
                self.system.run(self.system.wake(execution.order_id), gates)

    @rule(which=which)
    def end_a_wait(self, which: int) -> None:
        for execution in chosen(which, self.system.executions_that_wait):
            self.system.end_wait(execution)

    @rule(which=which)
    def stop_an_execution(self, which: int) -> None:
        under_way = [*self.system.waiting_executions, *self.system.executions_that_wait]
        for execution in chosen(which, under_way) if self._has_room else []:
            self.system.abort(execution)

    @invariant()
    def promises_hold(self) -> None:
        if self.system.has_moved:
            assert self.system.broken_promises() == []

    def teardown(self) -> None:
        try:
            assert self.system.come_to_rest() == []
            assert self.system.broken_promises_at_rest() == []
        finally:
            self.system.end()

    @property
    def _has_room(self) -> bool:
        return len(self.system.invocations) < AT_ONCE

    def _chosen_execution(self, which: int) -> Sequence[SagaExecution]:
        """One whose step may become one more function that is under way."""
        return chosen(which, self.system.waiting_executions) if self._has_room else []

    def _go_on(self, execution: SagaExecution, states: int) -> None:
        for _ in range(states):
            step = execution.waits_for
            if step is None or step.is_blocked:
                break
            self.system.run(step)

    def _lines(self, cart: Cart) -> list[tuple[Product, int]]:
        return [(self.system.products[product], quantity) for product, quantity in cart]


# A long search takes as long as it takes. Nothing in it waits for ever: a strand that neither stops nor waits fails.
@pytest.mark.timeout(0)
def test_no_history_breaks_a_promise(
    model_credentials: Credentials, products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SimulatedSystem(model_credentials, products)
    Pipeline(system.database, system.gateway, system.tokens).deploy(monkeypatch)
    deploy_refunds(monkeypatch, system.database, system.gateway)
    # How fast this machine is must make no difference: nothing is waited for, nothing gives up for want of time, and
    # nothing becomes due while a history is told.
    monkeypatch.setattr(db, "BACKOFF_SECONDS", (0.0,) * len(db.BACKOFF_SECONDS))
    monkeypatch.setattr(db, "RETRY_WINDOW_SECONDS", math.inf)
    monkeypatch.setattr(outcomes, "BACKOFF_BASE_SECONDS", outcomes.MAX_BACKOFF_SECONDS)

    class HistoriesOfThisWorld(Histories):
        def __init__(self) -> None:
            super().__init__(system)

    usual = settings()
    run_state_machine_as_test(
        HistoriesOfThisWorld,
        settings=settings(
            usual,
            max_examples=math.ceil(SHARE_OF_EXAMPLES * usual.max_examples),
            stateful_step_count=MOVES,
        ),
    )
    system.close()
