"""What the tests of `POST /orders` say often."""

from typing import Any
from uuid import uuid4

from tests.support.api import Answer, Client

PATH = "/api/v1/orders"


def post(client: Client, body: Any, *, key: str | None = None, **headers: str) -> Answer:
    """Posts an order under the key, or under one of its own. Header names take underscores for hyphens."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(PATH, body, {"Idempotency-Key": key or uuid4().hex, **extra})
