"""The `webhooks` of the document: what customers' own servers are sent."""

from typing import Any, Final

from functions.deliver_webhooks.webhook_request import RefundedOrder, WebhookBody
from orders.events import OrderEnded, OrderRefunded
from tools.openapi.examples import ENDED_AT, EVENT_ID, ORDER_ID
from tools.openapi.schemas import example, tidy

_REASONS: Final = {"CANCELLED": "PAYMENT_DECLINED", "NEEDS_REVIEW": "PROCESSING_FAILED"}

_HEADERS: Final = {
    "webhook-id": ("The event's `id`, the same in every attempt: deduplicate by it", EVENT_ID),
    "webhook-timestamp": ("When this attempt was sent, in seconds since 1970", "1795601732"),
    "webhook-signature": (
        "`v1,` and an HMAC-SHA256 in base64 over id, timestamp and body, for each valid secret",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
"""Standard Webhooks: their meaning, and what they look like."""

_Kind = type[OrderEnded] | type[OrderRefunded]


def webhook_schemas(reference: str) -> dict[str, Any]:
    """The components that the webhooks need: the common event, and one schema for each type."""
    body = WebhookBody.model_json_schema(mode="serialization", ref_template=reference)
    parts: dict[str, Any] = body.pop("$defs")
    return (
        parts | {WebhookBody.__name__: body} | {_schema(kind): _typed(kind, reference) for kind in _kinds()}
    )


def webhooks(schemas: dict[str, Any]) -> dict[str, Any]:
    """By name, e.g. `orderConfirmed`."""
    return {_name(kind): {"post": _operation(kind, schemas)} for kind in _kinds()}


def _kinds() -> list[_Kind]:
    return [*OrderEnded.__subclasses__(), OrderRefunded]


def _name(kind: _Kind) -> str:
    return kind.__name__[0].lower() + kind.__name__[1:]


def _schema(kind: _Kind) -> str:
    return f"{kind.__name__}Event"


def _typed(kind: _Kind, reference: str) -> dict[str, Any]:
    said = {
        "type": "object",
        "properties": {
            "type": {"const": kind.type},
            "data": {"type": "object", "properties": {"status": {"const": kind.status.value}}},
        },
    }
    return {
        "description": kind.__doc__,
        "allOf": [{"$ref": reference.format(model=WebhookBody.__name__)}, said],
    }


def _operation(kind: _Kind, schemas: dict[str, Any]) -> dict[str, Any]:
    event = example(schemas[WebhookBody.__name__], schemas, WebhookBody.__name__)
    event |= {"id": EVENT_ID, "type": kind.type, "subject": ORDER_ID, "time": ENDED_AT}
    if issubclass(kind, OrderRefunded):
        event["data"] = example(schemas[RefundedOrder.__name__], schemas, RefundedOrder.__name__)
    else:
        event["data"] |= {"failureReason": _REASONS.get(kind.status)}
    event["data"] |= {"status": kind.status.value}
    return {
        "operationId": _name(kind),
        "summary": kind.type,
        "description": f"{kind.__doc__} Verify the signature with a library of Standard Webhooks before you read the "
        "body.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": said,
                "schema": {"type": "string"},
                "example": value,
            }
            for name, (said, value) in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{_schema(kind)}"},
                    "example": tidy(event),
                }
            },
        },
        "responses": {
            "2XX": {"description": "It has arrived. Respond within ten seconds, and do the work afterwards"},
            "410": {"description": "Nothing more is to be sent here: the webhook is disabled"},
            "default": {"description": "It is sent again, for a day"},
        },
    }
