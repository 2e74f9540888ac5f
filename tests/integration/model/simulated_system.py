"""The whole pipeline in one process: real functions, Postgres and state machine, and everything else as slow, repeated,
lost or killed as somebody wants it to be."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from botocore.exceptions import BotoCoreError
from sqlalchemy import Connection, text

from functions.cancel_order.cancel_order import CancellationRequest, cancel_order
from functions.create_order.place_order import place_order
from functions.inventory_events.low_stock import watch_stock
from functions.maintenance.deadline import Deadline
from functions.maintenance.maintenance import Maintenance
from functions.notify.notification_rows import SendingInProgress
from functions.notify.notify import notify
from functions.notify.sending import NotSent
from functions.outbox_relay.claims import ClaimedEvent, Claims
from functions.outbox_relay.relay import Relay
from functions.payment_events.reconcile import reconcile
from functions.start_saga.start_saga import StateMachines, start_execution
from orders import refunds
from orders.db import Credentials, Database
from orders.domain import CancellationOutcome, OrderStatus, RefundOrigin
from orders.errors import OrdersError, PaymentGatewayCircuitOpen
from orders.events import CloudEvent, ExecutionRequested, NotificationRequested, Queue
from orders.executions import ExecutionStatus, Subject, subject_of
from orders.payments import actions
from orders.payments.breaker import CircuitBreaker
from payment_simulator import customers
from payment_simulator.gateway import SimulatedGateway
from tests.integration.model.outside import (
    Delivery,
    InTurn,
    Message,
    Notice,
    OutsideGateway,
    OutsideTokens,
    Provider,
    Queues,
    ShortTime,
    StepFunctions,
)
from tests.integration.model.processes import (
    LOSE_ANSWER,
    CurrentDatabase,
    GatedCredentials,
    Invocation,
    Observer,
    Process,
)
from tests.integration.model.strands import Killed, Strand
from tests.integration.notify.fake_sender import permission
from tests.integration.refunds.support import TASKS as REFUND_TASKS
from tests.integration.refunds.support import execution_input
from tests.integration.saga.pipeline import TASKS
from tests.support import simulator_tables, tables
from tests.support.asl import Execution, StateMachine, TaskFailed
from tests.support.factories import ALICE, TRACE, Product, order_body, order_request
from tests.support.payments import BEHAVIOUR
from tools.audit.database import EVERY_ORDER, PROMISES, broken_at_once, snapshot, unsettled
from tools.audit.verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

TO_THE_END: Final = 10_000
"""More gates than any function has."""
ROUNDS_TO_REST: Final = 60
SECONDS_A_ROUND: Final = 130
"""Longer than any lease, back-off or patience; an open circuit is tried again."""

PROCESS_DIED: Final = "Runtime.ExitError"
TIMED_OUT: Final = "States.Timeout"

# Contact data goes as soon as it may: no message may miss it.
_CONTACT_RETENTION: Final = timedelta()

WINDOW_MINUTES: Final = 30

# What the database's clock is compared with. Rows that somebody holds are passed over: time can wait for them.
_CLOCKS: Final = (
    ("orders", "updated_at"),
    ("outbox", "available_at"),
    ("outbox", "published_at"),
    ("saga_recoveries", "next_check_at"),
    ("reservations", "expires_at"),
    ("payments", "updated_at"),
    ("refunds", "updated_at"),
    ("payment_actions", "expires_at"),
    ("notifications", "lease_until"),
    ("circuit_breakers", "open_until"),
    ("circuit_breakers", "probe_until"),
)

# True at every instant, not only at rest: money and stock move before the status that tells of them.
_ALWAYS: Final = ("I2", "I3", "I4", "I5", "I7", "I9", "I10", "I11", "I13")
# A release that failed for good leaves the reservation to the sweeper, and the order to an operator.
_UNTIL_ITS_TTL: Final = re.compile("NEEDS_REVIEW, but its reservation is live")


_END_OF: Final = {
    CancellationOutcome.CANCELLING: (OrderStatus.CANCELLED, 0),
    CancellationOutcome.REFUNDING: (OrderStatus.CONFIRMED, 1),
}
"""The status and the number of refunds that an order has at rest after a cancellation."""
_AFTER_CANCELLATIONS: Final = text("""
    SELECT orders.id AS order_id, orders.status,
           count(refunds.id) FILTER (WHERE refunds.origin = 'CUSTOMER') AS refunds
    FROM orders LEFT JOIN refunds ON refunds.order_id = orders.id GROUP BY orders.id, orders.status
