"""The API's page in a real browser, which is the only one who can say that it works."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from infra.constructs.api import ROUTES
from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tests.support.browser import executable

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        yield browser.new_page()
        browser.close()


def test_the_page_shows_every_operation_without_an_error_or_a_request_to_elsewhere(
    running_cloud: Cloud, page: Page
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{running_cloud.stack['api_url']}{API_PREFIX}/docs", timeout=PATIENCE_MS)
    page.wait_for_selector(".opblock", timeout=PATIENCE_MS)

    assert operations(page) == {f"{route.method.value} {API_PREFIX}{route.path}" for route in ROUTES}
    assert said == []
    host = urlsplit(running_cloud.stack["api_url"]).netloc
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {host}

    page.locator(".opblock-summary-path", has_text="/products").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.wait_for_selector(".responses-table.live-responses-table", timeout=PATIENCE_MS)
    assert page.locator(".live-responses-table .response-col_status").last.inner_text().startswith("200")
    assert said == []


def operations(page: Page) -> set[str]:
    """What the page shows, e.g. `GET /api/v1/products`."""
    shown = page.locator(".opblock .opblock-summary").all()
    assert all(operation.is_visible() for operation in shown)
    parts = [
        [operation.locator(f".opblock-summary-{part}").first.inner_text() for part in ("method", "path")]
        for operation in shown
    ]
    # Swagger UI lets long paths wrap at their slashes, with characters that nobody sees.
    return {" ".join(part).replace("\u200b", "") for part in parts}
