"""The words of the business: order statuses, saga steps, reservations, payments. No I/O, no framework.

Money is an integer in minor units (cents) next to an ISO 4217 code, everywhere.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class OrderStatus(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    NEEDS_REVIEW = "NEEDS_REVIEW"

    @property
    def is_terminal(self) -> bool:
        """Whether the saga is over. NEEDS_REVIEW is: only an operator moves it on."""
        return self in TERMINAL_STATUSES


TERMINAL_STATUSES: Final = frozenset({OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.NEEDS_REVIEW})

LEGAL_TRANSITIONS: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PROCESSING}),
    OrderStatus.PROCESSING: TERMINAL_STATUSES,
    OrderStatus.CONFIRMED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    # By an operator only; the database asks for `orders.operator` to be set in the transaction.
    OrderStatus.NEEDS_REVIEW: frozenset(
        {OrderStatus.PROCESSING, OrderStatus.CONFIRMED, OrderStatus.CANCELLED}
    ),
}
"""Promise I7. A trigger on `orders` refuses every other change."""


class Priority(StrEnum):
    """How urgent an order's start is while others wait for theirs."""

    NORMAL = "normal"
    HIGH = "high"


class FailureReason(StrEnum):
    """Why an order was not confirmed, as operators read it."""

    INSUFFICIENT_STOCK = "INSUFFICIENT_STOCK"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    FRAUD_SUSPECTED = "FRAUD_SUSPECTED"
    PAYMENT_UNAVAILABLE = "PAYMENT_UNAVAILABLE"
    PAYMENT_NOT_COMPLETED = "PAYMENT_NOT_COMPLETED"
    """The customer had to act, e.g. to authenticate the payment, and did not in time."""
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    """By its owner, or for them by an administrator."""
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    PROCESSING_FAILED = "PROCESSING_FAILED"


class PublicFailureReason(StrEnum):
    """The same, as the order's owner reads it: nothing that tells a thief how they were found out."""

    INSUFFICIENT_STOCK = "INSUFFICIENT_STOCK"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    PAYMENT_UNAVAILABLE = "PAYMENT_UNAVAILABLE"
    PAYMENT_NOT_COMPLETED = "PAYMENT_NOT_COMPLETED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    PROCESSING_FAILED = "PROCESSING_FAILED"


def public_failure_reason(reason: str | None) -> PublicFailureReason | None:
    """What an order's owner is told in place of the order's failure reason."""
    if reason == FailureReason.FRAUD_SUSPECTED:
        return PublicFailureReason.PAYMENT_DECLINED
    return None if reason is None else PublicFailureReason(reason)


class SagaStep(StrEnum):
    """The states of the saga, named as in `statemachines/order_saga.asl.json`."""

    VERIFY_STOCK = "VerifyStock"
    RESERVE_INVENTORY = "ReserveInventory"
    PROCESS_PAYMENT = "ProcessPayment"
    WAIT_FOR_PAYMENT = "WaitForPayment"
    """Only if the customer must act before ProcessPayment goes on. It changes nothing, and is not in the journal."""
    CONFIRM_RESERVATION = "ConfirmReservation"
    SEND_CONFIRMATION = "SendConfirmation"
    COMPLETE_ORDER = "CompleteOrder"

    RESTORE_INVENTORY = "RestoreInventory"
    REFUND_PAYMENT = "RefundPayment"
    RELEASE_RESERVATION = "ReleaseReservation"
    SEND_CANCELLATION = "SendCancellation"
    MARK_CANCELLED = "MarkCancelled"


FORWARD_STEPS: Final = (
    SagaStep.VERIFY_STOCK,
    SagaStep.RESERVE_INVENTORY,
    SagaStep.PROCESS_PAYMENT,
    SagaStep.CONFIRM_RESERVATION,
    SagaStep.SEND_CONFIRMATION,
    SagaStep.COMPLETE_ORDER,
)

COMPENSATIONS: Final = (
    SagaStep.RESTORE_INVENTORY,
    SagaStep.REFUND_PAYMENT,
    SagaStep.RELEASE_RESERVATION,
    SagaStep.SEND_CANCELLATION,
    SagaStep.MARK_CANCELLED,
)
"""In the order in which they run: money and stock back first, then the customer is told, then the order is closed."""

