"""The events are a contract with consumers that are deployed apart from us: their schemas are committed.

A change shows up here. If old consumers can live with it, update the snapshot; if they cannot, it is a new version of
the type.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orders.domain import FailureReason, Notification
from orders.events import (
    CATALOGUE,
    CloudEvent,
    ConfirmationCodeRequested,
    EventData,
    InventoryReserved,
    NotificationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderRefunded,
    OrderReviewRequired,
    PaymentCaptured,
    PaymentRefunded,
    Queue,
    RefundRequested,
    WebhookAttemptScheduled,
)
from orders.ids import uuid7

SCHEMAS = Path(__file__).parent / "event_schemas"

ENDED: dict[str, Any] = {
    "total_amount": 2500,
    "currency": "USD",
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
}

EXAMPLES: dict[str, EventData] = {
    example.type: example
    for example in (
        OrderCreated(total_amount=2500, currency="USD"),
        RefundRequested(refund_id=uuid7()),
        NotificationRequested(notification=Notification.PAYMENT_FAILED),
        ConfirmationCodeRequested(version=1),
        PaymentCaptured(amount=2500, currency="USD"),
        PaymentRefunded(amount=2500, currency="USD"),
        InventoryReserved(ttl_seconds=900),
        OrderConfirmed(failure_reason=None, **ENDED),
        OrderCancelled(failure_reason=FailureReason.PAYMENT_DECLINED, **ENDED),
        OrderReviewRequired(failure_reason=FailureReason.PROCESSING_FAILED, **ENDED),
        OrderRefunded(refund_id=uuid7(), amount=1250, refunded_amount=1250, **ENDED),
        WebhookAttemptScheduled(delivery_id=uuid7(), attempt=2, postponed=1),
    )
}

MODELS: dict[str, type[CloudEvent] | type[EventData]] = {**CATALOGUE, "cloudevent": CloudEvent}


def committed(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return schema


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_schema_is_the_committed_one(name: str) -> None:
    assert MODELS[name].model_json_schema(by_alias=True) == committed(name)


def test_there_is_no_schema_of_an_event_that_does_not_exist() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(MODELS)


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
def test_what_we_write_fits_the_committed_schema(event_type: str) -> None:
    data = EXAMPLES[event_type].model_dump(mode="json", by_alias=True)
    jsonschema.validate(data, committed(event_type), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
def test_an_event_goes_to_one_of_the_queues_under_a_versioned_name(event_type: str) -> None:
    assert CATALOGUE[event_type].queue in Queue
    assert event_type.startswith("com.orders.")
    assert event_type.rsplit(".", 1)[1].removeprefix("v").isdigit()


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
def test_no_event_carries_personal_data(event_type: str) -> None:
    names = " ".join(committed(event_type)["properties"]).lower()
    assert not any(word in names for word in ("email", "phone", "contact", "address", "name", "card"))
