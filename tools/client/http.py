"""The one place that opens connections to the API and reads its responses, problem documents (RFC 9457) among them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from orders.contract import API_PREFIX
from tools.errors import LocalCloudError

_TIMEOUT_SECONDS: Final = 30
"""Above what API Gateway grants a function, so that it is never the client who gives up first."""
_MAX_CONNECTIONS: Final = 200


class Body(BaseModel):
    """A body. Unknown fields of responses are ignored: the API may grow without breaking its clients."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class ProblemField(Body):
    pointer: str
    detail: str


class Problem(Body):
    """RFC 9457, or what the gateway itself says in its place (`{"message": …}`)."""

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    correlation_id: str | None = None
    errors: tuple[ProblemField, ...] = ()

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        try:
            body = response.json()
        except ValueError:
            return cls(title=response.reason_phrase, detail=response.text[:200])
        if not isinstance(body, dict) or "type" not in body:
            return cls(title=response.reason_phrase, detail=str(body)[:200])
        return cls.model_validate(body)

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
        ApiError: it is an error.
    """
    if response.is_error:
        raise ApiError(response.status_code, Problem.of(response))
    return response.json() if response.content else None


@contextmanager
def refusals_told() -> Iterator[None]:
    """Tells the person at the terminal what went wrong inside the block.

    Raises:
        LocalCloudError: what the API refused, in its own words; or that it does not answer.
    """
    try:
        yield
    except ApiError as error:
        fields = "".join(f"\n  {field.pointer}: {field.detail}" for field in error.problem.errors)
        raise LocalCloudError(f"The API answered {error}{fields}") from error
    except httpx.TransportError as error:
        raise LocalCloudError(f"The API does not answer: {error!r}") from error


def _options(api_url: str, token: str | None) -> dict[str, Any]:
    return {
        "base_url": f"{api_url.rstrip('/')}{API_PREFIX}/",
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "timeout": _TIMEOUT_SECONDS,
        "limits": httpx.Limits(max_connections=_MAX_CONNECTIONS),
        # A proxy of this machine must not stand between it and its own loopback.
        "trust_env": False,
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
            LocalCloudError: inside the block, what the API refused, in its own words; or that it does not answer.
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

    def post(self, path: str, **body: str | bool | None) -> Any:
        """Asks for something; fields that are None are left out."""
        given = {name: value for name, value in body.items() if value is not None}
        return content_of(self._http.post(path, json=given))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes something."""
        return content_of(self._http.patch(path, json=body))

    def post_once(self, path: str, key: str, **body: str) -> Any:
        """Asks for something under an Idempotency-Key: with the same one it may be sent again."""
        return content_of(self._http.post(path, json=body, headers={"Idempotency-Key": key}))

    def delete(self, path: str) -> None:
        """Removes something."""
        content_of(self._http.delete(path))
