"""Carries out a plan's faults on a running local cloud, and puts an end to them."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID

import pg8000.exceptions

from orders.events import OrderCreated, Queue, Trace
from orders.executions import execution_input
from orders.ids import uuid7
from payment_simulator import outages
from tools.chaos import function_processes, poison
from tools.chaos.faults import ClientMessage, DatabaseFault, InjectionLog
from tools.chaos.plan import DeadEvent, Fault, Plan, PlannedFault, Poison, Target
from tools.chaos.system import STEP_TIMEOUT_SECONDS, SystemUnderTest, function_name
from tools.cloud import aws, postgres
from tools.postgres_proxy import Disturbance, Loss, Moment
from tools.waiting import wait_until

FREEZE_SECONDS: Final = STEP_TIMEOUT_SECONDS + 3.0
"""How long a step stands still: the state machine has given it up by then, and Lambda has not ended it yet."""

_LOOK_EVERY_SECONDS: Final = 0.1
_MARK_PUBLISHED: Final = b"SET status = 'PUBLISHED'"

_EXPIRE: Final = """
    UPDATE reservations SET expires_at = now() - interval '1 second'
    WHERE order_id IN (
        SELECT reservations.order_id FROM reservations JOIN orders ON orders.id = reservations.order_id
        WHERE reservations.status = 'ACTIVE' AND expires_at > now() AND orders.status = 'PROCESSING'
        GROUP BY reservations.order_id ORDER BY reservations.order_id DESC LIMIT :orders
    )
    RETURNING order_id
"""
_UNDONE: Final = """
    SELECT orders.id, orders.correlation_id, outbox.traceparent
    FROM orders JOIN outbox ON outbox.subject = orders.id AND outbox.type = :order_created
    WHERE orders.status = 'CANCELLED' ORDER BY orders.updated_at DESC LIMIT 5
