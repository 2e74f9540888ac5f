"""The local cloud that is measured: the same that `make up` starts, with a home and a port of its own."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import pg8000.native

from orders.db import Credentials
from orders.domain import TERMINAL_STATUSES, OrderStatus
from orders.ids import uuid7
from tools.audit import executions
from tools.bench.cpu import CpuTime
from tools.bench.database import BenchDatabase
from tools.bench.load import AcceptedOrder, Customers
from tools.cloud import aws, catalogue, local_cloud, postgres
from tools.cloud.settings import STAGE, Settings
from tools.cloud.stack import Stack, sign_in
from tools.waiting import wait_until

_LOOK_EVERY_SECONDS: Final = 0.02
_ENDED: Final = """
    SELECT id, status FROM orders WHERE id > :since AND status = ANY (CAST(:terminal AS text[]))
"""


@dataclass(frozen=True)
class Ended:
    """An order that was seen in its last status."""

    at: float
    """`time.time()`, late by up to 20 ms."""
    status: OrderStatus


@dataclass
class Watch:
    """Notes when orders that were placed since it began end."""

    ended: dict[UUID, Ended] = field(default_factory=dict)

    def wait(self, orders: Sequence[AcceptedOrder], seconds: float) -> None:
        """Until all of these have ended.

        Raises:
            TimeoutError: some have not within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while missing := [order for order in orders if order.order_id not in self.ended]:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(missing)} of {len(orders)} orders have not ended within {seconds:.0f} s"
                )
            time.sleep(_LOOK_EVERY_SECONDS / 2)

    def seconds(self, orders: Sequence[AcceptedOrder]) -> list[float]:
        """From the first attempt to post it to CONFIRMED, of each of these that was confirmed."""
        return [
            self.ended[order.order_id].at - order.sent_at
            for order in orders
            if self.ended[order.order_id].status is OrderStatus.CONFIRMED
        ]

    def rate(self, orders: Sequence[AcceptedOrder]) -> float:
        """Orders a second, from the first attempt to post any of them to the last end."""
        last = max(self.ended[order.order_id].at for order in orders)
        return len(orders) / (last - min(order.sent_at for order in orders))


