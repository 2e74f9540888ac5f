"""What the document's examples say: orders of the local cloud's own catalogue, as its responses show them.

A key is a field's name, or `Schema.field` where the field says something else in that schema; or an operation, for a
whole body.
"""

import base64
from typing import Any, Final

from orders.domain import FORWARD_STEPS
from orders.events import SOURCE, OrderConfirmed, OrderCreated
from tools.cloud.catalogue import CURRENCY, KEYBOARD, MOUSE

ORDER_ID: Final = "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10"
REFUND_ID: Final = "0198f4b2-1d3e-7a61-8c2f-5b4a3c2d1e0f"
EVENT_ID: Final = "0198f3a1-84a0-7c3e-8f00-1a2b3c4d5e6f"
CORRELATION_ID: Final = "0198f3a1-7c1c-7d21-a5b4-6c7d8e9f0a1b"
PLACED_AT: Final = "2026-11-24T10:15:30.123456Z"
ENDED_AT: Final = "2026-11-24T10:15:31.987654Z"
POSSIBLE_UNTIL: Final = "2026-11-24T10:45:31.987654Z"
"""Half an hour after the order's confirmation, which is its end."""
_ADMINISTRATOR: Final = "b4c8d4e8-6011-70d5-8f2e-0d6b1c2a3f4e"
CUSTOMER: Final = "c7e1f2a4-3011-70b8-5d6f-9a8b7c6d5e4f"
"""The id of an account: the `sub` of its tokens."""
_DAMAGED: Final = "Damaged in the warehouse"

_ORDERED: Final = ((KEYBOARD, 1), (MOUSE, 2))
_LINES: Final = [{"productId": str(product.id), "quantity": quantity} for product, quantity in _ORDERED]
_LINES_SOLD: Final = [
    {
        "productId": str(product.id),
        "productName": product.name,
        "quantity": quantity,
        "unitPrice": product.unit_price,
    }
    for product, quantity in _ORDERED
]
TOTAL: Final = sum(product.unit_price * quantity for product, quantity in _ORDERED)
# Nobody's, and well-formed.
_SECRET: Final = f"whsec_{base64.b64encode(b'an example, which is no secret').decode()}"

_STEPS: Final = [
    {"name": step.value, "status": "SUCCEEDED", "at": f"2026-11-24T10:15:{30.5 + number / 4:09.6f}Z"}
    for number, step in enumerate(FORWARD_STEPS)
]
_RUNNING: Final = {"status": "RUNNING", "stoppedAt": None, "error": None}

