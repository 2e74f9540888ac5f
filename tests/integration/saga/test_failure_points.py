"""Every point at which the saga can fail: the exact way back, and all that is left of the order afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.integration.saga.pipeline import (
    CAPTURED,
    CHAIN,
    CONFIRMED,
    FORWARD,
    REFUNDED,
    UNTOUCHED,
    Ending,
    Order,
    Pipeline,
    expire_a_reservation,
    sell_out,
)
from tests.support.asl import THROTTLED, TIMEOUT, Fault, When

ATTEMPTS = 4
"""One, and three retries."""


@dataclass(frozen=True)
class FailurePoint:
    """How the saga fails, and what must come of it."""

    at: str
    compensations: list[str]
    ending: Ending
    fault: When | None = None
    payment_method: str = "pm_card_visa"
    meanwhile: Mapping[str, Callable[[Order], None]] = field(default_factory=dict)
    attempts: int = ATTEMPTS

    @property
    def visited(self) -> list[str]:
        return [*FORWARD[: FORWARD.index(self.at) + 1], *self.compensations]


RELEASED = ["RELEASED", "RELEASED"]
RESTORED = ["RESTORED", "RESTORED"]
TELL_AND_CLOSE = ["SendCancellation", "MarkCancelled"]
FROM_RELEASE = ["ReleaseReservation", *TELL_AND_CLOSE]
FROM_REFUND = ["RefundPayment", *FROM_RELEASE]

NOTHING_DONE = Ending("CANCELLED", "PROCESSING_FAILED", told=["order_cancelled"])
PAID_BACK = Ending(
    "CANCELLED",
    "PROCESSING_FAILED",
    reservations=RELEASED,
    payment="REFUNDED",
    ledger=REFUNDED,
    told=["order_cancelled"],
)
SALE_UNDONE = Ending(
    "CANCELLED",
    "PROCESSING_FAILED",
    reservations=RESTORED,
    payment="REFUNDED",
    ledger=REFUNDED,
    told=["order_cancelled"],
)


def refused_payment(reason: str) -> Ending:
    return Ending("CANCELLED", reason, reservations=RELEASED, payment="DECLINED", told=["payment_failed"])


SOLD_OUT = [UNTOUCHED[0], (0, 0, 10)]

FAILURE_POINTS = {
    "VerifyStock: sold out": FailurePoint(
        "VerifyStock",
        TELL_AND_CLOSE,
        Ending("CANCELLED", "INSUFFICIENT_STOCK", stock=SOLD_OUT, told=["order_cancelled"]),
        meanwhile={"VerifyStock": sell_out},
        attempts=1,
    ),
    "VerifyStock: fails before its effect": FailurePoint(
        "VerifyStock", TELL_AND_CLOSE, NOTHING_DONE, When.BEFORE
    ),
    "VerifyStock: fails after its effect": FailurePoint(
        "VerifyStock", TELL_AND_CLOSE, NOTHING_DONE, When.AFTER
    ),
    "ReserveInventory: another buyer was quicker": FailurePoint(
        "ReserveInventory",
        FROM_RELEASE,
        # The line that could be had was taken first, and must be back (trap T15).
        Ending("CANCELLED", "INSUFFICIENT_STOCK", stock=SOLD_OUT, told=["order_cancelled"]),
        meanwhile={"ReserveInventory": sell_out},
        attempts=1,
    ),
    "ReserveInventory: fails before its effect": FailurePoint(
        "ReserveInventory", FROM_RELEASE, NOTHING_DONE, When.BEFORE
    ),
    "ReserveInventory: fails after its effect": FailurePoint(
        "ReserveInventory",
        FROM_RELEASE,
        Ending("CANCELLED", "PROCESSING_FAILED", reservations=RELEASED, told=["order_cancelled"]),
        When.AFTER,
    ),
    "ProcessPayment: declined": FailurePoint(
        "ProcessPayment",
        FROM_REFUND,
        refused_payment("PAYMENT_DECLINED"),
        payment_method="pm_card_declined",
        attempts=1,
    ),
    "ProcessPayment: suspected fraud": FailurePoint(
        "ProcessPayment",
        FROM_REFUND,
        refused_payment("FRAUD_SUSPECTED"),
        payment_method="pm_card_fraud",
        attempts=1,
    ),
    "ProcessPayment: the gateway is down": FailurePoint(
        "ProcessPayment",
        FROM_REFUND,
        Ending(
            "CANCELLED",
            "PAYMENT_UNAVAILABLE",
            reservations=RELEASED,
            payment="VOIDED",
            told=["payment_failed"],
        ),
        payment_method="pm_card_down",
    ),
    "ProcessPayment: fails before its effect": FailurePoint(
        "ProcessPayment",
        FROM_REFUND,
        Ending(
            "CANCELLED",
            "PROCESSING_FAILED",
            reservations=RELEASED,
            payment="VOIDED",
            told=["order_cancelled"],
        ),
        When.BEFORE,
    ),
    "ProcessPayment: fails after its effect": FailurePoint(
        "ProcessPayment", FROM_REFUND, PAID_BACK, When.AFTER
    ),
    "ConfirmReservation: the reservation has expired": FailurePoint(
        "ConfirmReservation",
        CHAIN,
        Ending(
            "CANCELLED",
            "RESERVATION_EXPIRED",
            # The other line was sold first, and that was rolled back: it is released, not restored.
            reservations=["RELEASED", "EXPIRED"],
            payment="REFUNDED",
            ledger=REFUNDED,
            told=["order_cancelled"],
        ),
        meanwhile={"ConfirmReservation": expire_a_reservation},
        attempts=1,
    ),
    "ConfirmReservation: fails before its effect": FailurePoint(
        "ConfirmReservation", CHAIN, PAID_BACK, When.BEFORE
    ),
    "ConfirmReservation: fails after its effect": FailurePoint(
        "ConfirmReservation", CHAIN, SALE_UNDONE, When.AFTER
    ),
    "SendConfirmation: fails before its effect": FailurePoint(
        "SendConfirmation", CHAIN, SALE_UNDONE, When.BEFORE
    ),
    "SendConfirmation: fails after its effect": FailurePoint(
        "SendConfirmation", CHAIN, SALE_UNDONE, When.AFTER
    ),
    "CompleteOrder: fails before its effect": FailurePoint("CompleteOrder", CHAIN, SALE_UNDONE, When.BEFORE),
    # It is confirmed from its commit on: nothing may be undone, whatever became of the answer.
    "CompleteOrder: fails after its effect": FailurePoint(
        "CompleteOrder", ["RestoreInventory", "AlreadyCompleted"], CONFIRMED, When.AFTER
    ),
}


@pytest.mark.parametrize("point", FAILURE_POINTS.values(), ids=FAILURE_POINTS.keys())
def test_a_failed_saga_takes_the_exact_way_back_and_leaves_nothing_behind(
    pipeline: Pipeline, point: FailurePoint
) -> None:
    order = pipeline.order(point.payment_method)
    faults = [Fault(point.at, point.fault)] if point.fault else []

    execution = order.run(*faults, meanwhile=point.meanwhile)

    assert execution.visited == point.visited
    assert execution.status == "SUCCEEDED"
    assert execution.attempts[point.at] == point.attempts
    assert order.ending() == point.ending


def test_an_order_that_meets_no_failure_is_confirmed_in_six_transitions(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run()

    assert execution.visited == FORWARD
    assert execution.status == "SUCCEEDED"
    assert order.ending() == CONFIRMED
    assert order.journal() == dict.fromkeys(FORWARD, "SUCCEEDED")


@pytest.mark.parametrize("error", [TIMEOUT, THROTTLED, "DatabaseUnavailable", "Sandbox.Timedout"])
@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("step", FORWARD)
def test_a_failure_that_passes_costs_a_retry_and_nothing_else(
    pipeline: Pipeline, step: str, when: When, error: str
) -> None:
    order = pipeline.order()

    execution = order.run(Fault(step, when, error, times=2))

    assert execution.visited == FORWARD
    assert execution.attempts[step] == 3
    assert order.ending() == CONFIRMED


@pytest.mark.parametrize("step", [*FORWARD, *CHAIN])
def test_a_throttled_step_is_tried_far_longer_than_a_failing_one(pipeline: Pipeline, step: str) -> None:
    order = pipeline.order()
    way_back = [Fault("CompleteOrder", When.BEFORE)] if step in CHAIN else []

    execution = order.run(Fault(step, When.BEFORE, THROTTLED, times=20), *way_back)

    assert execution.attempts[step] == 21 + (ATTEMPTS if way_back and step == "CompleteOrder" else 0)
    assert order.ending() == (SALE_UNDONE if way_back else CONFIRMED)


def test_the_charge_of_a_failed_order_can_be_read_in_the_journal(pipeline: Pipeline) -> None:
    order = pipeline.order()

    order.run(Fault("ConfirmReservation", When.BEFORE))

    assert order.journal() == {
        "VerifyStock": "SUCCEEDED",
        "ReserveInventory": "COMPENSATED",
        "ProcessPayment": "COMPENSATED",
        "ConfirmReservation": "FENCED",
        "SendConfirmation": "FENCED",
        "CompleteOrder": "FENCED",
        **dict.fromkeys(CHAIN, "SUCCEEDED"),
    }
    assert order.ending().ledger != CAPTURED
