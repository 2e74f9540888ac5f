"""The order API as its clients see it: a token from Cognito, then plain HTTPS with JSON."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from orders.domain import FailureReason, Locale, OrderStatus, Priority, SagaStep, StepStatus
from tools.cloud import aws
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack

_TIMEOUT_SECONDS: Final = 30
"""Above what API Gateway grants a function, so that it is never the client who gives up first."""
_MAX_CONNECTIONS: Final = 200

_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers after which the same request is sent once more: the API is busy, or its gateway lost the function's answer.
Whether an order was placed is then unknown; its key makes the repetition safe (promise I10)."""
_ATTEMPTS: Final = 8
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 2.0
_PAGE: Final = 100


class _Model(BaseModel):
    """A body. Unknown fields in answers are ignored: the API may grow without breaking its clients."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Line(_Model):
    product_id: UUID
    quantity: int


class Contact(_Model):
    email: str
    phone: str | None = None
    locale: Locale = Locale.EN


class NewOrder(_Model):
    """The body of `POST /orders`."""

    items: tuple[Line, ...]
    currency: str
    payment_method: str
    contact: Contact
    priority: Priority = Priority.NORMAL


class Accepted(_Model):
    """The 202. Amounts are in minor units."""

    order_id: UUID
    status: OrderStatus
    total_amount: int
    currency: str
    created_at: datetime
    replayed: bool = False
    """Whether an earlier request with the same key made the order."""


class Step(_Model):
    """One entry of the saga's journal."""

    name: SagaStep
    status: StepStatus
    at: datetime


class Progress(_Model):
    """`GET /orders/{id}/status`."""

    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None = None
    progress: int
    steps: tuple[Step, ...]


class Product(_Model):
    product_id: UUID
    name: str
    unit_price: int
    currency: str
    available: int
    active: bool


class ProblemField(_Model):
    pointer: str
    detail: str


class Problem(_Model):
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


class OrdersClient:
    """The API for one user, or for nobody."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connect(cls, api_url: str, token: str | None = None) -> AsyncIterator[Self]:
        """A client that is closed at the end. Without a token only the open routes answer."""
        async with httpx.AsyncClient(
            base_url=f"{api_url}/api/v1/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
            # A proxy of this machine must not stand between it and its own loopback.
            trust_env=False,
        ) as http:
            yield cls(http)

    async def place(self, order: NewOrder, key: str) -> Accepted:
        """Places an order under an Idempotency-Key: with the same key it may be sent again, and is placed once.

        Raises:
            ApiError: refused (4xx) or failed (5xx).
            httpx.TransportError: no answer.
        """
        response = await self._send(
            "POST",
            "orders",
            content=order.model_dump_json(by_alias=True),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
        )
        replayed = response.headers.get("Idempotency-Replayed") == "true"
        return Accepted.model_validate({**content_of(response), "replayed": replayed})

    async def progress(self, order_id: UUID) -> Progress:
        """Where the order stands, with the steps of its saga.

        Raises:
            ApiError: 404 if there is no such order or it is somebody else's.
        """
        return Progress.model_validate(content_of(await self._send("GET", f"orders/{order_id}/status")))

    async def products(self) -> list[Product]:
        """The catalogue."""
        return [Product.model_validate(item) for item in await self._all("products")]

    async def _all(self, path: str) -> list[dict[str, Any]]:
        """The items of all pages of a list."""
        items: list[dict[str, Any]] = []
        asked = {"limit": str(_PAGE)}
        while True:
            page = content_of(await self._send("GET", path, params=asked))
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            asked["cursor"] = page["nextCursor"]

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request, repeated with growing, jittered waits as long as the answer is a transient one."""
        longest_wait = _FIRST_WAIT_SECONDS
        for _ in range(_ATTEMPTS - 1):
            response = await self._http.request(method, path, **request)
            if response.status_code not in _TRANSIENT:
                return response
            asked_for = response.headers.get("Retry-After", "")
            jittered = random.uniform(longest_wait / 2, longest_wait)
            await asyncio.sleep(float(asked_for) if asked_for.isdecimal() else jittered)
            longest_wait = min(2 * longest_wait, _LONGEST_WAIT_SECONDS)
        return await self._http.request(method, path, **request)


@dataclass(frozen=True)
class Tokens:
    """Good for 15 minutes. The API takes access tokens; ID tokens are for the client itself."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


def sign_in(settings: Settings, stack: Stack, user: str) -> Tokens:
    """Signs one of the stack's users (`customer`, `other`, `admin`) in with their password."""
    credentials = stack["users"][user]
    answer = aws.cognito(settings).initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=stack["user_pool_client_id"],
        AuthParameters={"USERNAME": credentials["email"], "PASSWORD": credentials["password"]},
    )["AuthenticationResult"]
    return Tokens(access_token=answer["AccessToken"], id_token=answer["IdToken"])


def content_of(response: httpx.Response) -> dict[str, Any]:
    """The body of an answer.

    Raises:
        ApiError: it is an error.
    """
    if response.is_error:
        raise ApiError(response.status_code, Problem.of(response))
    content: dict[str, Any] = response.json()
    return content
