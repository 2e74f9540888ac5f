"""The API's page in a real browser, which is the only one who can say that it works."""

import itertools
import re
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from infra.constructs.api import DOCUMENTED
from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tests.support.browser import executable

PATIENCE_MS = 60_000
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def open_page(page: Page, cloud: Cloud) -> None:
    page.goto(f"{cloud.stack['api_url']}{API_PREFIX}/docs", timeout=PATIENCE_MS)
    page.wait_for_selector(".opblock", timeout=PATIENCE_MS)


def test_the_page_shows_every_operation_without_an_error_or_a_request_to_elsewhere(
    running_cloud: Cloud, page: Page
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))

    open_page(page, running_cloud)

    assert operations(page) == {f"{route.method.value} {API_PREFIX}{route.path}" for route in DOCUMENTED}
    assert said == []
    host = urlsplit(running_cloud.stack["api_url"]).netloc
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {host}

    page.locator(".opblock-summary-path", has_text="/products").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.wait_for_selector(".responses-table.live-responses-table", timeout=PATIENCE_MS)
    assert page.locator(".live-responses-table .response-col_status").last.inner_text().startswith("200")
    assert said == []


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_somebody_who_signs_in_on_the_page_places_an_order_at_the_first_try(
    running_cloud: Cloud, page: Page
) -> None:
    open_page(page, running_cloud)
    customer = running_cloud.stack["users"]["customer"]
    sign_in(page, customer["email"], "wrong")
    page.wait_for_selector("output.error", timeout=PATIENCE_MS)
    sign_in(page, customer["email"], customer["password"])
    page.wait_for_selector("output:has-text('Signed in as')", timeout=PATIENCE_MS)

    post = page.locator("#operations-Orders-postOrder")
    post.locator(".opblock-summary-control").click()
    post.get_by_role("button", name="Try it out").click()
    post.get_by_role("button", name="Execute").click()
    post.locator(".live-responses-table").wait_for(timeout=PATIENCE_MS)

    assert post.locator(".live-responses-table .response-col_status").last.inner_text().startswith("202")
    assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    page.get_by_role("button", name="Sign out").click()
    post.get_by_role("button", name="Execute").click()
    post.locator(".live-responses-table .response-col_status", has_text="401").wait_for(timeout=PATIENCE_MS)


def test_operations_are_found_by_their_path_and_their_name(running_cloud: Cloud, page: Page) -> None:
    open_page(page, running_cloud)

    for phrase, found in (
        ("stock-adj", {"/admin/products/{productId}/stock-adjustments"}),
        ("getProgress", {"/orders/{orderId}/status"}),
        ("how far an order", {"/orders/{orderId}/status"}),
        ("catalogue", {"/products", "/products/{productId}"}),
    ):
        page.get_by_placeholder(re.compile("Filter")).fill(phrase)
        page.wait_for_function(
            "count => document.querySelectorAll('.opblock-tag-section .opblock').length === count",
            arg=len(found),
        )
        assert {operation.split(API_PREFIX)[1] for operation in operations(page)} == found


def test_the_page_follows_the_theme_and_fits_its_width(running_cloud: Cloud, page: Page) -> None:
    open_page(page, running_cloud)
    post = page.locator("#operations-Orders-postOrder")
    post.locator(".opblock-summary-control").click()
    post.get_by_role("button", name="Try it out").click()

    for theme, width in itertools.product(THEMES, (375, 1280)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        # Bright text on a dark page, or the other way round.
        page.wait_for_function(
            "isDark => (getComputedStyle(document.querySelector('.swagger-ui .opblock-tag')).color"
            ".match(/[0-9]+/g).map(Number)[0] > 128) === isDark",
            arg=theme == "dark",
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)


def operations(page: Page) -> set[str]:
    """What the page shows, e.g. `GET /api/v1/products`."""
    shown = page.locator(".opblock-tag-section .opblock .opblock-summary").all()
    assert all(operation.is_visible() for operation in shown)
    parts = [
        [operation.locator(f".opblock-summary-{part}").first.inner_text() for part in ("method", "path")]
        for operation in shown
    ]
    # Swagger UI lets long paths wrap at their slashes, with characters that nobody sees.
    return {" ".join(part).replace("\u200b", "") for part in parts}
