"""The saga on a bench: the real state machine over the real handlers and Postgres, and eyes for what it leaves."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import pytest

from infra.names import snake
from orders.db import Database
from orders.domain import SagaStep
from orders.payments import actions
from orders.payments.gateway import PaymentGateway
from tests.support.api import lambda_context
from tests.support.asl import Execution, Fault, StateMachine, Task, TaskTokens
from tests.support.factories import TRACE, Product, add_order, add_product, execute, rows

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

RESERVATION_TTL_SECONDS: Final = 900

# Before the import below: a handler reads its settings when it is imported.
os.environ.update(RESERVATION_TTL_SECONDS=str(RESERVATION_TTL_SECONDS))

from functions.saga_steps import handler  # noqa: E402

FORWARD: Final = [
    "VerifyStock",
    "ReserveInventory",
    "ProcessPayment",
    "ConfirmReservation",
    "SendConfirmation",
    "CompleteOrder",
]
CHAIN: Final = [
    "RestoreInventory",
    "RefundPayment",
    "ReleaseReservation",
    "SendCancellation",
    "MarkCancelled",
]

PRICES: Final = (1250, 4000)
QUANTITIES: Final = (2, 1)
TOTAL: Final = 6500
IN_STOCK: Final = 10

# Per product of an order: (available, reserved, sold).
UNTOUCHED: Final = [(10, 0, 0), (10, 0, 0)]
HELD: Final = [(8, 2, 0), (9, 1, 0)]
SOLD: Final = [(8, 0, 2), (9, 0, 1)]

CAPTURED: Final = [("CAPTURE", TOTAL)]
REFUNDED: Final = [("CAPTURE", TOTAL), ("REFUND", TOTAL)]


@dataclass(frozen=True)
class Ending:
    """All that an order has left behind."""

    status: str
    reason: str | None = None
    stock: list[tuple[int, int, int]] = field(default_factory=lambda: UNTOUCHED)
    reservations: list[str] = field(default_factory=list)
    payment: str | None = None
    ledger: list[tuple[str, int]] = field(default_factory=list)
    """The gateway's own book."""
    told: list[str] = field(default_factory=list)
    """The notifications in the outbox, each asked for on every channel."""


CONFIRMED: Final = Ending(
    "CONFIRMED",
    stock=SOLD,
    reservations=["CONFIRMED", "CONFIRMED"],
    payment="CAPTURED",
    ledger=CAPTURED,
    told=["order_confirmed"],
)


