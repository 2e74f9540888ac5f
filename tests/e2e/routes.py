"""The CDK app's routes, for tests that go through all of them."""

import re
from collections.abc import Mapping
from uuid import uuid4

import httpx

from infra.constructs.api import ROUTES, Route
from orders.contract import API_PREFIX
from orders.http import ADMIN_PATHS
from orders.ids import uuid7
from tests.e2e.conftest import Cloud

BODIES = {
    "/recipients/{recipientId}/confirmation": {"code": "000000"},
    "/webhooks/{webhookId}": {"description": "The shop"},
}
"""Of routes that look at their body first: one that they take."""

PROTECTED = [route for route in ROUTES if not route.is_open]


def name_of(route: Route) -> str:
    return f"{route.method.value} {route.path}"


def is_for_administrators(route: Route) -> bool:
    return f"{API_PREFIX}{route.path}".startswith(ADMIN_PATHS)


def address(route: Route, variables: Mapping[str, str]) -> str:
    """The path with its variables filled in; those not given are ids of nothing."""
    return API_PREFIX + re.sub(r"{(\w+)}", lambda found: variables.get(found[1], str(uuid7())), route.path)


def send(
    http: httpx.Client,
    cloud: Cloud,
    route: Route,
    token: str | None,
    variables: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One request, with an empty JSON object where there may be a body, or the route's of `BODIES`."""
    return http.request(
        route.method.value,
        f"{cloud.stack['api_url']}{address(route, variables or {})}",
        headers={
            "Idempotency-Key": str(uuid4()),
            **({} if token is None else {"Authorization": f"Bearer {token}"}),
        },
        json=BODIES.get(route.path, {}) if route.method.value in {"POST", "PUT", "PATCH"} else None,
    )