""")

# How a function may fail under the faults here. Anything else is a defect: a LookupError, NothingToRefund, or what
# Postgres says of a statement that it cannot execute.
_EXPECTED: Final = (
    OrdersError,
    NotSent,
    SendingInProgress,
    ConnectionResetError,
    BotoCoreError,
    Killed,
)


class Aborted(BaseException):
    """The end of an execution that Step Functions has stopped or lost."""


@dataclass(frozen=True)
class _Answer:
    """What a function's call has come to, as Step Functions sees it."""

    result: Any = None
    error: str | None = None
    is_abort: bool = False


class SagaExecution(Strand):
    """One execution of the real state machine. It stands still while it waits for a function."""

    def __init__(self, name: str, order_id: UUID, walk: Execution) -> None:
        super().__init__(name, self._walk)
        self.order_id = order_id
        self.walk = walk
        self.waits_for: Invocation | None = None
        self.was_aborted = False

    @property
    def status(self) -> ExecutionStatus:
        if self.was_aborted:
            return ExecutionStatus.ABORTED
        return ExecutionStatus(self.walk.status)

    @property
    def waits_for_its_customer(self) -> bool:
        return self.walk.is_waiting and self.waits_for is None and not self.is_over

    def _walk(self) -> None:
        while self.walk.step():
            if self.walk.is_waiting:
                answer = self.park()
                if answer is not None and answer.is_abort:
                    raise Aborted


class ClaimsInOrder(Claims):
    """A claim answers its rows in any order. Here it is always the same one."""

    def claim(self, limit: int) -> list[ClaimedEvent]:
        return sorted(super().claim(limit), key=lambda event: event.created_at)


@dataclass
class Posted:
    """What a customer has posted under one key, and what came back."""

    body: dict[str, Any]
    order_ids: set[UUID] = field(default_factory=set)