@dataclass
class Pipeline:
    """Everything a test needs to send orders through the saga and to look at them."""

    database: Database
    gateway: PaymentGateway
    tokens: TaskTokens = field(default_factory=TaskTokens)

    def deploy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts the handlers on this database, this gateway and these executions."""
        monkeypatch.setattr(handler, "database", self.database)
        monkeypatch.setattr(handler, "gateway", self.gateway)
        monkeypatch.setattr(
            handler, "wake", lambda token: actions.wake(cast("SFNClient", self.tokens), token)
        )

    def order(self, payment_method: str = "pm_card_visa", in_stock: int = IN_STOCK) -> "Order":
        """An accepted order of two products (trap T2), each with `in_stock` units of its own."""
        products = [add_product(self.database, unit_price=price, available=in_stock) for price in PRICES]
        return self.order_of(list(zip(products, QUANTITIES, strict=True)), payment_method)

    def order_of(self, lines: Sequence[tuple[Product, int]], payment_method: str = "pm_card_visa") -> "Order":
        order_id = add_order(self.database, lines, payment_method=payment_method)
        return Order(self, order_id, [product.product_id for product, _ in lines])

    @property
    def machine(self) -> StateMachine:
        return StateMachine.order_saga(TASKS, self.tokens)

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return rows(self.database, sql, **parameters)

    def execute(self, sql: str, **parameters: Any) -> None:
        execute(self.database, sql, **parameters)

    def broken_promises(self) -> list[str]:
        """The promises that SQL alone can check, over all orders and products; empty if all are kept."""
        return [name for name, sql in _PROMISES.items() if self.rows(sql)]


@dataclass
class Order:
    """One order on its way."""

    pipeline: Pipeline
    order_id: UUID
    product_ids: list[UUID]

    @property
    def input(self) -> dict[str, Any]:
        return {
            "orderId": str(self.order_id),
            "correlationId": TRACE.correlation_id,
            "traceparent": TRACE.traceparent,
        }

    def run(
        self, *faults: Fault, meanwhile: Mapping[str, Callable[["Order"], None]] | None = None
    ) -> Execution:
        """The saga to its end, or until it waits. `meanwhile` happens just before the states it names are entered for
        the first time."""
        execution = self.pipeline.machine.start(self.input, faults)
        events = dict(meanwhile or {})
        while not execution.ended and not execution.is_waiting:
            events.pop(execution.next_state, _nothing)(self)
            execution.step()
        assert not events, f"never entered: {sorted(events)}"
        return execution

    def run_until(self, state: str) -> None:
        """The saga up to, and without, `state`; then nobody goes on with it."""
        execution = self.pipeline.machine.start(self.input)
        while execution.next_state != state:
            assert execution.step(), f"{state} was never reached"

    def call(self, step: str, error: str = "States.Timeout", **unfinished: str) -> Any:
        """One invocation of one step's function, as the state machine makes it when `error` ended the way forward."""
        failure = {"step": "CompleteOrder", "error": error}
        more = {"failure": failure, "unfinished": unfinished} if step in CHAIN else {}
        return TASKS[step]({**self.input, **more})

    def ending(self) -> Ending:
        """What is left of it by now."""
        (order,) = self._rows("SELECT status, failure_reason FROM orders WHERE id = :order_id")
        units = {
            row["product_id"]: (row["available"], row["reserved"], row["sold"])
            for row in self.pipeline.rows("SELECT * FROM stock")
        }
        payments = self._rows("SELECT status FROM payments WHERE order_id = :order_id")
        return Ending(
            status=order["status"],
            reason=order["failure_reason"],
            stock=[units[product_id] for product_id in self.product_ids],
            reservations=[
                row["status"]
                for row in self._rows(
                    "SELECT status FROM reservations WHERE order_id = :order_id ORDER BY product_id"
                )
            ],
            payment=payments[0]["status"] if payments else None,
            ledger=[
                (row["kind"], row["amount"])
                for row in self.pipeline.rows(
                    "SELECT kind, amount FROM gateway.entries WHERE key = :key ORDER BY id",
                    key=f"order-{self.order_id}",
                )
            ],
            told=[
                row["told"]
                for row in self._rows(
                    "SELECT data ->> 'notification' AS told FROM outbox WHERE subject = :order_id "
                    "AND type = 'com.orders.notification.requested.v1' GROUP BY told "
                    "HAVING array_agg(data ->> 'channel' ORDER BY data ->> 'channel') = '{email,sms}' "
                    "ORDER BY min(created_at)"
                )
            ],
        )

    def journal(self) -> dict[str, str]:
        """The recorded status of each step."""
        found = self._rows("SELECT step, status FROM saga_steps WHERE order_id = :order_id")
        return {row["step"]: row["status"] for row in found}

    def movements(self) -> list[str]:
        """The kinds of the order's stock movements, one for each line."""
        found = self._rows("SELECT kind FROM stock_movements WHERE order_id = :order_id ORDER BY id")
        return [row["kind"] for row in found]

    def gateway_attempts(self) -> int:
        """Captures that reached the gateway."""
        found = self.pipeline.rows(
            "SELECT attempts FROM gateway.payments WHERE key = :key", key=f"order-{self.order_id}"
        )
        return found[0]["attempts"] if found else 0

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self.pipeline.rows(sql, order_id=self.order_id)


