"""The API for many requests at once: orders are placed and followed, and the catalogue is read and changed."""

import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self
from uuid import UUID

import httpx
from pydantic import Field

from orders.domain import (
    CancellationOutcome,
    FailureReason,
    Locale,
    OrderStatus,
    Priority,
    SagaStep,
    StepOutcome,
)
from tools.client.http import Body, content_of, open_async_client

_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Responses after which the same request is sent once more: the API is busy, or its gateway lost the function's.
Whether an order was placed is then unknown; its key makes the repetition safe (promise I10)."""
_ATTEMPTS: Final = 8
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 2.0
_PAGE: Final = 100


class Line(Body):
    product_id: UUID
    quantity: int


class Contact(Body):
    email: str
    phone: str | None = None
    locale: Locale = Locale.EN


class NewOrder(Body):
    """The body of `POST /orders`."""

    items: tuple[Line, ...]
    currency: str
    payment_method: str
    contact: Contact
    priority: Priority = Priority.NORMAL
    expected_total_amount: int | None = None

    @classmethod
    def of(cls, lines: Iterable[tuple[UUID, int]], currency: str, payment_method: str, email: str) -> Self:
        """An order of products and quantities, whose mails go to `email`."""
        return cls(
            items=tuple(Line(product_id=product, quantity=quantity) for product, quantity in lines),
            currency=currency,
            payment_method=payment_method,
            contact=Contact(email=email),
        )


class Accepted(Body):
    """The 202. Amounts are in minor units."""

    order_id: UUID
    status: OrderStatus
    total_amount: int
    currency: str
    created_at: datetime
    replayed: bool = False
    """Whether an earlier request with the same key made the order."""


class Step(Body):
    """One entry of the saga's journal."""

    name: SagaStep
    status: StepOutcome
    at: datetime


class NextAction(Body):
    """What the customer must do at the payment provider."""

    type: str
    provider: str
    client_secret: str | None = Field(repr=False)
    expires_at: datetime


class Progress(Body):
    """`GET /orders/{id}/status`."""

    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None = None
    progress: int
    steps: tuple[Step, ...]
    next_action: NextAction | None = None


class Cancelled(Body):
    """The 202 of a cancellation."""

    order_id: UUID
    status: OrderStatus
    outcome: CancellationOutcome
    refund_id: UUID | None = None
    requested_at: datetime


class OrderLine(Body):
    """What was ordered of one product, as it was sold."""

    product_id: UUID
    product_name: str
    quantity: int
    unit_price: int


class OrderDetail(Body):
    """`GET /orders/{id}`."""

    items: tuple[OrderLine, ...]
    total_amount: int
    currency: str


class Product(Body):
    product_id: UUID
    name: str
    unit_price: int
    currency: str
    available: int
    active: bool


class OrdersClient:
    """The API for one user, or for nobody."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connect(cls, api_url: str, token: str | None = None) -> AsyncIterator[Self]:
        """A client that is closed at the end. Without a token only the open routes work."""
        async with open_async_client(api_url, token) as http:
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
            content=order.model_dump_json(by_alias=True, exclude_none=True),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
        )
        replayed = response.headers.get("Idempotency-Replayed") == "true"
        return Accepted.model_validate({**content_of(response), "replayed": replayed})

    async def order(self, order_id: UUID) -> OrderDetail:
        """What was ordered, and for how much.

        Raises:
            ApiError: as for `progress`.
        """
        return OrderDetail.model_validate(content_of(await self._send("GET", f"orders/{order_id}")))

    async def progress(self, order_id: UUID) -> Progress:
        """Where the order stands, with the steps of its saga.

        Raises:
            ApiError: 404 if there is no such order or it is somebody else's.
        """
        return Progress.model_validate(content_of(await self._send("GET", f"orders/{order_id}/status")))

    async def cancel(self, order_id: UUID, note: str | None = None) -> Cancelled:
        """Cancels the order; it may be sent again, and is done once. The note is an administrator's.

        Raises:
            ApiError: 404 if there is no such order or it is somebody else's; 409 if it is too late.
            httpx.TransportError: no answer.
        """
        why = {} if note is None else {"json": {"note": note}}
        return Cancelled.model_validate(
            content_of(await self._send("POST", f"orders/{order_id}/cancellation", **why))
        )

    async def refund(self, order_id: UUID, units: Mapping[UUID, int], reason: str, key: str) -> None:
        """Refunds units of a confirmed order's products and puts them back to stock; for administrators. With the same
        Idempotency-Key it may be sent again, and is done once.

        Raises:
            ApiError: refused (4xx) or failed (5xx).
            httpx.TransportError: no answer.
        """
        lines = [{"productId": str(product_id), "quantity": number} for product_id, number in units.items()]
        await self._send(
            "POST",
            f"admin/orders/{order_id}/refunds",
            json={"lines": lines, "reason": reason, "restock": True},
            headers={"Idempotency-Key": key},
        )

    async def products(self) -> list[Product]:
        """The catalogue."""
        return [Product.model_validate(item) for item in await self._all("products")]

    async def _all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The items of all pages of a list."""
        items: list[dict[str, Any]] = []
        asked = {"limit": str(_PAGE), **query}
        while True:
            page = content_of(await self._send("GET", path, params=asked))
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            asked["cursor"] = page["nextCursor"]

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request, repeated with growing, jittered waits as long as the response is a transient one."""
        import asyncio

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


class StockedProduct(Product):
    """A product with its stock."""

    stocked: int
    reserved: int
    sold: int
    low_stock_threshold: int


class CatalogueClient(OrdersClient):
    """The API for an administrator.

    Raises (each method):
        ApiError: refused (4xx; 403 for anybody else) or failed (5xx).
        httpx.TransportError: no answer.
    """

    async def all_products(self, *, only_low: bool = False) -> list[StockedProduct]:
        """Also those that are not on sale, oldest first; or only those with a low-stock alert."""
        asked = {"lowStock": "true"} if only_low else {}
        return [StockedProduct.model_validate(item) for item in await self._all("admin/products", **asked)]

    async def add(self, name: str, unit_price: int, currency: str, stock: int, *, key: str) -> StockedProduct:
        """Puts a product on sale; with the same key it may be sent again. The price is in minor units."""
        new = {"name": name, "unitPrice": unit_price, "currency": currency, "stock": stock}
        response = await self._send("POST", "admin/products", json=new, headers={"Idempotency-Key": key})
        return StockedProduct.model_validate(content_of(response))

    async def change(self, product_id: UUID, wanted: Mapping[str, Any]) -> StockedProduct:
        """Changes the product as it is now, and nothing if somebody else is quicker."""
        seen = await self._send("GET", f"admin/products/{product_id}")
        content_of(seen)
        response = await self._send(
            "PATCH",
            f"admin/products/{product_id}",
            json=dict(wanted),
            headers={"If-Match": seen.headers["ETag"]},
        )
        return StockedProduct.model_validate(content_of(response))

    async def adjust(self, product_id: UUID, delta: int, reason: str, *, key: str) -> StockedProduct:
        """Adds units, or takes away free ones; with the same key it may be sent again."""
        response = await self._send(
            "POST",
            f"admin/products/{product_id}/stock-adjustments",
            json={"delta": delta, "reason": reason},
            headers={"Idempotency-Key": key},
        )
        return StockedProduct.model_validate(content_of(response)["product"])
