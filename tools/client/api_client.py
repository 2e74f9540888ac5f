"""The API for a command, which waits for each response and shows it as it came."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx

from tools.client.http import content_of, open_client, refusals_told


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

    def post(self, path: str, **body: str | None) -> Any:
        """Asks for something; fields that are None are left out."""
        given = {name: value for name, value in body.items() if value is not None}
        return content_of(self._http.post(path, json=given))

    def delete(self, path: str) -> None:
        """Removes something."""
        content_of(self._http.delete(path))
