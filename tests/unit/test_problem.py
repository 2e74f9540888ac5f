"""Errors as RFC 9457 problems: one table from type to status."""

import pytest

from orders import errors, problem
from orders.errors import DatabaseUnavailable, InvalidOrder, OrdersError, RequestRefused
from orders.problem import Kind, Problem, ProblemField, kind_for, kind_of


@pytest.mark.parametrize("refusal", RequestRefused.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_of_a_request_has_a_status_of_the_client(refusal: type[RequestRefused]) -> None:
    assert 400 <= kind_for(refusal).status < 500


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.MalformedRequest, 400),
        (errors.OrderNotFound, 404),
        (errors.ProductNotFound, 404),
        (errors.BodyTooLarge, 413),
        (errors.UnsupportedMediaType, 415),
        (errors.InvalidOrder, 422),
        (errors.IdempotencyKeyReused, 422),
    ],
)
def test_the_status_tells_what_kind_of_refusal(error: type[RequestRefused], status: int) -> None:
    assert kind_of(error("no")).status == status


def test_a_more_special_error_is_answered_as_its_kind() -> None:
    class UnknownProduct(InvalidOrder):
        pass

    assert kind_of(UnknownProduct("no")) is kind_of(InvalidOrder("no"))


@pytest.mark.parametrize(
    "error",
    [
        Exception("secret"),
        KeyError("secret"),
        OrdersError("secret"),
        errors.StepFenced("x"),
        errors.PaymentDeclined("x"),
    ],
)
def test_what_is_not_meant_for_callers_tells_nothing(error: Exception) -> None:
    assert kind_of(error) is problem.UNEXPECTED
    assert problem.UNEXPECTED.status == 500


def test_a_database_that_is_away_asks_to_come_back() -> None:
    kind = kind_of(DatabaseUnavailable("gave up"))

    assert (kind.status, kind.retry_after) == (503, 2)


def test_types_are_told_apart_by_their_addresses() -> None:
    kinds = [
        *problem._KINDS.values(),
        *(value for value in vars(problem).values() if isinstance(value, Kind)),
    ]
    distinct = {kind.name: kind for kind in kinds}

    assert all(distinct[kind.name] == kind for kind in kinds)
    assert all(name == name.lower() and " " not in name for name in distinct)


def test_a_problem_has_the_members_of_the_contract() -> None:
    answer = Problem(
        type="t",
        title="T",
        status=422,
        detail="d",
        instance="/api/v1/orders",
        correlation_id="c",
        errors=[ProblemField(pointer="#/items/0", detail="wrong")],
    )

    # Those that only some problems have are left out of the others, as they are sent.
    assert answer.model_dump(by_alias=True, exclude_none=True) == {
        "type": "t",
        "title": "T",
        "status": 422,
        "detail": "d",
        "instance": "/api/v1/orders",
        "correlationId": "c",
        "errors": [{"pointer": "#/items/0", "detail": "wrong"}],
    }