"""
# A failed call is written down by the circuit breaker.
_FAILED_CALLS: Final = "SELECT window_started_at, failures, open_until FROM circuit_breakers"


class Nemesis:
    """Runs beside the orders of its plan."""

    def __init__(self, system: SystemUnderTest, plan: Plan, injections: InjectionLog) -> None:
        self._system = system
        self._plan = plan
        self._injections = injections
        self._begun = 0
        self._over = threading.Event()
        # A fault that waits for a victim keeps no other from its own; one may hand another thing over.
        self._hands = ThreadPoolExecutor(2 * len(plan.faults) or 1)
        self._at_work: list[Future[None]] = []
        self._frozen: set[int] = set()
        self._called: set[UUID] = set()
        self.planted_messages: dict[str, str] = {}
        """Poison messages: their queues, by their marks."""
        self.planted_rows: set[UUID] = set()
        """Poison outbox rows."""
        self.failures: list[str] = []
        """Faults that could not be carried out."""
        self._carry_out: dict[Fault, Callable[[PlannedFault], None]] = {
            Fault.KILL_FUNCTION: self._kill_function,
            Fault.RESTART_POSTGRES: self._restart_postgres,
            Fault.CUT_CONNECTION: self._cut_connection,
            Fault.REDELIVER: self._redeliver,
            Fault.FAIL_BATCH_PART: self._fail_batch_part,
            Fault.KILL_RELAY: self._kill_relay,
            Fault.LATE_STEP: self._freeze_step,
            Fault.LATE_CALL: self._call_late,
            Fault.EXPIRE_RESERVATION: self._expire_reservations,
            Fault.POISON_MESSAGE: self._poison_queue,
            Fault.POISON_EVENT: self._poison_outbox,
            Fault.GATEWAY_OUTAGE: self._take_gateway_down,
        }

    def advance(self, seconds: float) -> None:
        """The run has come so far in its plan. On a machine that is slow today, later than the plan says."""
        for fault in self._plan.faults[self._begun :]:
            if fault.at > seconds:
                break
            self._begun += 1
            self._at_work.append(self._hands.submit(self._attempt, fault))

    def await_victims(self, seconds: float) -> None:
        """Gives faults that still wait for somebody so much more time."""
        wait_until(lambda: not self._is_busy, seconds, _LOOK_EVERY_SECONDS)

    def heal(self) -> None:
        """Ends every fault: from here on nothing is struck, and all that stood still goes on."""
        self._over.set()
        self._system.database_faults.clear()
        self._system.sqs_proxy.disarm()
        self._hands.shutdown(wait=True)
        while self._frozen:
            time.sleep(_LOOK_EVERY_SECONDS)
        postgres.start(self._system.settings)

    @property
    def _is_busy(self) -> bool:
        waiting = self._system.database_faults.waiting + self._system.sqs_proxy.armed + len(self._frozen)
        return waiting > 0 or not all(work.done() for work in self._at_work)

    def _attempt(self, fault: PlannedFault) -> None:
        try:
            self._carry_out[fault.fault](fault)
        except Exception as error:
            # Told at the end: one that fails must not spare the system the others.
            self.failures.append(f"{fault.fault}: {error!r}")

    def _kill_function(self, fault: PlannedFault) -> None:
        target = Target(fault.text("target"))
        if target is Target.STARTER:
            self._kill_starter()
            return

        def disturb(message: ClientMessage) -> Disturbance:
            return Disturbance(loss, lambda: self._kill(Fault.KILL_FUNCTION, message, loss), cuts=True)

        loss, moment = Loss(fault.text("loss")), Moment(fault.text("moment"))
        self._system.database_faults.add(
            DatabaseFault(fault.fault, function_processes.handlers(target), moment, disturb)
        )

    def _kill_starter(self) -> None:
        def kill_one() -> bool:
            handlers = function_processes.handlers(Target.STARTER)
            for process in function_processes.running(self._system.emulator(), handlers):
                if function_processes.kill(process.pid):
                    self._injections.add(Fault.KILL_FUNCTION, "start_saga")
                    return True
            return False

        self._until(kill_one)

    def _kill(self, fault: Fault, message: ClientMessage, loss: Loss) -> None:
        if function_processes.kill(message.pid):
            self._injections.add(fault, f"{_name(message)}, its {message.moment} {loss}")

    def _restart_postgres(self, fault: PlannedFault) -> None:
        with self._system.restarting:
            server = postgres.daemon(self._system.settings).find()
            assert server is not None, "nobody else stops it"
            # "Immediate mode": every process quits at once, nothing is finished, and the next start recovers.
            server.send_signal(signal.SIGQUIT)
            while postgres.daemon(self._system.settings).find() is not None:
                time.sleep(_LOOK_EVERY_SECONDS / 10)
            if postgres.start(self._system.settings):
                self._injections.add(fault.fault, f"process {server.pid}")

    def _cut_connection(self, fault: PlannedFault) -> None:
        loss, moment = Loss(fault.text("loss")), Moment(fault.text("moment"))

        def disturb(message: ClientMessage) -> Disturbance:
            victim = f"{_name(message)}, its {moment} {loss}"
            return Disturbance(loss, lambda: self._injections.add(Fault.CUT_CONNECTION, victim), cuts=True)

        handlers = function_processes.handlers(Target(fault.text("target")))
        self._system.database_faults.add(DatabaseFault(fault.fault, handlers, moment, disturb))

    def _redeliver(self, fault: PlannedFault) -> None:
        queue, copies = fault.text("queue"), fault.number("copies")

        def send_again() -> bool:
            body = self._system.sqs_proxy.last_sent(queue)
            if body is None:
                return False
            sqs, url = aws.queues(self._system.settings), self._system.stack["queues"][queue]["url"]
            with ThreadPoolExecutor(copies) as together:
                list(together.map(lambda _: sqs.send_message(QueueUrl=url, MessageBody=body), range(copies)))
            self._injections.add(Fault.REDELIVER, f"{queue}, {copies} times at once")
            return True

        self._until(send_again)

    def _fail_batch_part(self, fault: PlannedFault) -> None:
        self._system.sqs_proxy.fail_part(
            fault.number("percent"), lambda what: self._injections.add(Fault.FAIL_BATCH_PART, what)
        )

    def _kill_relay(self, fault: PlannedFault) -> None:
        def strike(message: ClientMessage) -> None:
            self._kill(Fault.KILL_RELAY, message, Loss.BEFORE)
            # Its schedule would start the next one within a minute.
            self._hand_over(lambda: self._system.start("OutboxRelay"))

        def disturb(message: ClientMessage) -> Disturbance:
            return Disturbance(Loss.BEFORE, lambda: strike(message), cuts=True)

        relay = frozenset({function_processes.RELAY})
        self._system.database_faults.add(
            DatabaseFault(fault.fault, relay, Moment.STATEMENT, disturb, _MARK_PUBLISHED)
        )

    def _freeze_step(self, fault: PlannedFault) -> None:
        def hold(message: ClientMessage) -> None:
            self._frozen.add(message.pid)
            function_processes.freeze(message.pid)
            self._over.wait(FREEZE_SECONDS)

        def release(message: ClientMessage) -> None:
            was_held = not self._over.is_set()
            if function_processes.thaw(message.pid) and was_held:
                self._injections.add(Fault.LATE_STEP, f"{_name(message)} at its {message.moment}")
            self._frozen.discard(message.pid)

        def disturb(message: ClientMessage) -> Disturbance:
            # It stands still before its message is passed on, and goes on when the answer is there: what it does then,
            # it does late, and its driver has not lost patience meanwhile.
            return Disturbance(
                Loss.BEFORE, lambda: hold(message), cuts=False, afterwards=lambda: release(message)
            )

        handlers = function_processes.handlers(Target(fault.text("target")))
        self._system.database_faults.add(
            DatabaseFault(fault.fault, handlers, Moment(fault.text("moment")), disturb)
        )

    def _call_late(self, fault: PlannedFault) -> None:
        step = fault.text("step")

        def call() -> bool:
            undone = self._system.query(_UNDONE, order_created=OrderCreated.type)
            order = next((row for row in undone if row[0] not in self._called), None)
            if order is None:
                return False
            order_id, correlation_id, traceparent = order
            functions = aws.functions(self._system.settings)
            try:
                answer = functions.invoke(
                    FunctionName=function_name(step),
                    Payload=execution_input(order_id, Trace(correlation_id, traceparent)).encode(),
                )
            except functions.exceptions.TooManyRequestsException:
                # All that is reserved for it is at work: another time.
                return False
            self._called.add(order_id)
            outcome = _error(answer) or "answered"
            self._injections.add(Fault.LATE_CALL, f"{step} of cancelled order {order_id}: {outcome}")
            return True

        self._until(call)

    def _expire_reservations(self, fault: PlannedFault) -> None:
        def expire() -> bool:
            try:
                lines = self._system.query(_EXPIRE, orders=fault.number("orders"))
            except pg8000.exceptions.DatabaseError:
                # A step holds them, and may be standing still: another time, other orders.
                return False
            if not lines:
                return False
            self._system.start("Maintenance")
            orders = {order_id for (order_id,) in lines}
            self._injections.add(Fault.EXPIRE_RESERVATION, f"{len(lines)} lines of {len(orders)} orders")
            return True

        self._until(expire)

    def _poison_queue(self, fault: PlannedFault) -> None:
        queue = Queue(fault.text("queue"))
        mark, body = poison.message(queue, Poison(fault.text("poison")))
        aws.queues(self._system.settings).send_message(
            QueueUrl=self._system.stack["queues"][queue]["url"], MessageBody=body
        )
        self.planted_messages[mark] = queue
        self._injections.add(Fault.POISON_MESSAGE, f"{queue}: {fault.text('poison')}")

    def _poison_outbox(self, fault: PlannedFault) -> None:
        event_id, flaw = uuid7(), DeadEvent(fault.text("flaw"))
        self.planted_rows.add(event_id)

        def plant() -> bool:
            return bool(self._system.query(poison.PLANT, **poison.outbox_row(event_id, flaw)))

        self._until(plant)
        self._injections.add(Fault.POISON_EVENT, flaw)

    def _take_gateway_down(self, fault: PlannedFault) -> None:
        seconds = fault.number("milliseconds") / 1000

        def refuse_somebody() -> bool:
            failed_before = self._system.query(_FAILED_CALLS)
            with self._system.restarting, self._system.engine.begin() as connection:
                outages.begin(connection, seconds)
            self._over.wait(seconds)
            is_refused = self._system.query(_FAILED_CALLS) != failed_before
            if is_refused:
                self._injections.add(Fault.GATEWAY_OUTAGE, f"{seconds} s")
            return is_refused

        self._until(refuse_somebody)

    def _until(self, strike: Callable[[], bool]) -> None:
        """Tries until it has found its victim, or everything is to be healed."""
        while not strike() and not self._over.wait(_LOOK_EVERY_SECONDS):
            pass

    def _hand_over(self, work: Callable[[], None]) -> None:
        """Not in the proxy's own thread, nor once all is over: by then nobody takes work any more."""
        with contextlib.suppress(RuntimeError):
            self._at_work.append(self._hands.submit(work))


def _name(message: ClientMessage) -> str:
    names = message.handler.removeprefix("functions.").split(".")
    return names[0] if names[-1] == "handler" else names[-1]


def _error(answer: Any) -> str:
    """The class of the error that a function ended with; empty if it did not."""
    if "FunctionError" not in answer:
        return ""
    return str(json.loads(answer["Payload"].read()).get("errorType", "unknown"))
