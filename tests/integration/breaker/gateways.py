"""A payment gateway that does as it is told."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orders.errors import PaymentGatewayUnavailable
from orders.payments.gateway import Charge, GatewayDispute, GatewayPayment, GatewayRefund, GatewayStatus

CHARGE = Charge(amount=1250, currency="USD", method="pm_card_visa")

Act = Callable[[], None]


def work() -> None:
    """The gateway answers."""


def fail() -> None:
    raise PaymentGatewayUnavailable("the gateway is unavailable")


@dataclass
class ScriptedGateway:
    """`PaymentGateway` that does `act` on every call, and remembers which calls reached it."""

    act: Act = work
    calls: list[str] = field(default_factory=list)

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        return self._answer("capture", GatewayStatus.CAPTURED)

    def find(self, key: str) -> GatewayPayment | None:
        return self._answer("find", GatewayStatus.OPEN)

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        return self._answer("void", GatewayStatus.VOIDED)

    def refund(self, key: str) -> GatewayPayment:
        return self._answer("refund", GatewayStatus.REFUNDED)

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        return self._answer("refund_part", GatewayStatus.CAPTURED)

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        self._answer("find_refunds", GatewayStatus.CAPTURED)
        return ()

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        self._answer("find_disputes", GatewayStatus.CAPTURED)
        return ()

    def _answer(self, call: str, status: GatewayStatus) -> GatewayPayment:
        self.calls.append(call)
        self.act()
        return GatewayPayment("payment-1", status)


@dataclass
class Held:
    """An act that waits, as a gateway does that takes its time. `then` is what it ends with."""

    then: Act = work
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.reached.set()
        assert self.released.wait(10)
        self.then()
