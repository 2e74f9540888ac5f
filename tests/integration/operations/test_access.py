"""Operations are for operators: every route, read off the deployed table, refuses everybody else before it looks."""

import pytest

from tests.integration.operations.support import HANDLER
from tests.support.api import Client

ROUTES = (
    "GET /admin/queues",
    "GET /admin/dlqs/{queue}/messages",
    "POST /admin/dlqs/{queue}/redrive",
    "POST /admin/dlqs/{queue}/messages/{messageId}/discard",
    "GET /admin/orders",
    "GET /admin/orders/{orderId}",
    "GET /admin/orders/{orderId}/timeline",
    "POST /admin/orders/{orderId}/resume",
    "POST /admin/orders/{orderId}/close",
    "GET /admin/outbox",
    "POST /admin/outbox/redrive",
    "POST /admin/outbox/{eventId}/redrive",
    "POST /admin/outbox/{eventId}/discard",
    "GET /admin/payments",
    "GET /admin/webhooks",
    "GET /admin/orders/{orderId}/logs",
    "POST /admin/orders/{orderId}/notifications",
    "POST /admin/orders/{orderId}/deliveries/{deliveryId}/redeliver",
    "GET /admin/sagas/{orderId}",
    "GET /admin/stats",
    "GET /admin/suppressed-addresses",
    "GET /admin/suppressed-addresses/{address}",
    "DELETE /admin/suppressed-addresses/{address}",
    "GET /health/detailed",
)


@pytest.mark.parametrize("groups", [None, "[]", "[customers]", "[administrators]"])
@pytest.mark.parametrize("route", ROUTES)
def test_only_administrators_operate(route: str, groups: str | None) -> None:
    """Without a database: nobody looks into one."""
    stranger = Client(HANDLER, groups=groups)
    method, path = route.split()

    if method == "POST":
        answer = stranger.post(f"/api/v1{path}", {"note": "x"})
    else:
        answer = stranger.call(method, f"/api/v1{path}")

    assert answer.status == 403
    assert answer.json["type"].endswith("/administrators-only")
