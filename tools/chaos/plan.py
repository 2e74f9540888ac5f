"""What a run does: its orders and its faults, from nothing but a seed. Same seed, same plan."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from orders.domain import FORWARD_STEPS, SagaStep
from orders.events import EVENT_QUEUES, Queue
from tools.postgres_proxy import Loss, Moment

DEFAULT_ORDERS: Final = 300
MINIMUM_INJECTIONS: Final = 5
"""How often each fault has to strike in a run of the default size, or the run has shown nothing about it."""

_SECONDS_PER_ORDER: Final = 0.35
_SHORTEST_SECONDS: Final = 20.0
_LARGEST_BURST: Final = 10
"""Orders that are posted in the same moment."""


class Fault(StrEnum):
    """What can go wrong. The first four are orders that bring their fault along; the others strike from outside."""

    GATEWAY_TIMEOUT = "gateway charges, then times out"
    DUPLICATE_POST = "posts raced under one key"
    CHANGED_POST = "key reused for another body"
    CANCELLED_ORDER = "order cancelled under way"
    KILL_FUNCTION = "function killed"
    RESTART_POSTGRES = "Postgres restarted at once"
    CUT_CONNECTION = "connection cut around COMMIT"
    REDELIVER = "message delivered again"
    FAIL_BATCH_PART = "part of a batch failed"
    KILL_RELAY = "relay killed between send and mark"
    LATE_STEP = "step frozen past its timeout"
    LATE_CALL = "step called after its compensation"
    EXPIRE_RESERVATION = "reservation expired under way"
    POISON_MESSAGE = "poison message"
    POISON_EVENT = "poison outbox row"
    GATEWAY_OUTAGE = "payment gateway down"


class Target(StrEnum):
    """Whom a fault looks for: the first of these processes to come along is struck."""

    ACCEPTING = "create_order"
    STEP = "a forward step"
    COMPENSATION = "a compensation"
    CONSUMER = "a queue's consumer"
    STARTER = "start_saga"


class Poison(StrEnum):
    """What is wrong with a planted message."""

    NO_EVENT = "no event"
    NO_FIELDS = "an event without its fields"
    FOREIGN = "an event of another queue"
    UNFIT = "an event whose data does not fit"


class DeadEvent(StrEnum):
    """What is wrong with a planted outbox row."""

    UNKNOWN_TYPE = "unknown type"
    UNFIT_DATA = "data that does not fit"


@dataclass(frozen=True)
class PlannedOrder:
    """One order, and how it is posted."""

    at: float
    """Seconds from the start of the run."""
    key: str
    """Its Idempotency-Key."""
    user: str
    payment_method: str
    lines: tuple[tuple[int, int], ...]
    """Product (its place among the run's products) and quantity."""
    copies: int
    """How many times it is posted at once."""
    is_changed: bool
    """Whether another body is posted under the same key afterwards."""
    cancelled_after: float | None = None
    """Seconds from the responses to its posts until its customer cancels it; None: they do not."""
    returned_at: float | None = None
    """Seconds from the start of the run until its customer cancels an order that the warm-up has confirmed, which is
    refunded then; None: they keep it."""


@dataclass(frozen=True)
class PlannedFault:
    """One fault that is to be injected."""

    fault: Fault
    at: float
    """Seconds from the start of the run. A fault that waits for its victim strikes when one comes along."""
    parameters: Mapping[str, str | int] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return str(self.parameters[name])

    def number(self, name: str) -> int:
        return int(self.parameters[name])


@dataclass(frozen=True)
class PlannedProduct:
    """A product of the run's own."""

    name: str
    unit_price: int
    """Minor units."""
    stock: int


@dataclass(frozen=True)
class Plan:
    """Everything that a run does."""

    seed: int
    seconds: float
    """How long orders are placed."""
    products: tuple[PlannedProduct, ...]
    warm_up: tuple[PlannedOrder, ...]
    """Placed before anything else, while nothing strikes. Those that are confirmed are refunded during the run."""
    orders: tuple[PlannedOrder, ...]
    faults: tuple[PlannedFault, ...]
    minimum: Mapping[Fault, int]
    """How often each fault has to strike for the run to count."""

    @property
    def is_whole(self) -> bool:
        """Whether no kind of fault is left out: then every promise has something to be checked on."""
        return len(self.minimum) == len(Fault)


_USERS: Final = ("customer", "other")

# Shares of the orders; what is left of them is paid without trouble. Each occurs at least once.
_PAYMENT_METHODS: Final = {
    "pm_simulated": 0.10,
    "pm_card_declined": 0.05,
    "pm_card_timeout": 0.05,
    "pm_card_fraud": 0.04,
    "pm_card_flaky": 0.04,
    "pm_card_down": 0.02,
    "pm_card_requires_action": 0.06,
}
_SMOOTH_METHOD: Final = "pm_card_visa"

_WARM_UP_ORDERS: Final = 12
_COLD_PRODUCTS: Final = 5
_HOT_SHARE: Final = 0.4
"""Orders that want the hot product."""
_HOT_STOCK_SHARE: Final = 0.25
"""Its units for each order of the run: fewer than are wanted."""
_DUPLICATE_SHARE: Final = 0.08
_MOST_COPIES: Final = 5
_CHANGED_SHARE: Final = 0.04
_CANCELLED_SHARE: Final = 0.06
_LATEST_CANCELLATION_SECONDS: Final = 4.0
"""Longer than most orders take: some are confirmed by then."""

BUSY_QUEUES: Final = tuple(queue for queue in EVENT_QUEUES if queue is not Queue.WEBHOOK_DELIVERY)
"""Those that every order has a message for. Nobody has a webhook here: they lead out of this machine."""

# Strikes planned in a run of the default size. More than the minimum: one that waits for a victim may not find it.
_INJECTIONS: Final[Mapping[Fault, int]] = {
    Fault.KILL_FUNCTION: 14,
    Fault.RESTART_POSTGRES: 6,
    Fault.CUT_CONNECTION: 14,
    Fault.REDELIVER: 14,
    Fault.FAIL_BATCH_PART: 8,
    Fault.KILL_RELAY: 6,
    Fault.LATE_STEP: 8,
    Fault.LATE_CALL: 8,
    Fault.EXPIRE_RESERVATION: 8,
    Fault.POISON_MESSAGE: 8,
    Fault.POISON_EVENT: 6,
    Fault.GATEWAY_OUTAGE: 6,
}
_WITH_ORDERS: Final = (
    Fault.GATEWAY_TIMEOUT,
    Fault.DUPLICATE_POST,
    Fault.CHANGED_POST,
    Fault.CANCELLED_ORDER,
)

# In shares of the run. Poison takes its five deliveries; nobody can be late for an order that has not been undone yet.
_WHEN: Final[Mapping[Fault, tuple[float, float]]] = {
    Fault.POISON_MESSAGE: (0.02, 0.4),
    Fault.LATE_STEP: (0.05, 0.7),
    Fault.LATE_CALL: (0.4, 1.0),
}
_USUALLY: Final = (0.05, 0.9)


def make(seed: int, orders: int = DEFAULT_ORDERS, faults: Collection[Fault] = tuple(Fault)) -> Plan:
    """The plan of a seed: so many orders, and of each of these kinds of faults as many as fit the number."""
    seconds = max(_SHORTEST_SECONDS, orders * _SECONDS_PER_ORDER)
    scale = orders / DEFAULT_ORDERS
    planned = {
        fault: max(1, round(number * scale)) for fault, number in _INJECTIONS.items() if fault in faults
    }
    return Plan(
        seed,
        seconds,
        _products(orders),
        _warm_up(seed, seconds),
        _orders(random.Random(f"orders {seed}"), seed, orders, seconds),
        # Each kind has its own dice, so that a run without one of them has the same others.
        tuple(
            sorted(
                (
                    planned_fault
                    for fault, number in planned.items()
                    for planned_fault in _faults(
                        random.Random(f"{fault.name} {seed}"), fault, number, seconds
                    )
                ),
                key=lambda planned_fault: (planned_fault.at, planned_fault.fault),
            )
        ),
        {fault: minimum_injections(orders) for fault in Fault if fault in {*planned, *_WITH_ORDERS}},
    )


def minimum_injections(orders: int) -> int:
    """Five from 300 orders on, in proportion below, and one at least."""
    return max(1, min(MINIMUM_INJECTIONS, MINIMUM_INJECTIONS * orders // DEFAULT_ORDERS))


def _products(orders: int) -> tuple[PlannedProduct, ...]:
    cold = tuple(
        PlannedProduct(f"Cold {number}", 1_000 + 250 * number, 100 * orders)
        for number in range(1, _COLD_PRODUCTS + 1)
    )
    return (PlannedProduct("Hot", 4_900, max(1, round(orders * _HOT_STOCK_SHARE))), *cold)


def _warm_up(seed: int, seconds: float) -> tuple[PlannedOrder, ...]:
    """Enough for every step and every compensation to have run a few times."""
    dice = random.Random(f"returns {seed}")
    methods = (_SMOOTH_METHOD, "pm_card_declined")
    return tuple(
        PlannedOrder(
            0.0,
            f"warm-{seed}-{place}",
            _USERS[0],
            method,
            ((1, 1),),
            1,
            is_changed=False,
            returned_at=round(dice.uniform(0, seconds), 3) if method == _SMOOTH_METHOD else None,
        )
        for place, method in enumerate(methods * (_WARM_UP_ORDERS // 2))
    )


def _orders(dice: random.Random, seed: int, number: int, seconds: float) -> tuple[PlannedOrder, ...]:
    methods = _deck(dice, number, _PAYMENT_METHODS, _SMOOTH_METHOD)
    copies = _deck(dice, number, {"many": _DUPLICATE_SHARE}, "one")
    changed = _deck(dice, number, {"yes": _CHANGED_SHARE}, "no")
    cancellation_dice = random.Random(f"cancellations {seed}")
    cancelled = _deck(cancellation_dice, number, {"yes": _CANCELLED_SHARE}, "no")
    return tuple(
        PlannedOrder(
            at=at,
            key=f"chaos-{seed}-{place:04}",
            user=dice.choice(_USERS),
            payment_method=methods[place],
            lines=_lines(dice),
            copies=dice.randint(2, _MOST_COPIES) if copies[place] == "many" else 1,
            is_changed=changed[place] == "yes",
            cancelled_after=round(cancellation_dice.uniform(0, _LATEST_CANCELLATION_SECONDS), 3)
            if cancelled[place] == "yes"
            else None,
        )
        for place, at in enumerate(_moments(dice, number, seconds))
    )


def _deck(dice: random.Random, number: int, shares: Mapping[str, float], usual: str) -> list[str]:
    """One card for each order, each kind in its share, in random order. Few orders still see every kind."""
    cards: list[str] = []
    for kind, share in shares.items():
        # As many as have to strike, where striking is what they are there for.
        cards += [kind] * max(minimum_injections(number), round(share * number))
    cards = (cards + [usual] * number)[:number]
    dice.shuffle(cards)
    return cards


def _moments(dice: random.Random, number: int, seconds: float) -> list[float]:
    """Bursts, at random times."""
    moments: list[float] = []
    while len(moments) < number:
        burst = min(dice.randint(1, _LARGEST_BURST), number - len(moments))
        moments += [round(dice.uniform(0, seconds), 3)] * burst
    return sorted(moments)


def _lines(dice: random.Random) -> tuple[tuple[int, int], ...]:
    products = dice.sample(range(1, _COLD_PRODUCTS + 1), dice.randint(1, 3))
    if dice.random() < _HOT_SHARE:
        products[0] = 0
    return tuple((product, dice.randint(1, 2)) for product in products)


def _faults(dice: random.Random, fault: Fault, number: int, seconds: float) -> list[PlannedFault]:
    first, last = _WHEN.get(fault, _USUALLY)
    width = (last - first) * seconds / number
    # One in each part of its time: faults of a kind are apart, and none is missed because all came at the end.
    return [
        PlannedFault(
            fault,
            round(first * seconds + width * (place + dice.random()), 3),
            _PARAMETERS.get(fault, _no_parameters)(dice, place),
        )
        for place in range(number)
    ]


Parameters = Mapping[str, str | int]


def _no_parameters(dice: random.Random, place: int) -> Parameters:
    return {}


def _in_turn(members: Iterable[str], place: int) -> str:
    values = list(members)
    return values[place % len(values)]


def _kill(dice: random.Random, place: int) -> Parameters:
    moment = dice.choice((Moment.STATEMENT, Moment.COMMIT))
    return {"target": _in_turn(Target, place), "moment": moment, "loss": dice.choice(list(Loss))}


def _cut(dice: random.Random, place: int) -> Parameters:
    # Whoever starts a saga has no connection.
    connected = [target for target in Target if target is not Target.STARTER]
    return {"target": dice.choice(connected), "moment": Moment.COMMIT, "loss": _in_turn(Loss, place)}


def _freeze(dice: random.Random, place: int) -> Parameters:
    return {"target": Target.STEP, "moment": dice.choice((Moment.BEGIN, Moment.STATEMENT))}


def _late_call(dice: random.Random, place: int) -> Parameters:
    steps = [step for step in FORWARD_STEPS if step is not SagaStep.VERIFY_STOCK]
    return {"step": steps[place % len(steps)]}


_PARAMETERS: Final[Mapping[Fault, Callable[[random.Random, int], Parameters]]] = {
    Fault.KILL_FUNCTION: _kill,
    Fault.CUT_CONNECTION: _cut,
    Fault.REDELIVER: lambda dice, place: {
        "queue": _in_turn(BUSY_QUEUES, place),
        "copies": dice.randint(1, 4),
    },
    Fault.FAIL_BATCH_PART: lambda dice, place: {"percent": dice.randint(20, 80)},
    Fault.LATE_STEP: _freeze,
    Fault.LATE_CALL: _late_call,
    Fault.EXPIRE_RESERVATION: lambda dice, place: {"orders": dice.randint(1, 4)},
    Fault.POISON_MESSAGE: lambda dice, place: {
        "queue": _in_turn(EVENT_QUEUES, place),
        "poison": dice.choice(list(Poison)),
    },
    Fault.POISON_EVENT: lambda dice, place: {"flaw": _in_turn(DeadEvent, place)},
    # Short: orders wait for a minute wherever it opens the circuit.
    Fault.GATEWAY_OUTAGE: lambda dice, place: {"milliseconds": dice.randint(500, 3_000)},
}
