import asyncio
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import pytest

from functions.create_order.models import PlaceOrder
from orders.domain import Locale, Priority
from tools.client import orders_client
from tools.client.http import ApiError
from tools.client.orders_client import Accepted, Contact, Line, NewOrder, OrdersClient

ORDER_ID = UUID("018f3f7e-0000-7000-8000-000000000001")
ORDER = NewOrder(
    items=(Line(product_id=ORDER_ID, quantity=2),),
    currency="USD",
    payment_method="pm_card_visa",
    contact=Contact(email="ada@example.com"),
)
ACCEPTED = {
    "orderId": str(ORDER_ID),
    "status": "PENDING",
    "totalAmount": 2500,
    "currency": "USD",
    "createdAt": "2026-01-01T00:00:00Z",
}

Respond = Callable[[httpx.Request], httpx.Response]


def place(respond: Respond) -> Accepted:
    async def work() -> Accepted:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(respond), base_url="http://api/api/v1/"
        ) as http:
            return await OrdersClient(http).place(ORDER, "key-1")

    return asyncio.run(work())


def answers(*responses: httpx.Response) -> tuple[Respond, list[httpx.Request]]:
    """An API that gives these answers one after the other, and the requests that it got."""
    remaining: Iterator[httpx.Response] = iter(responses)
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return next(remaining)

    return respond, requests


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_client, "_FIRST_WAIT_SECONDS", 0.001)


def test_an_order_is_posted_in_the_apis_words_with_its_key() -> None:
    respond, requests = answers(httpx.Response(202, json=ACCEPTED))
    accepted = place(respond)
    assert (accepted.order_id, accepted.total_amount, accepted.replayed) == (ORDER_ID, 2500, False)
    (request,) = requests
    assert (request.method, request.url.path) == ("POST", "/api/v1/orders")
    assert request.headers["Idempotency-Key"] == "key-1"
    assert b'"paymentMethod":"pm_card_visa"' in request.content
    assert b'"productId"' in request.content


def test_an_order_with_all_that_can_be_asked_for_is_one_that_the_api_takes() -> None:
    contact = Contact(email="ada@example.com", phone="+34600123456", locale=Locale.ES)
    asked = ORDER.model_copy(update={"contact": contact, "priority": Priority.HIGH})
    taken = PlaceOrder.model_validate_json(asked.model_dump_json(by_alias=True))
    assert (taken.contact.phone, taken.contact.locale, taken.priority) == ("+34600123456", "es", "high")


def test_a_replay_is_told_apart_from_a_new_order() -> None:
    respond, _ = answers(httpx.Response(202, json=ACCEPTED, headers={"Idempotency-Replayed": "true"}))
    assert place(respond).replayed


def test_a_transient_failure_is_followed_by_the_same_request_with_the_same_key() -> None:
    respond, requests = answers(
        httpx.Response(429, json={"message": "Too Many Requests"}),
        httpx.Response(503, json={}),
        httpx.Response(502, json={"message": "Internal server error"}),
        httpx.Response(504, json={}),
        httpx.Response(202, json=ACCEPTED),
    )
    assert place(respond).order_id == ORDER_ID
    assert [request.headers["Idempotency-Key"] for request in requests] == ["key-1"] * 5


def test_an_api_that_stays_busy_is_given_up() -> None:
    respond, requests = answers(*[httpx.Response(429, json={"message": "Too Many Requests"})] * 20)
    with pytest.raises(ApiError, match="429"):
        place(respond)
    assert len(requests) == 8


def test_an_error_of_the_function_itself_is_not_repeated() -> None:
    respond, requests = answers(httpx.Response(500, json={"message": "Internal Server Error"}))
    with pytest.raises(ApiError, match="500"):
        place(respond)
    assert len(requests) == 1


def test_a_refusal_is_not_repeated_and_names_its_fields() -> None:
    problem = {
        "type": "https://orders.example/problems/invalid-request",
        "title": "The request is not valid",
        "status": 422,
        "detail": "Refused: #/items/0/quantity",
        "instance": "/api/v1/orders",
        "correlationId": "c-1",
        "errors": [{"pointer": "#/items/0/quantity", "detail": "too large"}],
    }
    respond, requests = answers(httpx.Response(422, json=problem))
    with pytest.raises(ApiError) as refused:
        place(respond)
    assert len(requests) == 1
    assert (refused.value.status, refused.value.problem.name) == (422, "invalid-request")
    assert [field.pointer for field in refused.value.problem.errors] == ["#/items/0/quantity"]


@pytest.mark.parametrize("body", ['{"message":"Unauthorized"}', "<html>", '["x"]'])
def test_an_answer_that_is_no_problem_document_is_still_told(body: str) -> None:
    respond, _ = answers(httpx.Response(401, text=body))
    with pytest.raises(ApiError, match="401 Unauthorized"):
        place(respond)