COMPENSATED_BY: Final[Mapping[SagaStep, SagaStep]] = {
    SagaStep.RESERVE_INVENTORY: SagaStep.RELEASE_RESERVATION,
    SagaStep.PROCESS_PAYMENT: SagaStep.REFUND_PAYMENT,
    SagaStep.CONFIRM_RESERVATION: SagaStep.RESTORE_INVENTORY,
    SagaStep.SEND_CONFIRMATION: SagaStep.SEND_CANCELLATION,
    SagaStep.COMPLETE_ORDER: SagaStep.MARK_CANCELLED,
}

UNDOES: Final[Mapping[SagaStep, SagaStep]] = {undo: step for step, undo in COMPENSATED_BY.items()}


class RefundStep(StrEnum):
    """The states of a refund that call its function, named as in `statemachines/order_refund.asl.json`."""

    BEGIN_REFUND = "BeginRefund"
    REFUND_PAYMENT = "RefundPayment"
    RESTOCK_ITEMS = "RestockItems"
    SEND_REFUND_NOTICE = "SendRefundNotice"
    MARK_FOR_REVIEW = "MarkForReview"


class StepStatus(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """A business failure, recorded so that a repeated call fails the same way."""
    COMPENSATED = "COMPENSATED"
    """Succeeded, then undone."""
    FENCED = "FENCED"
    """Never happened and never may: its compensation came first."""


class StepOutcome(StrEnum):
    """What became of a step, as people read it; `orders.history` makes it of the journal's `StepStatus`."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    COMPENSATED = "COMPENSATED"
    """Succeeded, then undone."""
    FENCED = "FENCED"
    SKIPPED = "SKIPPED"
    """There was nothing to do: nothing to refund, nothing to release. Or the order was not cancelled."""


def progress(status: OrderStatus, succeeded: Collection[SagaStep]) -> int:
    """How far the order is, 0–100, from the forward steps that succeeded. A terminal order is at 100."""
    if status.is_terminal:
        return 100
    return 100 * sum(step in succeeded for step in FORWARD_STEPS) // len(FORWARD_STEPS)


class ReservationStatus(StrEnum):
    """One reservation is one order line. Only ACTIVE ones hold stock back from other buyers."""

    ACTIVE = "ACTIVE"
    CONFIRMED = "CONFIRMED"
    RELEASED = "RELEASED"
    RESTORED = "RESTORED"
    EXPIRED = "EXPIRED"


class MovementKind(StrEnum):
    """Why a product's stock changed. Those of orders are named by what became of the reservation."""

    RECEIVED = "RECEIVED"
    ADJUSTED = "ADJUSTED"
    """By an administrator, with a reason."""
    RESERVED = "RESERVED"
    CONFIRMED = "CONFIRMED"
    RELEASED = "RELEASED"
    RESTORED = "RESTORED"
    EXPIRED = "EXPIRED"
    RETURNED = "RETURNED"
    """Sold, then taken back with a refund. The movement names the refund, not the order."""


class PaymentStatus(StrEnum):
    PENDING = "PENDING"
    """The intent is recorded; the gateway may have been asked."""
    UNKNOWN = "UNKNOWN"
    """The gateway did not answer: ask again with the same key before charging or refunding."""
    ACTION_REQUIRED = "ACTION_REQUIRED"
    """The gateway waits for the customer, e.g. to authenticate. It may capture at any time, without being asked."""
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    """Closed without a capture; the gateway refuses any later one under the same key."""
    REFUNDED = "REFUNDED"
    """Of all that was captured nothing is left."""


class RefundStatus(StrEnum):
    """Of a refund that was granted for a confirmed order. All but REJECTED count against what was captured."""

    REQUESTED = "REQUESTED"
    COMPLETED = "COMPLETED"
    """The money is back, the stock too if it was to be, and the customer is told."""
    NEEDS_REVIEW = "NEEDS_REVIEW"
    """It could not be completed: an operator looks at it."""
    REJECTED = "REJECTED"
    """The provider refused it for good, and an operator has taken it back. No money has moved."""


class RefundOrigin(StrEnum):
    """Who caused a refund."""

    OPERATOR = "OPERATOR"
    CUSTOMER = "CUSTOMER"
    """By cancelling the order after it was confirmed."""
    PROVIDER = "PROVIDER"
    """It was made at the payment provider, e.g. in its dashboard; we have only recorded it."""


class CancellationOutcome(StrEnum):
    """What a customer's cancellation of an order comes to."""

    CANCELLING = "CANCELLING"
    """The order had not ended: its saga turns back."""
    REFUNDING = "REFUNDING"
    """The order was confirmed: everything is refunded."""


class Notification(StrEnum):
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_CANCELLED = "order_cancelled"
    CANCELLATION_CONFIRMED = "cancellation_confirmed"
    """The order is cancelled because its customer has asked for it."""
    PAYMENT_FAILED = "payment_failed"
    ORDER_REFUNDED = "order_refunded"

    @classmethod
    def for_cancellation(cls, reason: FailureReason) -> "Notification":
        """What to tell the customer of a cancelled order: a payment failure has its own message, and so has an end
        that they have asked for."""
        if reason is FailureReason.CANCELLATION_REQUESTED:
            return cls.CANCELLATION_CONFIRMED
        return cls.PAYMENT_FAILED if reason in _PAYMENT_REASONS else cls.ORDER_CANCELLED

    def is_true_of(self, status: OrderStatus) -> bool:
        """Whether an order of this status may be told of so. An order with refunds stays CONFIRMED."""
        tells_of_success = self in (Notification.ORDER_CONFIRMED, Notification.ORDER_REFUNDED)
        return status is (OrderStatus.CONFIRMED if tells_of_success else OrderStatus.CANCELLED)


_PAYMENT_REASONS = frozenset(
    {
        FailureReason.PAYMENT_DECLINED,
        FailureReason.FRAUD_SUSPECTED,
        FailureReason.PAYMENT_UNAVAILABLE,
        FailureReason.PAYMENT_NOT_COMPLETED,
    }
)


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class NotificationStatus(StrEnum):
    """Of one notification on one channel. From SENT on they are final, except that an UNCERTAIN one may turn out SENT,
    a mail that is SENT may come back or be complained of, and an operator may have it sent again: it is QUEUED."""

    QUEUED = "QUEUED"
    """Asked for. With an error: tried, certainly not sent, and to be tried again."""
    SENDING = "SENDING"
    SENT = "SENT"
    """Accepted by the provider."""
    FAILED = "FAILED"
    """Refused by the provider, which would refuse it again."""
    UNCERTAIN = "UNCERTAIN"
    """Its sender died or got no answer: perhaps sent, so never sent again by itself."""
    SUPPRESSED = "SUPPRESSED"
    """Not sent, and not to be sent: its error is a `SuppressionReason`."""
    BOUNCED = "BOUNCED"
    """It was sent, and the recipient's mail server refused it for good."""
    COMPLAINED = "COMPLAINED"
    """It arrived, and its recipient calls it unwanted."""


class MailFeedback(StrEnum):
    """What may become of a mail that was sent. After either of them its address gets no mail any more."""

    BOUNCED = "BOUNCED"
    COMPLAINED = "COMPLAINED"


class SuppressionReason(StrEnum):
    """Why a notification was not sent, though nothing failed."""

    RECIPIENT_NOT_CONFIRMED = "RECIPIENT_NOT_CONFIRMED"
    """The address is neither the account's own nor confirmed by a code."""
    RECIPIENT_LIMIT = "RECIPIENT_LIMIT"
    """The recipient has got as many messages as one may get in an hour, whoever caused them."""
    USER_LIMIT = "USER_LIMIT"
    STAGE_LIMIT = "STAGE_LIMIT"
    """As many messages were sent as the whole stage may send in an hour."""
    ADDRESS_BOUNCED = "ADDRESS_BOUNCED"
    """A mail to the address came back, and no operator has allowed the address again."""
    ADDRESS_COMPLAINED = "ADDRESS_COMPLAINED"
    """Whoever reads the address has called a mail unwanted."""

    @classmethod
    def after(cls, feedback: MailFeedback) -> "SuppressionReason":
        """Why an address gets no mail after this."""
        return cls(f"ADDRESS_{feedback}")


class Locale(StrEnum):
    EN = "en"
    ES = "es"
