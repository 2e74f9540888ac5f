"""What an administrator does with one product."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from tests.support import factories
from tests.support.api import Answer, Client

PRODUCTS = "/api/v1/admin/products"


@dataclass(frozen=True)
class Product:
    """A product in the hands of an administrator."""

    admin: Client
    id: str

    @property
    def address(self) -> str:
        return f"{PRODUCTS}/{self.id}"

    @property
    def now(self) -> dict[str, Any]:
        """As it is."""
        found: dict[str, Any] = self.admin.get(self.address).json
        return found

    @property
    def tag(self) -> str:
        return self.admin.get(self.address).headers["etag"]

    @property
    def movements(self) -> list[dict[str, Any]]:
        """The newest hundred, newest first."""
        found: list[dict[str, Any]] = self.admin.get(f"{self.address}/movements?limit=100").json["items"]
        return found

    @property
    def to_order(self) -> factories.Product:
        """The same for whoever orders it."""
        now = self.now
        return factories.Product(UUID(self.id), now["name"], now["unitPrice"], now["currency"])

    def change(self, if_match: str | None, **change: Any) -> Answer:
        return self.admin.patch(self.address, change, {} if if_match is None else {"If-Match": if_match})

    def adjust(self, delta: Any, reason: Any = "Counted", key: str | None = None) -> Answer:
        return self.admin.post(
            f"{self.address}/stock-adjustments",
            {"delta": delta, "reason": reason},
            {"Idempotency-Key": key or uuid4().hex},
        )
