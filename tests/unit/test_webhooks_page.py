"""docs/webhooks.md is what customers build on: its example runs, and its tables leave nothing out."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from functions.deliver_webhooks import attempts, schedule
from functions.deliver_webhooks.webhook_request import WebhookBody, headers_of
from functions.webhooks import delivery_history, endpoints
from infra.stages import PROD
from orders.events import OrderCancelled, OrderConfirmed, OrderReviewRequired
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import MAX_WEBHOOKS, TEST_EVENT_TYPE, DeliveryError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
ENDPOINT = UUID("018f3f7e-0000-7000-8000-000000000001")


def block(language: str) -> str:
    """The page's one example in a language."""
    (example,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(example)


def test_the_example_of_a_receiver_takes_what_is_ours_once_and_refuses_the_rest() -> None:
    worked_on: list[Any] = []
    seen: set[str] = set()

    def seen_before(webhook_id: str) -> bool:
        known = webhook_id in seen
        seen.add(webhook_id)
        return known

    receiver: dict[str, Any] = {"seen_before": seen_before, "work_on_later": worked_on.append}
    exec(block("python"), receiver)
    receive = receiver["receive"]
    body = block("json")
    event = json.loads(body)
    secret = SigningKeys(lambda: "k" * 64).secret(ENDPOINT, 1)
    headers = headers_of(UUID(event["id"]), body, [secret], datetime.now(UTC))

    assert receive(secret, headers, body.encode()) == 204
    assert receive(secret, headers, body.encode()) == 204
    assert receive(secret, headers, body.replace("2500", "1").encode()) == 400
    assert worked_on == [event]


def test_the_example_of_a_body_is_what_is_sent() -> None:
    example = json.loads(block("json"))

    assert json.loads(WebhookBody.model_validate(example).model_dump_json(by_alias=True)) == example


def test_every_event_and_every_error_is_explained() -> None:
    for event in (OrderConfirmed, OrderCancelled, OrderReviewRequired):
        assert f"| `{event.type}` |" in PAGE
    assert f"| `{TEST_EVENT_TYPE}` |" in PAGE
    for error in DeliveryError:
        assert f"`{error}`" in PAGE


def test_the_numbers_are_those_of_production() -> None:
    waits = {5: "5 s", 30: "30 s", 300: "5 min", 1_800: "30 min", 7_200: "2 h", 18_000: "5 h", 28_800: "8 h"}
    said = [waits[int(wait)] for wait in PROD.webhook_retry_seconds]

    assert f"{', '.join(said[:-1])} and {said[-1]}" in PAGE
    assert MAX_WEBHOOKS == 5
    assert "You may have five webhooks" in PAGE
    assert attempts.MAX_UNDER_WAY == attempts.MAX_UNDER_WAY_SLOW_OF_OWNER == 2
    assert attempts.MAX_UNDER_WAY_SLOW == 1
    assert attempts.SLOW_SECONDS == 2
    assert "At most two calls to one webhook are under way at one time" in PAGE
    assert schedule.LONGEST_RETRY_AFTER_SECONDS == 12 * 3600
    assert schedule.LATEST == 1.5
    assert "after 12 hours at the latest, and no later than a day and a half after its first attempt" in PAGE
    assert (delivery_history.TEST_BURST, delivery_history.TEST_INTERVAL_SECONDS) == (10, 6)
    assert "ten tests to a webhook at once, and then one every six seconds" in PAGE
    assert endpoints.MAX_SECRETS == 10
    assert "Ten are signed with at most" in PAGE
