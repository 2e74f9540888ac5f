"""The API as the command line uses it: plain HTTPS with JSON, here or on AWS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx

from tools.client.client import ApiError, Problem
from tools.errors import LocalCloudError

_TIMEOUT_SECONDS: Final = 30
"""Above what API Gateway grants a function, so that it is never the client who gives up first."""


class ApiClient:
    """The routes under `/api/v1` for one user. Answers are JSON as it came, to be shown."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    @contextmanager
    def connect(cls, api_url: str, token: str) -> Iterator[Self]:
        """A client that is closed at the end.

        Raises:
            LocalCloudError: inside the block, what the API refused, in its own words; or that it does not answer.
        """
        with httpx.Client(
            base_url=f"{api_url.rstrip('/')}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            # A proxy of this machine must not stand between it and its own loopback.
            trust_env=False,
        ) as http:
            try:
                yield cls(http)
            except ApiError as error:
                fields = "".join(f"\n  {field.pointer}: {field.detail}" for field in error.problem.errors)
                raise LocalCloudError(f"The API answered {error}{fields}") from error
            except httpx.TransportError as error:
                raise LocalCloudError(f"The API does not answer: {error!r}") from error

    def get(self, path: str, **query: str | int) -> Any:
        """One answer."""
        return _content(self._http.get(path, params=query))

    def items(self, path: str, **query: str | int) -> Iterator[Any]:
        """The items of a list, page after page."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if page["nextCursor"] is None:
                return
            query["cursor"] = page["nextCursor"]

    def post(self, path: str, **body: str | None) -> Any:
        """Asks for something; fields that are None are left out."""
        given = {name: value for name, value in body.items() if value is not None}
        return _content(self._http.post(path, json=given))

    def delete(self, path: str) -> None:
        """Removes something."""
        _refuse(self._http.delete(path))


def _content(response: httpx.Response) -> Any:
    _refuse(response)
    return response.json()


def _refuse(response: httpx.Response) -> None:
    if response.is_error:
        raise ApiError(response.status_code, Problem.of(response))
