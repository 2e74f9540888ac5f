"""What the functions are asked: API Gateway's events, and the state machine's input."""

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from orders.contract import API_PREFIX
from orders.ids import uuid7
from orders.tracing import new_traceparent
from tools.bench.volume import CURRENCY
from tools.http_event import http_event

USER: Final = "user-of-the-benchmarks"


def post_order(
    products: Sequence[UUID], *, payment_method: str = "pm_card_visa", user_id: str = USER
) -> dict[str, Any]:
    """`POST /orders` for one of each product, under a new key."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    body = json.dumps(order(products, payment_method))
    return http_event("POST", f"{API_PREFIX}/orders", body=body, headers=headers, user_id=user_id)


def order(products: Sequence[UUID], payment_method: str) -> dict[str, Any]:
    """The body of that."""
    return {
        "items": [{"productId": str(product_id), "quantity": 1} for product_id in products],
        "currency": CURRENCY,
        "paymentMethod": payment_method,
        "contact": {"email": "somebody@example.com", "phone": "+34600123456", "locale": "en"},
    }


def get(path: str, user_id: str = USER) -> dict[str, Any]:
    """`GET` of a path under `/api/v1`."""
    return http_event("GET", f"{API_PREFIX}{path}", user_id=user_id)


def saga_step(order_id: str) -> dict[str, Any]:
    """The input of an execution, which every step gets."""
    return {"orderId": order_id, "correlationId": str(uuid7()), "traceparent": new_traceparent()}
