"""The tree of errors: its names are what the state machine matches, its place decides what becomes of an order."""

import re

import pytest

from orders import errors
from orders.domain import FailureReason
from orders.errors import (
    FINAL_ERRORS,
    BusinessFailure,
    OrdersError,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    RequestRefused,
    SagaConflict,
    TransientFailure,
    business_failure,
    failure_reason,
)


def all_below(kind: type[OrdersError]) -> set[type[OrdersError]]:
    return {kind}.union(*(all_below(below) for below in kind.__subclasses__()))


BUSINESS_FAILURES = BusinessFailure.__subclasses__()


def test_the_drawing_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    above = {0: "OrdersError"}
    assert errors.__doc__
    for indent, name in re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)", errors.__doc__, re.MULTILINE):
        depth = len(indent) // 4
        if depth:
            drawn[name] = above[depth - 1]
        above[depth] = name

    assert drawn == {
        kind.__name__: kind.__base__.__name__
        for kind in all_below(OrdersError) - {OrdersError}
        if kind.__base__ is not None and kind.__module__ == errors.__name__
    }


@pytest.mark.parametrize("failure", BUSINESS_FAILURES)
def test_a_business_failure_is_found_by_its_name_and_has_a_reason(failure: type[BusinessFailure]) -> None:
    assert business_failure(failure.__name__) is failure
    assert failure_reason(failure.__name__) is failure.reason


def test_every_business_failure_every_conflict_and_a_customer_who_must_act_is_final() -> None:
    """The state machine takes its list of them from here: see `infra/saga_definition.py`."""
    final = all_below(BusinessFailure) | all_below(SagaConflict)
    ours = {kind.__name__ for kind in final if kind.__module__ == errors.__name__}
    assert set(FINAL_ERRORS) == ours - {"BusinessFailure", "SagaConflict"} | {"PaymentActionRequired"}


def test_business_failures_have_a_reason_each() -> None:
    assert len({failure_reason(kind.__name__) for kind in BUSINESS_FAILURES}) == len(BUSINESS_FAILURES)


@pytest.mark.parametrize(
    "name",
    [
        "DatabaseUnavailable",
        "StepFenced",
        "KeyError",
        "States.Timeout",
        "Lambda.Unknown",
        "",
        "BusinessFailure",
    ],
)
def test_anything_else_is_a_processing_failure_and_no_business_one(name: str) -> None:
    assert business_failure(name) is None
    assert failure_reason(name) is FailureReason.PROCESSING_FAILED


def test_a_gateway_that_is_away_is_told_apart() -> None:
    assert failure_reason(PaymentGatewayUnavailable.__name__) is FailureReason.PAYMENT_UNAVAILABLE


def test_an_execution_that_cannot_wait_for_the_customer_gives_up_the_payment() -> None:
    """One of the release before the wait, which is under way while the steps are replaced."""
    assert failure_reason("PaymentActionRequired") is FailureReason.PAYMENT_NOT_COMPLETED


def test_what_may_pass_is_no_business_failure_and_no_fault_of_the_caller() -> None:
    """Traps T4, T7: a decline is final, an outage is not."""
    assert issubclass(PaymentGatewayTimeout, PaymentGatewayUnavailable)
    for one in (BusinessFailure, RequestRefused, TransientFailure):
        for other in {BusinessFailure, RequestRefused, TransientFailure} - {one}:
            assert not all_below(one) & all_below(other)
