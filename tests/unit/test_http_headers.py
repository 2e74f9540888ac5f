"""What every response carries, whatever becomes of the request; and HEAD, which is GET without its content."""

import json
from collections.abc import Callable
from typing import Annotated

import pytest
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders.errors import DatabaseUnavailable, OrderNotFound, TooManyOrders
from orders.http import Api, ApiModel, ApiRequest, json_response
from tests.support.api import Answer, Client

TAG = '"abc"'


class Name(ApiModel):
    name: str


class NewName(ApiRequest):
    name: str


def raising(error: Exception) -> Callable[[], Name]:
    def route() -> Name:
        raise error

    return route


def new_api(methods_of: Callable[[str], list[str]] | None = None) -> Client:
    api = Api(methods_of)
    api.get("/private")(lambda: Name(name="Ada"))
    api.get("/public")(
        lambda: json_response(Name(name="€"), headers={"ETag": TAG, "Cache-Control": "public"})
    )
    api.get("/compressed", compress=True)(lambda: Response(200, "text/plain", "text"))
    for name, error in {
        "not-found": OrderNotFound("gone"),
        "many": TooManyOrders(7),
        "away": DatabaseUnavailable("away"),
        "unexpected": KeyError("oops"),
    }.items():
        api.get(f"/{name}")(raising(error))

    @api.post("/names", status_code=201)
    def post_name(name: Annotated[NewName, Body()]) -> Name:
        return Name(name=name.name)

    @api.delete("/names", status_code=204)
    def delete_name() -> None: ...

    return Client(lambda event, context: api.resolve(event, context))


CLIENT = new_api()
ANSWERS: dict[str, tuple[int, Callable[[], Answer]]] = {
    "success": (200, lambda: CLIENT.get("/private")),
    "compressed": (200, lambda: CLIENT.get("/compressed", {"Accept-Encoding": "gzip"})),
    "HEAD": (200, lambda: CLIENT.call("HEAD", "/public")),
    "not modified": (304, lambda: CLIENT.get("/public", {"If-None-Match": TAG})),
    "made": (201, lambda: CLIENT.post("/names", {"name": "Ada"})),
    "no content": (204, lambda: CLIENT.delete("/names")),
    "malformed": (400, lambda: CLIENT.post("/names", "{")),
    "not an administrator": (403, lambda: CLIENT.get("/api/v1/admin/queues")),
    "not found": (404, lambda: CLIENT.get("/not-found")),
    "no route": (404, lambda: CLIENT.get("/nowhere")),
    "strange address": (404, lambda: CLIENT.get("/private\n")),
    "wrong method": (405, lambda: new_api(lambda path: ["GET"]).call("DELETE", "/private")),
    "too large": (413, lambda: CLIENT.post("/names", "x" * 100_000)),
    "other media type": (415, lambda: CLIENT.post("/names", "x", {"Content-Type": "text/plain"})),
    "invalid": (422, lambda: CLIENT.post("/names", {})),
    "too many": (429, lambda: CLIENT.get("/many")),
    "unexpected": (500, lambda: CLIENT.get("/unexpected")),
    "unavailable": (503, lambda: CLIENT.get("/away")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_response_is_protected_and_kept_by_nobody_unless_it_says_so(name: str) -> None:
    status, ask = ANSWERS[name]

    answer = ask()

    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert {"Origin", "Accept-Encoding"} <= set(answer.headers["vary"].split(", "))
    is_public = name in {"HEAD", "not modified"}
    assert answer.headers["cache-control"] == ("public" if is_public else "no-store")


@pytest.mark.parametrize(
    "path", ["/private", "/public", "/not-found", "/nowhere", "/unexpected", "/compressed"]
)
def test_head_returns_what_get_does_without_its_content(path: str) -> None:
    get, head = CLIENT.get(path), CLIENT.call("HEAD", path)

    assert (head.status, head.text) == (get.status, "")
    assert head.headers["content-length"] == str(len(get.text.encode()))
    differing = {"content-length", "x-correlation-id"}
    # The correlation id stands in a problem's body, and has the same length each time.
    assert {name: value for name, value in head.headers.items() if name not in differing} == {
        name: value for name, value in get.headers.items() if name not in differing
    }


def test_the_length_of_compressed_content_is_that_of_its_bytes() -> None:
    event_headers = {"Accept-Encoding": "gzip"}
    get = CLIENT.get("/compressed", event_headers)
    head = Client(CLIENT.handler, headers=event_headers).call("HEAD", "/compressed")

    assert head.headers["content-encoding"] == get.headers["content-encoding"] == "gzip"
    # Four characters of base64 are three bytes.
    assert int(head.headers["content-length"]) == len(get.text) // 4 * 3 - get.text.count("=")


def test_head_asks_conditionally_too() -> None:
    head = Client(CLIENT.handler, headers={"If-None-Match": TAG}).call("HEAD", "/public")

    assert (head.status, head.text) == (304, "")
    assert "content-length" not in head.headers, "it would be the length of what is not sent"


def test_head_is_for_administrators_where_get_is() -> None:
    assert CLIENT.call("HEAD", "/api/v1/admin/queues").status == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD"])
def test_a_method_that_is_not_taken_is_refused_with_those_that_are(method: str) -> None:
    answer = new_api(lambda path: ["DELETE", "POST"]).call(method, "/names-2")

    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, POST")


def test_a_response_may_gain_a_field_and_a_request_may_not() -> None:
    """Clients that were generated yesterday go on reading; a field that we do not know is a mistake of the sender."""
    assert "additionalProperties" not in Name.model_json_schema()
    assert NewName.model_json_schema()["additionalProperties"] is False
    assert json.loads(CLIENT.post("/names", {"name": "a", "more": 1}).text)["status"] == 422
