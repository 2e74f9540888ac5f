"""A front end of another origin: what a browser lets its page send and read, and what HTTP says of that."""

import functools
import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import sync_playwright

from infra.constructs.api import ROUTES, Route
from tests.e2e.conftest import Cloud
from tests.e2e.routes import address, name_of
from tests.e2e.test_api import ORDER
from tests.support.browser import executable
from tools.cloud.stack import sign_in

PAGES = Path(__file__).parent / "clients"
PATIENCE_SECONDS = 150
"""The first order of a new cloud starts every function."""
ORIGIN = "http://localhost:5173"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    # As it is, and not compressed: lengths are compared.
    with httpx.Client(timeout=PATIENCE_SECONDS, headers={"Accept-Encoding": "identity"}) as client:
        yield client


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page_server() -> Iterator[int]:
    """The port of a server of static pages: another port is another origin."""
    handler = functools.partial(Quiet, directory=str(PAGES))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_signs_in_places_an_order_and_follows_it_to_its_end(
    running_cloud: Cloud, page_server: int, host: str
) -> None:
    stack = running_cloud.stack
    asked = {
        "api": stack["api_url"],
        "endpoint": stack["endpoint_url"],
        "client": stack["user_pool_client_id"],
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        page = browser.new_page()
        page.goto(f"http://{host}:{page_server}/shop.html?{urlencode(asked)}")
        page.get_by_label("E-mail").fill(stack["users"]["customer"]["email"])
        page.get_by_label("Password").fill(stack["users"]["customer"]["password"])
        page.get_by_role("button").click()
        page.wait_for_selector("li:has-text('end:')", timeout=PATIENCE_SECONDS * 1000)
        told = page.locator("li").all_inner_texts()
        browser.close()

    assert told == [
        "without a token: 401",
        "without items: 422 #/items",
        "placed: 202, correlation shop-0123456789",
        "again: 202, replayed true",
        "end: CONFIRMED",
    ]


def preflight(http: httpx.Client, cloud: Cloud, origin: str, route: Route) -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": route.method.value,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return http.options(f"{cloud.stack['api_url']}{address(route, {})}", headers=asked)


def test_a_preflight_of_any_route_needs_no_token(running_cloud: Cloud, http: httpx.Client) -> None:
    for route in ROUTES:
        answer = preflight(http, running_cloud, ORIGIN, route)

        assert (answer.status_code, answer.content) == (204, b""), name_of(route)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert route.method.value in answer.headers["access-control-allow-methods"].split(",")
        assert "idempotency-key" in answer.headers["access-control-allow-headers"].lower().split(",")


def test_a_page_may_read_every_answer_also_those_that_refuse(
    running_cloud: Cloud, http: httpx.Client
) -> None:
    url = f"{running_cloud.stack['api_url']}/api/v1"
    token = sign_in(running_cloud.settings, running_cloud.stack, "customer").access_token
    signed_in = {"Origin": ORIGIN, "Authorization": f"Bearer {token}"}
    answers = [
        http.get(f"{url}/products", headers={"Origin": ORIGIN}),
        http.get(f"{url}/orders", headers={"Origin": ORIGIN}),
        http.get(f"{url}/admin/queues", headers=signed_in),
        http.get(f"{url}/nowhere", headers={"Origin": ORIGIN}),
        http.put(f"{url}/products", headers={"Origin": ORIGIN}),
        http.post(f"{url}/orders", headers=signed_in, content=b"x" * 100_000),
        http.post(f"{url}/orders", headers={**signed_in, "Content-Type": "text/plain"}, content=b"x"),
        http.post(f"{url}/orders", headers=signed_in, json={}),
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 403, 404, 405, 413, 415, 422]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in answer.headers["vary"]
        exposed = answer.headers["access-control-expose-headers"].lower().split(",")
        assert {"location", "etag", "retry-after", "x-correlation-id", "idempotency-replayed"} <= set(exposed)
        assert "access-control-allow-credentials" not in answer.headers
        if answer.status_code != 401:  # that one is the gateway's own
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://evil.example:5173", "http://localhost.evil.example", "null"]
)
def test_a_page_of_a_foreign_origin_may_read_nothing(
    running_cloud: Cloud, http: httpx.Client, origin: str
) -> None:
    read = http.get(f"{running_cloud.stack['api_url']}/api/v1/products", headers={"Origin": origin})

    for answer in (read, preflight(http, running_cloud, origin, ROUTES[0])):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_get_answers_head_with_the_same_headers_to_the_same_callers(
    running_cloud: Cloud, http: httpx.Client
) -> None:
    token = sign_in(running_cloud.settings, running_cloud.stack, "admin").access_token
    for route in ROUTES:
        if route.method.value != "GET":
            continue
        url = f"{running_cloud.stack['api_url']}{address(route, {})}"
        for headers in ({"Authorization": f"Bearer {token}"}, {}):
            get, head = http.get(url, headers=headers), http.head(url, headers=headers)

            assert (head.status_code, head.content) == (get.status_code, b""), name_of(route)
            # What is counted or measured may be another one by now.
            volatile = {"date", "x-correlation-id", "x-amzn-requestid", "content-length", "etag"}
            assert {name for name in head.headers if name not in volatile} >= {
                name for name in get.headers if name not in volatile and "request" not in name
            }, name_of(route)
            if get.headers.get("etag"):
                assert head.headers["content-length"] == get.headers["content-length"], name_of(route)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_order_is_accepted_and_a_bomb_refused(
    running_cloud: Cloud, http: httpx.Client, coding: str
) -> None:
    codings: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
    compress = codings[coding]
    token = sign_in(running_cloud.settings, running_cloud.stack, "customer").access_token
    url = f"{running_cloud.stack['api_url']}/api/v1/orders"

    def post(content: bytes, coding: str) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": str(uuid4()),
            "Content-Type": "application/json",
            "Content-Encoding": coding,
        }
        return http.post(url, headers=headers, content=content)

    assert post(compress(json.dumps(ORDER).encode()), coding).status_code == 202
    assert post(compress(b" " * 10_000_000), coding).status_code == 413
    refused = post(b"x", "br")
    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "gzip, deflate")
