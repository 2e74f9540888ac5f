"""The API's document and its page, as the function answers them."""

import base64
import gzip
import json
import re

import pytest

from functions.api_docs.files import SITE
from functions.api_docs.handler import handler
from tests.support.api import Client
from tools.openapi.document import TARGET

DIRECTIVES = {f"{kind}-src" for kind in ("default", "script", "style", "img", "connect")} | {
    "base-uri",
    "form-action",
    "frame-ancestors",
}

ANYONE = Client(handler, user_id=None)


def test_the_document_is_the_committed_one_and_says_where_to_sign_in() -> None:
    answer = ANYONE.get("/api/v1/openapi.json")
    served = answer.json

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert served["components"]["securitySchemes"]["accessToken"].pop("x-cognito") == {
        "endpoint": "https://cognito-idp.us-east-1.amazonaws.com",
        "region": "us-east-1",
        "userPoolId": "us-east-1_orders",
        "clientId": "orders-client",
    }
    assert served == json.loads(TARGET.read_text())


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/docs", "/api/v1/docs/swagger-ui.js"])
def test_who_has_it_already_is_not_sent_it_again(path: str) -> None:
    first = ANYONE.get(path)
    again = ANYONE.get(path, {"If-None-Match": first.headers["etag"]})

    assert (again.status, again.text) == (304, "")
    assert again.headers["etag"] == first.headers["etag"]
    assert "max-age" in first.headers["cache-control"]


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    page = ANYONE.get("/api/v1/docs")

    assert page.headers["content-type"] == "text/html"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    sources = set(re.findall(r"[^ ;]+", policy)) - DIRECTIVES
    assert sources - {"'none'", "'self'", "'unsafe-inline'", "data:"} == {
        "https://cognito-idp.us-east-1.amazonaws.com"
    }
    assert "connect-src 'self' https://cognito-idp.us-east-1.amazonaws.com;" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0], "scripts come from files"
    assert "//" not in page.text


def test_everything_that_the_page_loads_is_here() -> None:
    page = ANYONE.get("/api/v1/docs")
    linked = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)

    assert len(linked) == 4
    for address in linked:
        answer = ANYONE.get(f"/api/v1/{address}")
        assert answer.status == 200
        assert answer.headers["content-type"] == (
            "text/css" if address.endswith(".css") else "text/javascript"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", SITE.assets)
def test_only_a_name_of_todays_content_may_be_kept_for_ever(name: str) -> None:
    stem, _, suffix = name.rpartition(".")
    digest = SITE.versioned(name).removeprefix(f"{stem}.").removesuffix(f".{suffix}")
    current = ANYONE.get(f"/api/v1/docs/{SITE.versioned(name)}")
    assert "immutable" in current.headers["cache-control"]
    for other in (name, f"{stem}.{digest[::-1]}.{suffix}", f"{stem}.{'0' * 32}.{suffix}"):
        answer = ANYONE.get(f"/api/v1/docs/{other}")
        assert (answer.status, answer.text) == (200, current.text)
        assert answer.headers["cache-control"] == "public, max-age=300"


def test_the_page_itself_is_asked_for_again_after_a_deploy() -> None:
    for path in ("/api/v1/docs", "/api/v1/openapi.json"):
        assert ANYONE.get(path).headers["cache-control"] == "public, max-age=300"


def test_the_page_keeps_its_token_in_memory_only() -> None:
    script = ANYONE.get("/api/v1/docs/start.js").text

    assert "preauthorizeApiKey" in script
    assert not re.search("localStorage|sessionStorage|cookie|persistAuthorization|indexedDB", script)


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/docs", "/api/v1/docs/page.css"])
def test_head_of_what_is_served_has_its_length_and_its_tag(path: str) -> None:
    get, head = ANYONE.get(path), ANYONE.call("HEAD", path)

    assert (head.status, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(get.text.encode()))
    assert head.headers["etag"] == get.headers["etag"]


def test_big_files_are_compressed_for_those_who_can_read_it() -> None:
    answer = ANYONE.get("/api/v1/docs/swagger-ui.js", {"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    plain = ANYONE.get("/api/v1/docs/swagger-ui.js").text
    assert gzip.decompress(base64.b64decode(answer.text)).decode() == plain


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "index.html",
        "handler.py",
        "start.00000000.js",
        "handler.00000000000000000000000000000000.py",
        "..%2Fhandler.py",
        "start.js ",
        "«",
    ],
)
def test_nothing_else_of_the_package_is_served(name: str) -> None:
    assert ANYONE.get(f"/api/v1/docs/{name}").status == 404


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/order", "/api/v1/orders/1/2", "/api/v1/orders/"])
def test_an_address_that_the_api_does_not_have_is_answered_as_a_problem(path: str) -> None:
    answer = ANYONE.get(path)

    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json["type"].endswith("/not-found")
    assert answer.json["instance"] == path
    assert answer.headers["x-correlation-id"] == answer.json["correlationId"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/products/1", "GET"),
        ("DELETE", "/api/v1/products", "HEAD"),
        ("PUT", "/api/v1/orders/1", "GET"),
        ("TRACE", "/api/v1/orders/1/status", "GET"),
        ("POST", "/api/v1/docs", "GET"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_answered_with_those_it_does(
    method: str, path: str, allowed: str
) -> None:
    answer = ANYONE.call(method, path)

    assert answer.status == 405
    assert allowed in answer.headers["allow"].split(", ")
    assert method not in answer.headers["allow"].split(", ")
    assert answer.json["type"].endswith("/method-not-allowed")


def test_head_is_not_allowed_where_get_is_not() -> None:
    answer = ANYONE.call("HEAD", "/api/v1/webhooks/1/secret")

    assert (answer.status, answer.headers["allow"], answer.text) == (405, "POST", "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/v1/admin/queues", 405),
        ("PUT", "/api/v1/admin/products/1", 405),
        ("GET", "/api/v1/admin/orders/1/resume", 405),
        ("POST", "/api/v1/health/detailed", 405),
        ("GET", "/api/v1/admin/queues/", 404),
        ("GET", "/api/v1/admin/products/1/", 404),
        ("GET", "/api/v1/admin/nothing", 404),
        ("GET", "/api/v1/admin/", 404),
        ("GET", "/api/v1/health/detailed/", 404),
    ],
)
@pytest.mark.parametrize(
    "caller",
    [ANYONE, Client(handler), Client(handler, groups="[admin]")],
    ids=["anonymous", "customer", "administrator"],
)
def test_what_is_no_route_of_administrators_is_told_to_everybody_alike(
    caller: Client, method: str, path: str, status: int
) -> None:
    """The gateway checks no token where there is no route, so nobody is known there, not even an administrator."""
    answer = caller.call(method, path)

    assert answer.status == status
    assert ("allow" in answer.headers) == (status == 405)
