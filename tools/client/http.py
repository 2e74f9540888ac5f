"""The one place that opens connections to the API and reads its responses, problem documents (RFC 9457) among them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Self

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from orders.contract import API_PREFIX, NEXT_CURSOR_HEADER
from tools.errors import Refused, Unavailable
from tools.loopback import is_encrypted, is_loopback

_TIMEOUT_SECONDS: Final = 30
"""Above what API Gateway grants a function, so that it is never the client who gives up first."""
_MAX_CONNECTIONS: Final = 200
_LONGEST_MESSAGE: Final = 200
_WITHOUT_BODY: Final = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
_REFUSALS: Final = frozenset(range(400, 500)) - {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_TOKEN_HINT: Final = "\nThe token is not good here, or not any more. Sign in: bin/orders login EMAIL"


class Body(BaseModel):
    """A body. Unknown fields of responses are ignored: the API may grow without breaking its clients."""

    # Made at the first use: a command uses two or three of them.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class ProblemField(Body):
    pointer: str
    detail: str


class Problem(Body):
    """RFC 9457, with members of a problem's own, or what the gateway itself says in its place (`{"message": …}`)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    correlation_id: str | None = None
    errors: tuple[ProblemField, ...] = ()

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        title = response.reason_phrase
        try:
            body = response.json()
        except ValueError:
            kind = response.headers.get("Content-Type", "nothing known").partition(";")[0]
            return cls(
                title=title, detail=f"The response is no JSON but {kind}: a proxy's, or another server's?"
            )
        if not isinstance(body, dict) or "type" not in body:
            message = body.get("message", body) if isinstance(body, dict) else body
            return cls(title=title, detail=str(message)[:_LONGEST_MESSAGE])
        try:
            return cls.model_validate(body)
        except ValidationError:
            return cls(title=title, detail=str(body)[:_LONGEST_MESSAGE])

    @property
    def name(self) -> str:
        """The last segment of the type: `invalid-request`."""
        return self.type.rsplit("/", 1)[-1]


class ApiError(Exception):
    """The API refused, or failed."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"{status} {problem.title}: {problem.detail}")
        self.status = status
        self.problem = problem


def open_client(api_url: str, token: str | None) -> httpx.Client:
    """A client of the routes under `/api/v1`, whose caller waits for each response."""
    return httpx.Client(**_options(api_url, token))


def open_async_client(api_url: str, token: str | None) -> httpx.AsyncClient:
    """A client of the routes under `/api/v1`, for up to 200 requests at once."""
    return httpx.AsyncClient(**_options(api_url, token))


def content_of(response: httpx.Response) -> Any:
    """The body of a response; None if it has none.

    Raises:
        ApiError: it is an error, a redirect, or not an object in JSON.
    """
    if not response.is_success:
        raise ApiError(response.status_code, Problem.of(response))
    if not response.content and response.status_code in _WITHOUT_BODY:
        return None
    try:
        body = response.json()
    except ValueError:
        raise ApiError(response.status_code, Problem.of(response)) from None
    if not isinstance(body, dict):
        raise ApiError(
            response.status_code, Problem(title="Not the API's", detail="It is no object in JSON.")
        )
    return body


@contextmanager
def refusals_told() -> Iterator[None]:
    """Tells the person at the terminal what went wrong inside the block.

    Raises:
        Refused: what the API refused, in its own words.
        Unavailable: it does not answer, failed, is busy, or sent what is not the API's.
    """
    try:
        yield
    except ApiError as error:
        fields = "".join(f"\n  {field.pointer}: {field.detail}" for field in error.problem.errors)
        hint = _TOKEN_HINT if error.status == HTTPStatus.UNAUTHORIZED else ""
        told = Refused if error.status in _REFUSALS else Unavailable
        problem = error.problem.model_dump(by_alias=True, exclude_none=True) | {"status": error.status}
        raise told(f"The API answered {error}{fields}{hint}", problem) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"The API does not answer: {type(error).__name__}: {error}") from error
    except (ValidationError, KeyError) as error:
        raise Unavailable(f"The API's response is not what its document says: {error}") from error


def _options(api_url: str, token: str | None) -> dict[str, Any]:
    return {
        "base_url": f"{api_url.rstrip('/')}{API_PREFIX}/",
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "timeout": _TIMEOUT_SECONDS,
        "limits": httpx.Limits(max_connections=_MAX_CONNECTIONS),
        # A proxy of this machine must not stand between it and its own loopback.
        "trust_env": not is_loopback(api_url),
        "verify": is_encrypted(api_url),
    }


class ApiClient:
    """The routes under `/api/v1` for one user."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    @contextmanager
    def connect(cls, api_url: str, token: str) -> Iterator[Self]:
        """A client that is closed at the end.

        Raises:
            Refused, Unavailable: inside the block, as `refusals_told` says.
        """
        with open_client(api_url, token) as http, refusals_told():
            yield cls(http)

    def get(self, path: str, **query: str | int) -> Any:
        """One resource, or one page of a list."""
        return content_of(self._http.get(path, params=query))

    def items(self, path: str, **query: str | int) -> Iterator[Any]:
        """The items of a list, page after page."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if page["nextCursor"] is None:
                return
            query["cursor"] = page["nextCursor"]

    def csv_documents(self, path: str, **query: str | int) -> Iterator[str]:
        """A list as CSV: one document after the other, each with its heading."""
        while True:
            response = self._http.get(path, params=query, headers={"Accept": "text/csv"})
            if not response.headers.get("content-type", "").startswith("text/csv"):
                content_of(response)
                raise ApiError(response.status_code, Problem(title="Not the API's", detail="It is no CSV."))
            yield response.text
            if NEXT_CURSOR_HEADER not in response.headers:
                return
            query["cursor"] = response.headers[NEXT_CURSOR_HEADER]

    def post(self, path: str, **body: str | bool | None) -> Any:
        """Asks for something; fields that are None are left out."""
        return self.post_once(path, None, **body)

    def post_once(self, path: str, key: str | None, **body: Any) -> Any:
        """Asks for something under an Idempotency-Key: with the same key it may be sent again."""
        given = {name: value for name, value in body.items() if value is not None}
        headers = {} if key is None else {"Idempotency-Key": key}
        return content_of(self._http.post(path, json=given, headers=headers))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes something."""
        return content_of(self._http.patch(path, json=body))

    def delete(self, path: str, **query: str) -> None:
        """Removes something."""
        content_of(self._http.delete(path, params=query))
