"""Whatever a request or an error holds: log lines and problems have an upper size."""

import json
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, ValidationError

from orders.errors import FieldError, InvalidOrder
from orders.http import MAX_ERRORS, Api, ApiRequest
from orders.observability import MAX_LINE, logger, shortened
from tests.support.api import Answer, Client
from tests.support.written import recorded

MAX_PROBLEM = 20_000


class Order(ApiRequest):
    number: int


def client(fails_with: Exception | None = None) -> Client:
    api = Api()

    def post(order: Annotated[Order, Body()], limit: Annotated[int, Query()] = 1) -> Response[str]:
        if fails_with:
            raise fails_with
        return Response(200, "application/json", body="{}")

    api.post("/orders")(post)
    return Client(api.resolve)


def is_bounded(answer: Answer, text: str) -> bool:
    assert len(answer.json.get("errors", [])) <= MAX_ERRORS
    assert len(answer.text) < MAX_PROBLEM
    return all(len(line) <= MAX_LINE for line in text.splitlines())


BODIES: dict[str, Any] = {
    "24,000 unknown fields": {f"f{number}": 1 for number in range(5_000)},
    "a long name": {"n" * 60_000: 1},
    "many long names": {f"{number}" + "n" * 2_500: 1 for number in range(24)},
    "names that grow when they are quoted": {"\u20ac" * 10_000: 1},
    "a long value": {"number": "9" * 60_000},
}


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_a_refused_body_makes_a_short_problem(kind: str) -> None:
    with recorded() as written:
        answer = client().post("/orders", BODIES[kind])

    assert answer.status == 422
    assert is_bounded(answer, written.text)


def test_a_long_name_given_twice_makes_a_short_problem() -> None:
    name = json.dumps("n" * 30_000)
    answer = client().post("/orders", f"{{{name}: 1, {name}: 1}}")

    assert answer.status == 400
    assert is_bounded(answer, "")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/orders/" + "p" * 8_000, {}),
        ("/orders/" + "%2F" * 2_700, {}),
        ("/orders/\u2028" + "p" * 8_000, {}),
        ("/orders?limit=" + "9" * 8_000, {}),
        ("/orders", {"X-Correlation-Id": "c" * 8_000}),
        ("/orders", {"Content-Type": "x/" + "y" * 8_000}),
    ],
    ids=["path", "quoted path", "unprintable path", "query", "correlation id", "media type"],
)
def test_a_long_address_or_header_makes_a_short_problem(path: str, headers: dict[str, str]) -> None:
    with recorded() as written:
        answer = client().post(path, {}, headers)

    assert answer.status >= 400
    assert is_bounded(answer, written.text)
    assert len(answer.headers["x-correlation-id"]) <= 64


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("x" * 1_000_000),
        InvalidOrder("d" * 100_000, tuple(FieldError("#/" + "p" * 9_000, "d" * 9_000) for _ in range(500))),
        ValueError({"a": ["b" * 100] * 10_000}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_long_error_makes_a_short_problem_and_a_short_line(error: Exception) -> None:
    with recorded() as written:
        answer = client(error).post("/orders", {"number": 1})

    assert is_bounded(answer, written.text)


def a_validation_error() -> ValidationError:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(ValidationError) as raised:
        Strict.model_validate({f"f{number}": 1 for number in range(24_000)})
    return raised.value


def nested(depth: int) -> Any:
    return [nested(depth - 1)] * 10 if depth else "x" * 1_000


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        {f"k{number}": number for number in range(24_000)},
        {"k" * 100_000: 1},
        ["x" * 1_000] * 1_000,
        nested(4),
        {1, 2, 3},
        b"x" * 1_000_000,
        object(),
        10**4_000,
        10**100_000,
        float("nan"),
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_value_makes_a_short_line_of_json(value: Any) -> None:
    with recorded() as written:
        logger.info("Something", extra={"value": value})

    (line,) = written.logs("Something")
    assert line["level"] == "INFO"
    assert len(written.text) <= MAX_LINE + 1


def test_many_values_make_a_short_line_that_still_says_what_it_is_about() -> None:
    with recorded() as written:
        logger.info(
            "Something", extra={f"k{number}": "x" * 1_000 for number in range(100)} | {"order_id": "42"}
        )

    (line,) = written.logs("Something")
    assert "characters" in line["cut"]
    assert line["order_id"] == "42"


def test_a_validation_error_of_24_000_fields_makes_a_short_line() -> None:
    with recorded() as written:
        logger.error("Something", exc_info=a_validation_error())

    (line,) = written.logs("Something")
    assert line["exception_name"] == "ValidationError"
    assert len(written.text) <= MAX_LINE


def test_a_shortened_text_keeps_its_beginning_and_its_end() -> None:
    text = "begin" + "x" * 1_000 + "end"
    cut = shortened(text, 100)
    assert (cut[:5], cut[-3:]) == ("begin", "end")
    assert len(cut) <= 100
    assert shortened("short", 100) == "short"
