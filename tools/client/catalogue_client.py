"""The catalogue, as its administrators change it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tools.client.http import content_of
from tools.client.orders_client import OrdersClient, Product


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

    async def all_products(self) -> list[StockedProduct]:
        """Also those that are not on sale, oldest first."""
        return [StockedProduct.model_validate(item) for item in await self._all("admin/products")]

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