class SimulatedSystem:
    """Everything there is, and the only hands that move it."""

    def __init__(self, credentials: Credentials, products: Sequence[Product]) -> None:
        self.products = products
        self.observer = Observer(credentials)
        self.invocations: list[Invocation] = []
        """Those that are not over."""
        self.executions: dict[str, SagaExecution] = {}
        self.queues = Queues()
        self.notices: list[str] = []
        self.posted: dict[str, list[Posted]] = {}
        self.has_moved = False
        """Since the promises were last looked at."""
        self._ended: dict[UUID, str] = {}
        self._cancelled: dict[UUID, CancellationOutcome] = {}
        """What customers were told last of the orders that they have cancelled."""
        self._credentials = GatedCredentials(**credentials.model_dump())
        self._idle: list[Process] = []
        self._gateway_database = Database(lambda: credentials)
        self._database = CurrentDatabase()
        self.gateway = CircuitBreaker(
            OutsideGateway(SimulatedGateway(self._gateway_database, BEHAVIOUR)), self._database
        )
        self._step_functions = StepFunctions(self._launch, self._statuses, self._live_orders)
        self._refund_executions = StepFunctions(
            self._launch_refund, self._statuses, self._live_orders, Subject.REFUND
        )
        self.tokens = OutsideTokens()

    @property
    def database(self) -> Database:
        """What the handlers are to have for theirs."""
        return self._database

    def begin(self, stock: Sequence[int]) -> None:
        """A new history, with so many units of each product."""
        self.executions, self.queues, self.notices, self.posted, self._ended = {}, Queues(), [], {}, {}
        self._cancelled = {}
        for table in reversed([*tables.metadata.sorted_tables, *simulator_tables.metadata.sorted_tables]):
            if table.name not in ("products", "stock"):
                self._execute(f"DELETE FROM {table.fullname}")
        for product, units in zip(self.products, stock, strict=True):
            self._execute(
                "UPDATE stock SET stocked = :units, available = :units, reserved = 0, sold = 0, low_since = NULL "
                "WHERE product_id = :product_id",
                units=units,
                product_id=product.product_id,
            )

    def end(self) -> None:
        """Ends whatever is still going, whatever state it is in."""
        while self.invocations:
            for invocation in list(self.invocations):
                invocation.look()
                if not invocation.is_over and not invocation.is_blocked:
                    invocation.kill()
                if invocation.is_over:
                    self.invocations.remove(invocation)
                    self._have_back(invocation.process, is_dead=True)
        for execution in self.executions.values():
            if not execution.is_over:
                execution.go_on(_Answer(is_abort=True))

    def close(self) -> None:
        """Closes every connection."""
        for process in self._idle:
            process.end()
        self._gateway_database.engine.dispose()
        self.observer.end()

    # What somebody may set going.

    def post(self, key: str, lines: Sequence[tuple[Product, int]], payment_method: str) -> Invocation:
        """A customer's request. The same key may come again, with the same body or another."""
        body = order_body(
            [(product.product_id, quantity) for product, quantity in lines], paymentMethod=payment_method
        )
        request = order_request(body, user_id=ALICE, key=key)
        known = self.posted.setdefault(key, [])
        posted = next((earlier for earlier in known if earlier.body == body), None)
        if posted is None:
            posted = Posted(body)
            known.append(posted)
        order_ids = posted.order_ids

        def work() -> None:
            order_ids.add(place_order(self._database, request).order_id)

        return self._invoke("CreateOrder", work)

    def cancel(self, order_id: UUID) -> Invocation:
        """Its customer cancels an order."""
        request = CancellationRequest(order_id, ALICE, False, WINDOW_MINUTES, TRACE)

        def work() -> None:
            cancelled = cancel_order(
                self._database,
                lambda token: actions.wake(cast("SFNClient", self.tokens), token),
                request,
            )
            assert cancelled.outcome is not None
            self._cancelled[order_id] = cancelled.outcome

        return self._invoke("CancelOrder", work)

    def refund(self, order_id: UUID, amount: int | None) -> Invocation:
        """An operator grants a refund of so many minor units; None: of all that is left, which goes back to stock."""

        def grant(connection: Connection) -> refunds.Granted:
            return refunds.grant(
                connection,
                order_id,
                origin=RefundOrigin.OPERATOR,
                requested_by="operator",
                reason="arrived broken",
                amount=amount,
                lines={},
                restock=amount is None,
                trace=TRACE,
            )

        return self._invoke("Operations", lambda: self._database.transact(grant))

    def relay(self, deliveries: Sequence[str]) -> Invocation:
        """One poll of one relay. The messages it sends fare as `deliveries` say, in turn."""

        def work() -> dict[str, int]:
            relay = Relay(
                ClaimsInOrder(self._database), self.queues.publisher(deliveries), InTurn(), ShortTime()
            )
            return relay.run(0.5, lambda: 900.0)

        return self._invoke("OutboxRelay", work)

    def deliver(self, message: Message, becomes_of_notice: str = Notice.SENT) -> Invocation:
        """The queue delivers a message to its consumer."""
        message.deliveries += 1
        event = CloudEvent.model_validate_json(message.body)

        def work() -> None:
            match message.queue:
                case Queue.ORDER_PROCESSING:
                    requested = event.payload()
                    assert isinstance(requested, ExecutionRequested)
                    machines = StateMachines(self._step_functions, self._refund_executions)
                    start_execution(machines, event, requested)
                case Queue.PAYMENT_PROCESSING:
                    reconcile(self._database, self.gateway, event)
                case Queue.INVENTORY_MANAGEMENT:
                    watch_stock(self._database, event)
                case Queue.NOTIFICATION_SENDING:
                    requested = event.payload()
                    assert isinstance(requested, NotificationRequested)
                    name = (
                        f"{event.subject} {requested.refund_id} {requested.notification} {requested.channel}"
                    )
                    provider = Provider(name, self.notices, becomes_of_notice)
                    notify(self._database, provider, permission(), event, requested)
            message.is_done = True

        return self._invoke(message.queue, work)

    def maintain(self) -> Invocation:
        """One round of maintenance."""
        round_ = Maintenance(
            self._database,
            lambda: self._step_functions,
            lambda: self._refund_executions,
            self.gateway,
            _CONTACT_RETENTION,
        )
        return self._invoke("Maintenance", lambda: round_.run(Deadline(lambda: 60.0)))

    def act(self, order_id: UUID, *, completes: bool) -> None:
        """The order's customer does, or fails to do, what the payment provider asks of them, if it does."""
        what = customers.complete if completes else customers.fail
        self.observer.database.transact_alone(lambda connection: what(connection, f"order-{order_id}"))

    def wake(self, order_id: UUID) -> Invocation:
        """Somebody thinks that the order's customer has acted."""

        def work() -> None:
            token = self._database.transact(lambda connection: actions.end(connection, order_id))
            if token is not None:
                actions.wake(cast("SFNClient", self.tokens), token)

        return self._invoke("ProviderEvents", work)

    def end_wait(self, execution: SagaExecution) -> None:
        """Its time is over, unless its token has come."""
        self._tell(execution)
        self._take_notice()

    def repeat(self, invocation: Invocation) -> Invocation:
        """The same call of a saga's step once more, for nobody."""
        return self._invoke(invocation.name, invocation.work)

    def call_after_the_end(self, execution: SagaExecution, step: str) -> Invocation:
        """A call of a forward step that comes when its saga is over, whether or not the saga ever got as far."""
        return self._invoke(step, lambda: TASKS[step](execution.walk.input))

    def pass_time(self, seconds: float) -> None:
        for table, column in _CLOCKS:
            self._execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds) "
                f"WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} FOR NO KEY UPDATE SKIP LOCKED))",
                seconds=seconds,
            )

    # What may become of what is going.

    def run(self, invocation: Invocation, gates: int = TO_THE_END, told: str | None = None) -> None:
        """Lets an invocation go on, through so many gates."""
        invocation.run_through(gates, told)
        self._take_notice()

    def lose_answer(self, invocation: Invocation) -> None:
        """Its last call had its effect, and the answer is lost."""
        self.run(invocation, 0, LOSE_ANSWER)

    def kill(self, invocation: Invocation) -> None:
        invocation.kill()
        self._take_notice()

    def time_out(self, execution: SagaExecution) -> None:
        """The state machine gives a step up, which goes on all the same."""
        self._tell(execution, _Answer(error=TIMED_OUT))
        self._take_notice()

    def abort(self, execution: SagaExecution) -> None:
        execution.was_aborted = True
        execution.waits_for = None
        execution.go_on(_Answer(is_abort=True))

    def come_to_rest(self) -> list[str]:
        """Without any more faults, and with as much time as it takes. What is left undone then."""
        left: list[str] = []
        for _ in range(ROUNDS_TO_REST):
            self._finish_everything()
            for execution in self.executions_that_wait:
                self.end_wait(execution)
            self._finish_everything()
            self._run_to_the_end(self.relay([Delivery.SENT]))
            for message in [message for message in self.queues.messages if not message.is_done]:
                self._run_to_the_end(self.deliver(message))
            self._finish_everything()
            with snapshot(self.observer.database.engine) as connection:
                left = unsettled(connection)
            running = [name for name, status in self._statuses().items() if status.is_live]
            if not left and not running and not self._holds_reservations():
                return []
            self.pass_time(SECONDS_A_ROUND)
            self._run_to_the_end(self.maintain())
        return left

    def _holds_reservations(self) -> bool:
        """Whether the sweeper has something left to do."""
        with self.observer.database.engine.connect() as connection:
            return bool(
                connection.scalar(text("SELECT EXISTS (SELECT FROM reservations WHERE status = 'ACTIVE')"))
            )

    # What can be seen.

    @property
    def orders(self) -> list[UUID]:
        """Those that customers know of, in the order in which they were accepted."""
        accepted = (posted.order_ids for bodies in self.posted.values() for posted in bodies)
        return sorted(set[UUID]().union(*accepted))

    @property
    def stopped(self) -> list[Invocation]:
        """The invocations that stand at a gate, and not inside of Postgres."""
        return [invocation for invocation in self.invocations if not invocation.is_blocked]

    @property
    def waiting_executions(self) -> list[SagaExecution]:
        return [execution for execution in self.executions.values() if execution.waits_for is not None]

    @property
    def executions_that_wait(self) -> list[SagaExecution]:
        """For a customer."""
        return [execution for execution in self.executions.values() if execution.waits_for_its_customer]

    @property
    def executions_at_their_end(self) -> list[SagaExecution]:
        """Of orders: their forward steps may still come."""
        return [
            execution
            for name, execution in self.executions.items()
            if execution.walk.ended and subject_of(name) is not None
        ]

    def broken_promises(self) -> list[str]:
        """Whatever must be true at every instant and is not."""
        self.has_moved = False
        with snapshot(self.observer.database.engine) as connection:
            broken = [
                problem
                for problem in broken_at_once(connection, _ALWAYS)
                if not _UNTIL_ITS_TTL.search(problem)
            ]
            return [*broken, *self._broken_outside(connection)]

    def broken_promises_at_rest(self) -> list[str]:
        with snapshot(self.observer.database.engine) as connection:
            verdicts = [promise.check(connection, EVERY_ORDER) for promise in PROMISES]
            known = set(connection.scalars(text("SELECT id FROM orders")))
            lost = [f"I1: {order} was accepted and is gone" for order in set(self.orders) - known]
            return [
                *lost,
                *_violations(verdicts),
                *self._broken_outside(connection),
                *self._broken_cancellations(connection),
            ]

    def _broken_cancellations(self, connection: Connection) -> list[str]:
        """Whoever was told that their order is cancelled has their money back, or an operator looks at it."""
        found = connection.execute(_AFTER_CANCELLATIONS)
        return [
            f"{row.order_id} was {self._cancelled[row.order_id]}, and is {row.status} with {row.refunds} refunds"
            for row in found
            if row.order_id in self._cancelled
            and row.status != OrderStatus.NEEDS_REVIEW
            and (row.status, row.refunds) != _END_OF[self._cancelled[row.order_id]]
        ]

    def _broken_outside(self, connection: Connection) -> list[str]:
        """What only those outside know: customers, Step Functions, SQS and who sends notifications."""
        problems = []
        for key, bodies in self.posted.items():
            orders = set[UUID]().union(*(posted.order_ids for posted in bodies))
            if len(orders) > 1:
                problems.append(f"I10: {len(orders)} orders under the key {key}")
        live = [execution.order_id for execution in self.executions.values() if execution.status.is_live]
        problems += [f"I6: two executions work on {order}" for order in set(live) if live.count(order) > 1]
        published = connection.scalars(text("SELECT id FROM outbox WHERE status = 'PUBLISHED'"))
        problems += [
            f"I8: {event} is PUBLISHED and SQS never had it" for event in set(published) - self.queues.sent
        ]
        problems += [
            f"I11: {notice} was sent twice" for notice in set(self.notices) if self.notices.count(notice) > 1
        ]
        for row in connection.execute(text("SELECT id, status FROM orders")):
            before = self._ended.get(row.id, row.status)
            if before in ("CONFIRMED", "CANCELLED") and before != row.status:
                problems.append(f"I7: {row.id} was {before} and is {row.status}")
            self._ended[row.id] = row.status
        return problems

    # How it is done.

    def _invoke(self, name: str, work: Callable[[], Any]) -> Invocation:
        invocation = Invocation(name, self._find_process, self.observer, work)
        self.invocations.append(invocation)
        return invocation

    def _find_process(self) -> Process:
        return self._idle.pop() if self._idle else Process(self._credentials)

    def _launch(self, order_id: UUID, name: str) -> None:
        machine = StateMachine.order_saga({step: self._step(step) for step in TASKS}, self.tokens)
        saga_input = {
            "orderId": str(order_id),
            "correlationId": TRACE.correlation_id,
            "traceparent": TRACE.traceparent,
        }
        execution = SagaExecution(name, order_id, machine.start(saga_input))
        self.executions[name] = execution
        execution.go_on()

    def _launch_refund(self, refund_id: UUID, name: str) -> None:
        machine = StateMachine.order_refund({step: self._step(step, REFUND_TASKS) for step in REFUND_TASKS})
        execution = SagaExecution(name, refund_id, machine.start(execution_input(refund_id)))
        self.executions[name] = execution
        execution.go_on()

    def _step(
        self, step: str, tasks: Mapping[str, Callable[[dict[str, Any]], Any]] = TASKS
    ) -> Callable[[dict[str, Any]], Any]:
        """A task of the state machine: it has the function invoked, and waits for what it comes to."""

        def call(payload: dict[str, Any]) -> Any:
            execution = Strand.current()
            assert isinstance(execution, SagaExecution)
            execution.waits_for = self._invoke(step, lambda: tasks[step](payload))
            answer = execution.park()
            if answer.is_abort:
                raise Aborted
            if answer.error is not None:
                raise TaskFailed(answer.error)
            return answer.result

        return call

    def _have_back(self, process: Process | None, *, is_dead: bool) -> None:
        if process is not None and is_dead:
            process.end()
        elif process is not None:
            self._idle.append(process)

    def _statuses(self) -> dict[str, ExecutionStatus]:
        return {name: execution.status for name, execution in self.executions.items()}

    def _live_orders(self) -> set[UUID]:
        return {execution.order_id for execution in self.executions.values() if execution.status.is_live}

    def _take_notice(self) -> None:
        """Of everything that one move has brought about: locks that were waited for, functions that are over, and
        executions that go on with what these answered."""
        self.has_moved = True
        for invocation in self.invocations:
            invocation.look()
        for invocation in [invocation for invocation in self.invocations if invocation.is_over]:
            self.invocations.remove(invocation)
            if not (invocation.error is None or isinstance(invocation.error, _EXPECTED)):
                raise invocation.error
            self._have_back(invocation.process, is_dead=invocation.is_killed)
            for execution in self.waiting_executions:
                if execution.waits_for is invocation:
                    self._tell(execution, _answer_of(invocation))
        for execution in self.executions_that_wait:
            if execution.walk.is_woken:
                self._tell(execution)

    def _tell(self, execution: SagaExecution, answer: _Answer | None = None) -> None:
        execution.waits_for = None
        execution.go_on(answer)
        if execution.error is not None:
            raise execution.error

    def _run_to_the_end(self, invocation: Invocation) -> None:
        while not invocation.is_over:
            self.run(invocation)
            if invocation.is_blocked:
                self._finish_everything()

    def _finish_everything(self) -> None:
        """Lets everybody go on, and the executions with them, until nobody is left."""
        while self.invocations:
            if not self.stopped:
                # A deadlock: Postgres is about to break it.
                self._take_notice()
                continue
            invocation = self.stopped[0]
            self.run(invocation)
            if isinstance(invocation.error, PaymentGatewayCircuitOpen):
                self.pass_time(SECONDS_A_ROUND)

    def _execute(self, sql: str, **parameters: Any) -> None:
        self.observer.database.transact_alone(lambda connection: connection.execute(text(sql), parameters))


def _answer_of(invocation: Invocation) -> _Answer:
    if invocation.is_killed:
        return _Answer(error=PROCESS_DIED)
    if invocation.error is not None:
        return _Answer(error=type(invocation.error).__name__)
    return _Answer(invocation.result)


def _violations(verdicts: Sequence[Verdict]) -> list[str]:
    return [
        f"{verdict.promise}: {violation.subject}: {violation.problem}"
        for verdict in verdicts
        for violation in verdict.violations
    ]
