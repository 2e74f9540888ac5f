"""The webhook routes as their owner uses them: plain HTTPS with JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx

from local.client import ApiError, Problem
from local.errors import LocalCloudError

_TIMEOUT_SECONDS: Final = 30
"""Above what API Gateway grants a function, so that it is never the client who gives up first."""


class WebhookClient:
    """The webhooks of one user. Answers are JSON as it came, to be shown."""

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
            base_url=f"{api_url}/api/v1/",
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

    def add(self, url: str, description: str | None) -> dict[str, Any]:
        """Registers an endpoint; the answer is the only one with its secret."""
        described = {} if description is None else {"description": description}
        return _content(self._http.post("webhooks", json={"url": url, **described}))

    def list_all(self) -> list[dict[str, Any]]:
        """The user's webhooks."""
        items: list[dict[str, Any]] = _content(self._http.get("webhooks"))["items"]
        return items

    def remove(self, webhook_id: str) -> None:
        """Removes a webhook."""
        _refuse(self._http.delete(f"webhooks/{webhook_id}"))

    def rotate(self, webhook_id: str) -> dict[str, Any]:
        """Replaces the secret; the answer is the only one with it."""
        return _content(self._http.post(f"webhooks/{webhook_id}/secret"))

    def enable(self, webhook_id: str) -> dict[str, Any]:
        """Enables a webhook that was disabled."""
        return _content(self._http.post(f"webhooks/{webhook_id}/enable"))

    def deliveries(self, webhook_id: str, limit: int) -> list[dict[str, Any]]:
        """The newest deliveries of a webhook."""
        answer = self._http.get(f"webhooks/{webhook_id}/deliveries", params={"limit": limit})
        items: list[dict[str, Any]] = _content(answer)["items"]
        return items

    def redeliver(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Has a delivery sent again."""
        return _content(self._http.post(f"webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"))


def _content(response: httpx.Response) -> dict[str, Any]:
    _refuse(response)
    content: dict[str, Any] = response.json()
    return content


def _refuse(response: httpx.Response) -> None:
    if response.is_error:
        raise ApiError(response.status_code, Problem.of(response))