EXAMPLES: Final[dict[str, Any]] = {
    "productId": str(KEYBOARD.id),
    "customerId": CUSTOMER,
    "LogLine.message": "Step done",
    "Product.name": KEYBOARD.name,
    "StockedProduct.name": KEYBOARD.name,
    "unitPrice": KEYBOARD.unit_price,
    "currency": CURRENCY,
    "available": 99_990,
    "stocked": 100_000,
    "reserved": 3,
    "sold": 7,
    "lowStockThreshold": 10,
    "ProductChange.name": "Mechanical keyboard, quiet",
    "ProductChange.unitPrice": 13_900,
    "nextCursor": None,
    # An order, from its request to its end
    "orderId": ORDER_ID,
    "PlaceOrder.items": _LINES,
    "PlaceOrder.expectedTotalAmount": TOTAL,
    "OrderDetail.items": _LINES_SOLD,
    "OrderRecords.items": _LINES_SOLD,
    "Accepted.items": _LINES_SOLD,
    "itemCount": len(_LINES),
    "totalAmount": TOTAL,
    "OrderAccepted.status": "PENDING",
    "OrderDetail.status": "CONFIRMED",
    "OrderSummary.status": "CONFIRMED",
    "OrderProgress.status": "CONFIRMED",
    "failureReason": None,
    "progress": 100,
    "OrderProgress.steps": _STEPS,
    "OrderProgress.nextAction": None,
    "createdAt": PLACED_AT,
    "updatedAt": ENDED_AT,
    "queuedAt": ENDED_AT,
    "sentAt": "2026-11-24T10:15:32.345678Z",
    # Its cancellation
    "OrderDetail.cancellation": {
        "possible": True,
        "possibleUntil": POSSIBLE_UNTIL,
        "requestedAt": None,
        "outcome": None,
        "refundId": None,
    },
    "possible": True,
    "possibleUntil": POSSIBLE_UNTIL,
    "requestedAt": ENDED_AT,
    "outcome": "CANCELLING",
    "CancellationAccepted.status": "PROCESSING",
    "CancellationAccepted.refundId": None,
    "OrderRecords.cancellation": None,
    # Webhooks
    "WebhookBody.source": SOURCE,
    "url": "https://shop.example.com/hooks/orders",
    "description": "The shop's warehouse",
    "secret": _SECRET,
    "disabledReason": None,
    "disabledAt": None,
    "previousSecretExpiresAt": "2026-11-25T10:15:30.123456Z",
    "eventId": EVENT_ID,
    "eventType": OrderConfirmed.type,
    "Delivery.status": "DELIVERED",
    "lastStatus": 204,
    "lastError": None,
    "nextAttemptAt": None,
    "deliveredAt": "2026-11-24T10:15:32.456789Z",
    # Recipients
    "Recipient.confirmedAt": None,
    "codeExpiresAt": "2026-11-24T10:25:30.123456Z",
    # Administration
    "StockMovement.kind": "ADJUSTED",
    "StockMovement.quantity": -3,
    "StockMovement.orderId": None,
    "actor": _ADMINISTRATOR,
    "operator": _ADMINISTRATOR,
    "reason": _DAMAGED,
    "note": "the provider's maintenance is over",
    "visible": 0,
    "inFlight": 0,
    "delayed": 0,
    "messageId": "0d5c1a52-6f0e-4c0b-9d57-3a3f5f3c8a11",
    "originalMessageId": "6e6b1f4e-54b1-4f6c-8f0f-6c1f0d2b9a77",
    "DeadMessage.body": '{"specversion": "1.0", "type": "com.orders.order.created.v1", "data": "object of 2 fields"}',
    "size": 412,
    "ageSeconds": 86_400,
    "deliveries": 5,
    "received": 5,
    "DeadMessage.eventType": OrderCreated.type,
    "orderStatus": "PENDING",
    "correlationId": CORRELATION_ID,
    "cause": "CONSUMER_FAILED",
    "explanation": "Its consumer failed each time; what it does is safe to repeat",
    "DeadMessage.errors": ["DatabaseUnavailable"],
    "moved": 1,
    "failed": 0,
    "more": False,
    "TimelineItem.kind": "order",
    "TimelineItem.title": "Order accepted",
    "TimelineItem.status": "CONFIRMED",
    "AdminOrder.status": "NEEDS_REVIEW",
    "OrderRecords.status": "NEEDS_REVIEW",
    "AdminOrder.failureReason": "PROCESSING_FAILED",
    "OrderRecords.failureReason": "PROCESSING_FAILED",
    "StepRecord.status": "FAILED",
    "StepRecord.error": "PaymentGatewayTimeout",
    "StepRecord.name": "ProcessPayment",
    "PaymentRecord.status": "UNKNOWN",
    "amount": TOTAL,
    "captured": 0,
    "refunded": 0,
    "providerKey": ORDER_ID,
    "providerPaymentId": None,
    "ReservationRecord.status": "RELEASED",
    "expiresAt": "2026-11-24T10:30:30.123456Z",
    "EventRecord.type": OrderCreated.type,
    # Refunds
    "refundId": REFUND_ID,
    "OrderDetail.refunds": [],
    "refundedAmount": 0,
    "RefundedOrder.refundedAmount": MOUSE.unit_price,
    "RefundedOrder.amount": MOUSE.unit_price,
    "RefundRecord.amount": MOUSE.unit_price,
    "RefundRecord.lines": [{"productId": str(MOUSE.id), "quantity": 1}],
    "RefundRecord.reason": "arrived broken",
    "RefundRecord.status": "REQUESTED",
    "RefundRecord.restock": True,
    "RefundRecord.executions": 1,
    "requestedBy": _ADMINISTRATOR,
    "providerRefundId": None,
    "providerDisputeId": "dp_1SXz5mKZ2eXy7QaB",
    "refundedAt": None,
    "restockedAt": None,
    "completedAt": None,
    "ResumedRefund.execution": f"refund-{REFUND_ID}-r1",
    "NotificationRecord.refundId": None,
    "NotificationDelivery.refundId": None,
    "StockMovement.refundId": None,
    "OrderRecords.refunds": [],
    "returned": 0,
    "EventRecord.status": "PUBLISHED",
    "publishedAt": "2026-11-24T10:15:30.234567Z",
    "NotificationRecord.type": "payment_failed",
    "NotificationRecord.status": "SENT",
    "providerId": "9d1f6c2e-5d0b-4f8e-a1c3-2b7e4f6a8c90",
    "error": None,
    "repairs": [],
    "OrderRecords.actions": [],
    "OrderReport.actions": ["resume"],
    "GatewayRecord.status": "UNAVAILABLE",
    "OrderReport.execution": {
        "name": ORDER_ID,
        "startedAt": PLACED_AT,
        "status": "FAILED",
        "stoppedAt": ENDED_AT,
        "error": "PaymentGatewayTimeout",
    },
    "ReviewAdvice.reasons": [
        {
            "code": "MONEY_UNKNOWN",
            "text": "money: the payment is UNKNOWN: nobody knows yet whether it was captured",
            "blocks": ["CONFIRMED", "CANCELLED"],
            "lines": [],
            "amount": None,
        },
        {
            "code": "GATEWAY_UNAVAILABLE",
            "text": "money: the payment gateway does not answer, and its record counts",
            "blocks": ["CONFIRMED", "CANCELLED"],
            "lines": [],
            "amount": None,
        },
        {
            "code": "EXECUTIONS_FAILED",
            "text": "executions: none of 1 came to an end, the last one is FAILED: PaymentGatewayTimeout",
            "blocks": [],
            "lines": [],
            "amount": None,
        },
    ],
    "ReviewAdvice.suggested": "wait",
    "DeadEvent.type": OrderCreated.type,
    "DeadEvent.lastError": "InvalidMessageContents",
    "execution": {"name": ORDER_ID, "startedAt": PLACED_AT, **_RUNNING},
    "userId": CUSTOMER,
    "ordersErased": 3,
    "ordersLeft": 0,
    "webhooksRemoved": 1,
    "Resumed.execution": f"{ORDER_ID}-1",
    "Resumed.status": "NEEDS_REVIEW",
    "Closed.status": "CANCELLED",
    "Closing.status": "CANCELLED",
    "ExecutionReport.name": ORDER_ID,
    "ExecutionReport.status": "SUCCEEDED",
    "startedAt": PLACED_AT,
    "stoppedAt": ENDED_AT,
    "StateVisit.state": "VerifyStock",
    "enteredAt": PLACED_AT,
    "exitedAt": "2026-11-24T10:15:30.500000Z",
    "StateVisit.errors": [],
    "GET /health/ready": {"status": "ready"},
    "GET /openapi.json": {"openapi": "3.1.0"},
    "GET /docs": "<!DOCTYPE html>…",
    "GET /docs/{asset}": "…",
}