@contextlib.contextmanager
def watch_orders(connect: Callable[[], AbstractContextManager[pg8000.native.Connection]]) -> Iterator[Watch]:
    """Watches the orders that are placed while it is open, over a connection of its own."""
    watch, since, stop = Watch(), uuid7(), threading.Event()

    def look() -> None:
        with connect() as connection:
            while not stop.wait(_LOOK_EVERY_SECONDS):
                ended = connection.run(_ENDED, since=since, terminal=sorted(TERMINAL_STATUSES)) or []
                for order_id, status in ended:
                    watch.ended.setdefault(order_id, Ended(time.time(), OrderStatus(status)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield watch
    finally:
        stop.set()
        looking.join()


_WARM_UP_ORDERS: Final = 80
_WARM_UP_SECONDS: Final = 90

_RELAY_SECONDS: Final = 60
"""By then the relay has published whatever was accepted."""

_PAYMENT_FUNCTIONS: Final = ("process-payment", "refund-payment")
_LATENCIES: Final = ("GATEWAY_LATENCY_MIN_MS", "GATEWAY_LATENCY_MAX_MS")

_LAGS: Final = """
    SELECT CAST(1000 * extract(epoch FROM published_at - created_at) AS float8) FROM outbox
    WHERE subject = ANY (CAST(:ids AS uuid[])) AND type = 'com.orders.order.created.v1' AND status = 'PUBLISHED'
"""

_STOCK: Final = "SELECT available, reserved, sold FROM stock WHERE product_id = :id"


class MeasuredCloud:
    """A deployed, warm local cloud."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings = settings
        self._stack = stack

    @classmethod
    @contextlib.contextmanager
    def running(cls, settings: Settings, say: Callable[[str], None]) -> Iterator["MeasuredCloud"]:
        """Up, and down at the end; the payment gateway takes no time."""
        running = cls(settings, local_cloud.up(settings, say))
        try:
            running.set_gateway_latency(0, 0)
            running._warm_up()
            yield running
        finally:
            local_cloud.down(settings, say)

    def customers(self) -> Customers:
        """Signed in anew: a token is good for minutes."""
        return Customers(
            self._stack["api_url"], sign_in(self._settings, self._stack, "customer").access_token
        )

    def connect(self) -> AbstractContextManager[pg8000.native.Connection]:
        """The database behind it."""
        return postgres.connect(self._settings)

    def watch(self) -> AbstractContextManager[Watch]:
        """Watches the orders that are placed while it is open."""
        return watch_orders(self.connect)

    def spent(self) -> CpuTime:
        """The processor time until now, by whose it is."""
        return CpuTime.by(self._settings)

    def lags_ms(self, orders: Sequence[AcceptedOrder]) -> list[float]:
        """From the order's transaction to SQS's confirmation of its event, by the database's clock."""
        with self.connect() as connection:
            found = connection.run(_LAGS, ids=[order.order_id for order in orders]) or []
        return [float(lag) for (lag,) in found]

    def transitions(self, order_id: UUID) -> int:
        """The state transitions that the order's saga took, as AWS bills them: each state, and each retry of one."""
        arn = executions.execution_arn(self._stack["state_machine_arn"], order_id)
        kinds = [event["type"] for event in executions.history(aws.sagas(self._settings), arn)]
        entered = sum(kind.endswith("StateEntered") for kind in kinds)
        return entered + kinds.count("TaskScheduled") - kinds.count("TaskStateEntered")

    def set_gateway_latency(self, min_ms: int, max_ms: int) -> None:
        """How long the simulated payment gateway takes from the next call on."""
        client = aws.functions(self._settings)
        for name in _PAYMENT_FUNCTIONS:
            function = f"orders-{STAGE}-{name}"
            variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
            variables |= dict(zip(_LATENCIES, (str(min_ms), str(max_ms)), strict=True))
            client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
            client.get_waiter("function_updated_v2").wait(FunctionName=function)

    @contextlib.contextmanager
    def without_sagas(self) -> Iterator[None]:
        """Orders are accepted and their events reach the queue, where nobody takes them. At the end they are dropped,
        and the orders called off: nobody shall find them waiting."""
        client = aws.functions(self._settings)
        (mapping,) = client.list_event_source_mappings(FunctionName=f"orders-{STAGE}-start-saga")[
            "EventSourceMappings"
        ]
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
            self._await_relay()
        finally:
            aws.queues(self._settings).purge_queue(QueueUrl=self._stack["queues"]["order-processing"]["url"])
            self._call_off()
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def order(
        self, payment_method: str = "pm_card_visa", product: UUID = catalogue.KEYBOARD.id
    ) -> dict[str, Any]:
        """The body of an order of one unit."""
        return {
            "items": [{"productId": str(product), "quantity": 1}],
            "currency": catalogue.CURRENCY,
            "paymentMethod": payment_method,
            "contact": {"email": self._stack["users"]["customer"]["email"]},
        }

    def on_sale(self, product_id: UUID, units: int) -> AbstractContextManager[None]:
        """A product with so many units in stock, while it is open."""
        return catalogue.on_sale(
            self._settings, [catalogue.Product(product_id, "In demand", 1000, available=units)]
        )

    def stock(self, product_id: UUID) -> tuple[int, int, int]:
        """Units available, reserved and sold."""
        with self.connect() as connection:
            ((available, reserved, sold),) = connection.run(_STOCK, id=product_id) or []
        return int(available), int(reserved), int(sold)

    def _await_relay(self) -> None:
        pending = "SELECT FROM outbox WHERE status = 'PENDING' LIMIT 1"
        with self.connect() as connection:
            if not wait_until(lambda: not connection.run(pending), _RELAY_SECONDS):
                raise TimeoutError(f"the outbox is not empty after {_RELAY_SECONDS} s")

    def _call_off(self) -> None:
        database = BenchDatabase(Credentials.model_validate(postgres.credentials(self._settings)))
        with database.administer() as connection:
            # Past the trigger: PENDING to CANCELLED is nothing that the system does.
            connection.run("SET session_replication_role = replica")
            connection.run("UPDATE orders SET status = 'CANCELLED' WHERE status = 'PENDING'")

    def _warm_up(self) -> None:
        with self.watch() as watch:
            watch.wait(self.customers().at_once(8, self.order(), each=_WARM_UP_ORDERS // 8), _WARM_UP_SECONDS)
