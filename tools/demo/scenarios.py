"""The demonstration's scenarios, as data: what is posted, the expected responses, and how each order is to end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from orders.domain import COMPENSATIONS, FORWARD_STEPS, FailureReason, Notification, OrderStatus, SagaStep
from orders.ids import uuid7
from tools.cloud import catalogue
from tools.cloud.catalogue import Product
from tools.console import money
from tools.demo.cards import Card

Route = tuple[SagaStep, ...]
"""The states that a saga passes, in order."""

OUT_OF_STOCK_AT_A_GLANCE: Final[Route] = (
    SagaStep.VERIFY_STOCK,
    SagaStep.SEND_CANCELLATION,
    SagaStep.MARK_CANCELLED,
)
OUT_OF_STOCK_WHEN_RESERVING: Final[Route] = (
    SagaStep.VERIFY_STOCK,
    SagaStep.RESERVE_INVENTORY,
    SagaStep.RELEASE_RESERVATION,
    SagaStep.SEND_CANCELLATION,
    SagaStep.MARK_CANCELLED,
)
UNPAID: Final[Route] = (
    SagaStep.VERIFY_STOCK,
    SagaStep.RESERVE_INVENTORY,
    SagaStep.PROCESS_PAYMENT,
    SagaStep.REFUND_PAYMENT,
    SagaStep.RELEASE_RESERVATION,
    SagaStep.SEND_CANCELLATION,
    SagaStep.MARK_CANCELLED,
)


AFTER_ITS_CUSTOMER: Final[Route] = (*FORWARD_STEPS[:3], SagaStep.WAIT_FOR_PAYMENT, *FORWARD_STEPS[2:])


class Money(StrEnum):
    """What the gateway's ledger says about an order."""

    NOT_CHARGED = "not charged"
    CHARGED_ONCE = "charged once"


@dataclass(frozen=True)
class Ending:
    """How an order ends, down to the way there."""

    status: OrderStatus
    money: str
    """One of `Money`, or with the amount that was given back."""
    told: tuple[Notification, ...]
    """What its customer is sent, in order."""
    routes: tuple[Route, ...]
    """The ways that lead there. More than one where a race decides."""
    reason: FailureReason | None = None
    gateway_failures: int | None = 0
    """How often ProcessPayment finds the gateway unavailable; None where a race decides."""


def _confirmed(gateway_failures: int = 0, route: Route = FORWARD_STEPS) -> Ending:
    return Ending(
        OrderStatus.CONFIRMED,
        Money.CHARGED_ONCE,
        (Notification.ORDER_CONFIRMED,),
        routes=(route,),
        gateway_failures=gateway_failures,
    )


def _partly_refunded(amount: int) -> Ending:
    """Confirmed; so many minor units of it are given back after that."""
    return replace(
        _confirmed(),
        money=charged_and_partly_refunded(amount, catalogue.CURRENCY),
        told=(Notification.ORDER_CONFIRMED, Notification.ORDER_REFUNDED),
    )


def charged_and_partly_refunded(amount: int, currency: str) -> str:
    """What the gateway's ledger says of an order of which a part was given back."""
    return f"{Money.CHARGED_ONCE}, {money(amount, currency)} refunded"


def _unpaid(reason: FailureReason, gateway_failures: int = 0) -> Ending:
    return Ending(
        OrderStatus.CANCELLED,
        Money.NOT_CHARGED,
        (Notification.PAYMENT_FAILED,),
        routes=(UNPAID,),
        reason=reason,
        gateway_failures=gateway_failures,
    )


def _cancelled_by_customer() -> Ending:
    """Wherever the saga is, it turns back at its next step; the payment is not captured."""
    return Ending(
        OrderStatus.CANCELLED,
        Money.NOT_CHARGED,
        (Notification.CANCELLATION_CONFIRMED,),
        routes=tuple((*FORWARD_STEPS[:steps], *COMPENSATIONS) for steps in (1, 2, 3)),
        reason=FailureReason.CANCELLATION_REQUESTED,
        gateway_failures=None,
    )


def _sold_out(*routes: Route) -> Ending:
    return Ending(
        OrderStatus.CANCELLED,
        Money.NOT_CHARGED,
        (Notification.ORDER_CANCELLED,),
        routes=routes,
        reason=FailureReason.INSUFFICIENT_STOCK,
    )


@dataclass(frozen=True)
class Response:
    """The response to a POST: the HTTP status and, for a refusal, the problem's name."""

    status: int
    problem: str | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.problem}" if self.problem else str(self.status)


ACCEPTED: Final = Response(202)


@dataclass(frozen=True)
class Post:
    """One `POST /orders`."""

    lines: tuple[tuple[Product, int], ...]
    card: Card = Card.PAYS
    user: str = "customer"
    key: str | None = None
    """Posts of a scenario with the same one share their Idempotency-Key; without one a post has its own."""
    is_cancelled: bool = False
    """Whether the customer cancels the order as soon as it is accepted."""
    returned: Product | None = None
    """Of which one unit comes back once the order is confirmed: an administrator refunds it, and it is in stock
    again."""

    @property
    def total_amount(self) -> int:
        """What the server is to make of it, in minor units."""
        return sum(product.unit_price * quantity for product, quantity in self.lines)


