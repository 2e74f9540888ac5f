"""The console's files, as the function returns them."""

import base64
import gzip
import html
import json
import re

import pytest

from functions.console.handler import SITE, handler
from functions.console.settings import Settings
from infra.saga_definition import SOURCE
from tests.support.api import Client

ANYONE = Client(handler, user_id=None)
PAGE = "/api/v1/console"
COGNITO = "https://cognito-idp.us-east-1.amazonaws.com"

IMPORT = re.compile(r'\b(?:from\s*|import\()"([\w./@-]+)"')


def configuration_of(page: str) -> dict[str, str | None]:
    """What the page is told of its stage."""
    found = re.search(r'<meta name="configuration" content="([^"]*)">', page)
    assert found
    told: dict[str, str | None] = json.loads(html.unescape(found[1]))
    return told


def test_the_page_knows_where_to_sign_in_and_where_executions_are() -> None:
    assert configuration_of(ANYONE.get(PAGE).text) == {
        "endpoint": COGNITO,
        "region": "us-east-1",
        "userPoolId": "us-east-1_orders",
        "clientId": "orders-client",
        "loginDomain": None,
        "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:orders-test-order-saga",
    }


def test_nothing_runs_or_styles_the_page_but_files_of_this_api() -> None:
    page = ANYONE.get(PAGE)

    assert page.headers["content-type"] == "text/html"
    policy = {
        directive: sources
        for directive, *sources in (
            part.split() for part in page.headers["content-security-policy"].split(";")
        )
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", COGNITO]
    for directive in ("frame-ancestors", "base-uri", "form-action", "trusted-types"):
        assert policy[directive] == ["'none'"]
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", page.text)


def test_a_login_domain_is_told_to_the_page_and_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGIN_DOMAIN", "https://orders.auth.us-east-1.amazoncognito.com")
    settings = Settings.from_environment()

    assert json.loads(settings.configuration)["loginDomain"] == settings.login_domain
    assert f"connect-src 'self' {COGNITO} {settings.login_domain};" in settings.page_policy


def test_there_is_no_link_to_executions_where_there_is_no_console_of_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    configuration = json.loads(Settings.from_environment().configuration)

    assert configuration["stateMachineArn"] is None
    assert configuration["endpoint"] == "http://127.0.0.1:4566"


def test_the_page_and_its_modules_load_only_what_may_be_kept_for_ever() -> None:
    wanted = re.findall(r'"(console/[^"]+)"', ANYONE.get(PAGE).text)
    seen: set[str] = set()
    while wanted:
        address = wanted.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = ANYONE.get(f"/api/v1/{address}")
        assert (answer.status, address) == (200, address)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if address.endswith(".js"):
            assert answer.headers["content-type"] == "text/javascript"
            imported = IMPORT.findall(answer.text)
            assert all(name.startswith("./") for name in imported), imported
            wanted += [name.replace("./", "console/") for name in imported]
    assert {address.removeprefix("console/") for address in seen} == {
        SITE.versioned(asset) for asset in SITE.assets
    }, "and nothing is shipped that nobody loads"


def test_the_saga_is_drawn_from_the_state_machine_itself() -> None:
    answer = ANYONE.get(f"{PAGE}/order_saga.asl.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.text == SOURCE.read_text()


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/start.js"])
def test_who_has_it_already_is_not_sent_it_again(path: str) -> None:
    first = ANYONE.get(path)
    again = ANYONE.get(path, {"If-None-Match": first.headers["etag"]})

    assert (again.status, again.text, again.headers["etag"]) == (304, "", first.headers["etag"])


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/console.css"])
def test_head_of_what_is_served_has_its_length_and_its_tag(path: str) -> None:
    get, head = ANYONE.get(path), ANYONE.call("HEAD", path)

    assert (head.status, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(get.text.encode()))
    assert head.headers["etag"] == get.headers["etag"]


def test_files_are_compressed_for_those_who_can_read_it() -> None:
    answer = ANYONE.get(f"{PAGE}/dagre.js", {"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    plain = ANYONE.get(f"{PAGE}/dagre.js").text
    assert gzip.decompress(base64.b64decode(answer.text)).decode() == plain


def test_a_page_from_before_a_deploy_still_finds_its_modules_for_a_while() -> None:
    answer = ANYONE.get(f"{PAGE}/start.{'0' * 32}.js")

    assert answer.text == ANYONE.get(f"{PAGE}/start.js").text
    assert answer.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize(
    "name", ["..", "index.html", "handler.py", "start.00000000.js", "..%2Fhandler.py", "«"]
)
def test_nothing_else_of_the_package_is_served(name: str) -> None:
    answer = ANYONE.get(f"{PAGE}/{name}")

    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_tokens_stay_in_memory() -> None:
    scripts = {name: path.read_text() for name, path in SITE.assets.items() if name.endswith(".js")}

    assert not [
        name for name, script in scripts.items() if re.search("localStorage|indexedDB|\\.cookie", script)
    ]
    kept = [line for line in scripts["sign_in.js"].splitlines() if "sessionStorage.setItem" in line]
    assert kept == [
        "  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, hash: location.hash }));"
    ], "only the verifier of a sign-in under way, which is of no use without its code"


def test_text_of_other_people_is_never_markup() -> None:
    ours = [path.read_text() for path in SITE.assets.values() if not path.is_symlink()]

    assert not [text for text in ours if re.search("innerHTML|outerHTML|insertAdjacent|document.write", text)]


def test_every_message_is_there_in_every_language() -> None:
    table = SITE.assets["messages.js"].read_text().partition("const MESSAGES")[2]
    messages = dict(re.findall(r"^  (\w+): (\[.*\]),$", table, re.MULTILINE))
    for key, texts in messages.items():
        english, spanish = json.loads(texts)
        assert sorted(re.findall(r"{\d}", english)) == sorted(re.findall(r"{\d}", spanish)), key
    used = {
        key
        for name, path in SITE.assets.items()
        if name.endswith(".js") and not path.is_symlink()
        for key in re.findall(r'\bt\("(\w+)"', path.read_text())
    }
    assert used <= messages.keys()