def sell_out(order: Order) -> None:
    """Another buyer takes everything that is left of the order's second product."""
    order.pipeline.execute(
        "UPDATE stock SET sold = sold + available, available = 0 WHERE product_id = :product_id",
        product_id=order.product_ids[1],
    )


def expire_a_reservation(order: Order) -> None:
    """The sweeper takes the order's second line back, as it does when the TTL is over."""
    order.pipeline.execute(
        "WITH expired AS (UPDATE reservations SET status = 'EXPIRED' WHERE order_id = :order_id "
        "AND product_id = :product_id AND status = 'ACTIVE' RETURNING product_id, quantity) "
        "UPDATE stock SET reserved = reserved - quantity, available = available + quantity FROM expired "
        "WHERE stock.product_id = expired.product_id",
        order_id=order.order_id,
        product_id=order.product_ids[1],
    )


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Runs the calls in threads that start together; what each returned, or the exception that it raised."""
    barrier = threading.Barrier(len(calls))
    outcomes: list[object] = [None] * len(calls)

    def run(index: int, call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            outcomes[index] = call()
        except Exception as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=entry) for entry in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def wait_until_somebody_waits_for_a_lock(
    pipeline: Pipeline, waiting: int = 1, timeout_seconds: float = 3
) -> None:
    """Returns as soon as so many transactions of this database are blocked by others."""
    deadline = time.monotonic() + timeout_seconds
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while (blocked := len(pipeline.rows(sql))) < waiting:
        assert time.monotonic() < deadline, f"{blocked} transactions wait, not {waiting}"
        time.sleep(0.005)


def _task(step: str) -> Task:
    entry = getattr(handler, snake(step))
    return lambda payload: entry(payload, lambda_context())


def _nothing(order: Order) -> None:
    """Happens in between."""


TASKS: Final[Mapping[str, Task]] = {str(step): _task(step) for step in SagaStep}

# Each finds what breaks the promise.
_PROMISES: Final = {
    "I2": "SELECT key FROM gateway.entries WHERE kind = 'CAPTURE' GROUP BY key HAVING count(*) > 1",
    "I3": """
        SELECT id FROM orders LEFT JOIN payments ON payments.order_id = orders.id
            LEFT JOIN (SELECT key, sum(CASE kind WHEN 'CAPTURE' THEN amount ELSE -amount END) AS held
                       FROM gateway.entries GROUP BY key) AS ledger ON ledger.key = 'order-' || orders.id
        WHERE orders.status IN ('CONFIRMED', 'CANCELLED') AND (
            coalesce(captured - refunded, 0) <> CASE orders.status WHEN 'CONFIRMED' THEN total_amount - (
                SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = orders.id AND refunded_at IS NOT NULL)
                ELSE 0 END
            OR coalesce(captured - refunded, 0) <> coalesce(held, 0))
    """,
    "I4": """
        SELECT product_id FROM stock
            LEFT JOIN (SELECT product_id, sum(quantity) AS units FROM reservations WHERE status = 'ACTIVE'
                       GROUP BY product_id) AS held USING (product_id)
        WHERE available + reserved + sold <> stocked OR least(available, reserved, sold) < 0
            OR reserved <> coalesce(units, 0)
    """,
    "I5": """
        SELECT id FROM orders JOIN reservations ON reservations.order_id = orders.id
        WHERE orders.status IN ('CONFIRMED', 'CANCELLED') AND reservations.status = 'ACTIVE'
            OR orders.status = 'CANCELLED' AND reservations.status = 'CONFIRMED'
    """,
    "I13": """
        SELECT order_id FROM refunds WHERE status <> 'REJECTED' GROUP BY order_id
        HAVING sum(amount) > (SELECT captured FROM payments WHERE payments.order_id = refunds.order_id)
    """,
    "I11": """
        SELECT subject FROM outbox WHERE type = 'com.orders.notification.requested.v1'
        GROUP BY subject, data HAVING count(*) > 1
    """,
}
