"""A client for a function's HTTP side: it makes the events that API Gateway makes, and reads the answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from tests.support.factories import ALICE
from tools.http_event import http_event

Handler = Callable[[dict[str, Any], LambdaContext], Any]


@dataclass
class Context:
    """What a handler sees of its invocation."""

    function_name: str = "orders-test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:orders-test"
    aws_request_id: str = "9a3f3c54-0000-4000-8000-000000000001"
    remaining_ms: int = 10_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def lambda_context(**changes: Any) -> LambdaContext:
    """A context to call any handler with."""
    return cast(LambdaContext, Context(**changes))


@dataclass(frozen=True)
class Answer:
    """What the client would see. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def pointers(self) -> list[str]:
        """The fields that a problem names."""
        return [error["pointer"] for error in self.json.get("errors", [])]


def every_page(client: "Client", path: str, *, limit: int, **filters: str) -> list[list[dict[str, Any]]]:
    """The items of all pages of a list, as its own cursors lead from one to the next."""
    query = "".join(f"&{name}={value}" for name, value in filters.items())
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        answer = client.get(f"{path}?limit={limit}{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200, answer.text
        pages.append(answer.json["items"])
        cursor = answer.json["nextCursor"]
    return pages


@dataclass
class Client:
    """One caller of one function's handler. `user_id` None is a caller without a token, on an open route."""

    handler: Handler
    user_id: str | None = ALICE
    headers: dict[str, str] = field(default_factory=dict)
    groups: Any = None

    def call(self, method: str, path: str) -> Answer:
        """Any method, without a body."""
        return self._call(method, path, None, {})

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._call("GET", path, None, headers or {})

    def delete(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._call("DELETE", path, None, headers or {})

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Text and bytes are sent as they are; anything else as JSON."""
        return self._with_body("POST", path, body, headers or {})

    def put(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self._with_body("PUT", path, body, headers or {})

    def patch(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self._with_body("PATCH", path, body, headers or {})

    def _with_body(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        return self._call(method, path, raw, {"Content-Type": "application/json", **headers})

    def _call(self, method: str, path: str, body: str | bytes | None, headers: Mapping[str, str]) -> Answer:
        sent = {**self.headers, **headers}
        return self.send(
            http_event(method, path, body=body, headers=sent, user_id=self.user_id, groups=self.groups)
        )

    def send(self, event: dict[str, Any]) -> Answer:
        answer = self.handler(event, lambda_context())
        headers = dict(answer.get("headers") or {})
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            headers[name] = ", ".join(values)
        return Answer(
            answer["statusCode"], {name.lower(): value for name, value in headers.items()}, answer["body"]
        )
