"""Names that the code and its deployment share: `infra` imports them from here. Standard library only."""

from typing import Final

API_PREFIX: Final = "/api/v1"

ADMIN_GROUP: Final = "admin"
"""The group, in the user pool, of those who operate the system."""

PRIORITY_GROUP: Final = "priority"
"""The group of those whose orders may be urgent. Administrators need not be in it."""
MAX_RECEIVE_COUNT: Final = 5
"""Deliveries before a message counts as poison, unless its consumer says so at its first look."""


class Metric:
    """The metrics. Functions count them, alarms watch some of them."""

    ORDERS_ACCEPTED: Final = "OrdersAccepted"
    ORDERS_CONFIRMED: Final = "OrdersConfirmed"
    ORDERS_CANCELLED: Final = "OrdersCancelled"
    ORDERS_NEEDING_REVIEW: Final = "OrdersNeedingReview"
    OUTBOX_PUBLISHED: Final = "OutboxPublished"
    OUTBOX_RETRIED: Final = "OutboxRetried"
    OUTBOX_DEAD: Final = "OutboxDead"
    OUTBOX_LAG: Final = "OutboxLag"
    """Milliseconds from commit to SQS, of the oldest event in a batch."""
    NOTIFICATIONS_SENT: Final = "NotificationsSent"
    NOTIFICATIONS_FAILED: Final = "NotificationsFailed"
    NOTIFICATIONS_UNCERTAIN: Final = "NotificationsUncertain"
    """The sender died between sending and recording it: an operator decides."""
    SAGAS_RESUMED: Final = "SagasResumed"
    RESERVATIONS_EXPIRED: Final = "ReservationsExpired"
    PAYMENTS_SETTLED: Final = "PaymentsSettled"
    """Payments whose record was brought in line with the gateway's."""
    PAYMENTS_GIVEN_BACK: Final = "PaymentsGivenBack"
    """Captures found on cancelled orders, and refunded."""
    PAYMENT_CONFLICTS: Final = "PaymentConflicts"
    """Our record and the gateway's disagree, and no rule says who is right: an operator decides."""
    ROWS_REMOVED: Final = "RowsRemoved"
    MAINTENANCE_FAILED: Final = "MaintenanceFailed"
    LOW_STOCK_ALERTS: Final = "LowStockAlerts"
    CIRCUIT_OPENED: Final = "CircuitOpened"
    CIRCUIT_CLOSED: Final = "CircuitClosed"
    CIRCUIT_REFUSED: Final = "CircuitRefused"
    """Calls to the payment gateway that were not made, because its circuit was open."""
    OPERATOR_ACTIONS: Final = "OperatorActions"
    """What an operator asked for, each time it was begun."""
    WEBHOOKS_DELIVERED: Final = "WebhooksDelivered"
    WEBHOOK_ATTEMPTS_FAILED: Final = "WebhookAttemptsFailed"
    WEBHOOKS_POSTPONED: Final = "WebhooksPostponed"
    """Attempts put off, because their endpoint has as many under way as one may have."""
    WEBHOOKS_DISABLED: Final = "WebhooksDisabled"
    """Endpoints that nothing is sent to any more; the table `webhook_endpoints` says why."""
