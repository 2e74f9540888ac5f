"""What a route says of its answers, for the API's document."""

from http import HTTPStatus

from orders import problem
from orders.errors import IdempotencyKeyReused, InvalidOrder, OrderNotFound
from orders.openapi import problems, responses


def test_a_success_has_the_route_s_headers_and_the_body_that_its_function_returns() -> None:
    accepted = responses(HTTPStatus.ACCEPTED, headers=["Location"])[202]

    assert set(accepted["headers"]) == {"Location"}
    assert "content" not in accepted, "Powertools takes it from the function's signature"


def test_an_answer_with_an_entity_tag_may_also_be_that_nothing_has_changed() -> None:
    assert set(responses(headers=["ETag", "Retry-After"])) == {200, 304}


def test_a_success_without_a_body_has_none_in_the_document_either() -> None:
    assert responses(HTTPStatus.NO_CONTENT)[204]["content"] == {}


def test_refusals_with_one_status_are_examples_of_one_answer() -> None:
    documented = responses(errors=[InvalidOrder, IdempotencyKeyReused, OrderNotFound])

    assert set(documented) == {200, 404, 422}
    examples = documented[422]["content"][problem.CONTENT_TYPE]["examples"]
    assert set(examples) == {"invalid-request", "idempotency-key-reused"}
    assert examples["invalid-request"]["value"]["status"] == 422


def test_a_problem_that_passes_tells_when_to_come_back() -> None:
    passing = problem.Kind(503, "busy", "Busy", retry_after=2)
    lasting = problem.Kind(410, "gone", "Gone")

    documented = problems([passing, lasting])

    assert "Retry-After" in documented[503]["headers"]
    assert "headers" not in documented[410]