@dataclass(frozen=True)
class Scenario:
    """Posts, and what is expected of them."""

    name: str
    posts: tuple[Post, ...]
    endings: Mapping[Ending, int]
    """How many orders end how. Posts that are refused, or repeat another one, make none."""
    responses: Mapping[Response, int] = field(default_factory=lambda: {ACCEPTED: 1})
    is_simultaneous: bool = True
    """Whether the posts go out all at once, or each after the response to the one before."""
    is_slow: bool = False
    """Takes the saga's retries, seconds each: others run meanwhile, but no other slow one."""
    products: tuple[Product, ...] = ()
    """Products of its own, with an exact stock that nobody else buys from."""


def scenarios() -> tuple[Scenario, ...]:
    """All scenarios, for one run: products with an exact stock are new ones, so that no two runs share them."""
    return (
        Scenario(
            "Two products",
            (Post(((catalogue.KEYBOARD, 1), (catalogue.MOUSE, 2))),),
            {_confirmed(): 1},
        ),
        _one("Card declined", Card.IS_DECLINED, _unpaid(FailureReason.PAYMENT_DECLINED)),
        # Its customer reads of a declined card; only operators read why.
        _one("Suspected fraud", Card.LOOKS_FRAUDULENT, _unpaid(FailureReason.PAYMENT_DECLINED)),
        _one(
            "Charged, then timed out",
            Card.IS_CHARGED_THEN_TIMES_OUT,
            _confirmed(gateway_failures=1),
            is_slow=True,
        ),
        _one("Flaky gateway", Card.FAILS_TWICE, _confirmed(gateway_failures=2), is_slow=True),
        # A gateway that is down for this card keeps the order on its way until the customer has cancelled it.
        Scenario(
            "Customer cancels",
            (Post(((catalogue.KEYBOARD, 1),), Card.ALWAYS_FAILS, is_cancelled=True),),
            {_cancelled_by_customer(): 1},
            is_slow=True,
        ),
        _one(
            "Gateway down",
            Card.ALWAYS_FAILS,
            _unpaid(FailureReason.PAYMENT_UNAVAILABLE, gateway_failures=4),
            is_slow=True,
        ),
        _out_of_stock(),
        Scenario(
            "Inactive product",
            (Post(((catalogue.INACTIVE, 1),)),),
            endings={},
            responses={Response(422, "invalid-request"): 1},
        ),
        _race_for_the_last_five(),
        Scenario(
            "20 posts with one key",
            tuple(Post(((catalogue.MOUSE, 1),), key="same") for _ in range(20)),
            endings={_confirmed(): 1},
            responses={ACCEPTED: 20},
        ),
        Scenario(
            "One key, another body",
            (
                Post(((catalogue.MOUSE, 1),), key="same"),
                Post(((catalogue.MOUSE, 2),), key="same"),
            ),
            endings={_confirmed(): 1},
            responses={ACCEPTED: 1, Response(422, "idempotency-key-reused"): 1},
            is_simultaneous=False,
        ),
        # Late: the slow ones fail at the gateway, and what is paid meanwhile keeps the circuit breaker closed.
        # They act as soon as the order's status says that they must.
        _one("Customer must act", Card.NEEDS_ITS_CUSTOMER, _confirmed(route=AFTER_ITS_CUSTOMER)),
        Scenario(
            "One unit returned",
            (Post(((catalogue.KEYBOARD, 1), (catalogue.MOUSE, 2)), returned=catalogue.MOUSE),),
            {_partly_refunded(catalogue.MOUSE.unit_price): 1},
        ),
    )


def _one(name: str, card: Card, ending: Ending, *, is_slow: bool = False) -> Scenario:
    post = Post(((catalogue.KEYBOARD, 1),), card)
    return Scenario(name, (post,), {ending: 1}, is_slow=is_slow)


def _out_of_stock() -> Scenario:
    product = _rare(available=2)
    return Scenario(
        "Out of stock",
        (Post(((catalogue.MOUSE, 1), (product, 3))),),
        {_sold_out(OUT_OF_STOCK_AT_A_GLANCE): 1},
        products=(product,),
    )


def _race_for_the_last_five() -> Scenario:
    product = _rare(available=5)
    buyers = ("customer", "other") * 4
    return Scenario(
        "8 race for the last 5",
        tuple(Post(((product, 1),), user=buyer) for buyer in buyers),
        {_confirmed(): 5, _sold_out(OUT_OF_STOCK_AT_A_GLANCE, OUT_OF_STOCK_WHEN_RESERVING): 3},
        {ACCEPTED: 8},
        products=(product,),
    )


def _rare(available: int) -> Product:
    return Product(uuid7(), "Keycaps, signed by hand", 9_900, available=available)
