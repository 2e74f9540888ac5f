"""Every error the system raises on purpose.

The class *names* are a contract: the state machine matches them in `ErrorEquals`, and `orders.problem` maps the
types to HTTP statuses. Nothing dispatches on message text.

    OrdersError
    ├── RequestRefused             the caller can correct it; returned as a 4xx problem
    │   ├── MalformedRequest           the body is not a JSON object
    │   ├── BodyTooLarge
    │   ├── UnsupportedMediaType
    │   ├── UnsupportedContentCoding
    │   ├── AdministratorsOnly
    │   ├── PriorityNotAllowed         an urgent order of somebody who has no right to one
    │   ├── AddressNotFound
    │   ├── MethodNotAllowed           the address takes others
    │   ├── InvalidOrder               fields name what is wrong
    │   ├── IdempotencyKeyReused       same key, other body
    │   ├── PriceChanged               the customer expects another total
    │   ├── TooManyOrders              of one user in one minute
    │   ├── OrderNotFound              also for another user's order
    │   ├── CancellationClosed         it was confirmed too long ago
    │   ├── OrderAlreadyCancelled      for another reason
    │   ├── OrderAlreadyRefunded       nothing of it is left to be refunded
    │   ├── OrderInReview              an operator decides how it ends
    │   ├── InvalidCursor              of another list, or of none
    │   ├── VersionRequired            a change must say which version it is of
    │   ├── VersionOutdated            the change is of a version that is no more
    │   ├── StockNotFree               more would be taken away than is available
    │   ├── ProductNotFound
    │   ├── InvalidWebhook             the URL leads where no webhook may go
    │   ├── WebhookNotFound            also for another user's webhook
    │   ├── DeliveryNotFound
    │   ├── WebhookLimitReached
    │   ├── WebhookDisabled            nothing is sent to it
    │   ├── TooManySecrets             of one webhook that are signed with at once
    │   ├── TooManyTests               of one webhook in a short time
    │   ├── TooManyRedeliveries        of one user in one hour
    │   ├── RecipientNotFound          also for another user's recipient
    │   ├── RecipientLimitReached
    │   ├── TooManyCodes               to one address, of one user or of all, in one hour
    │   ├── WrongCode
    │   ├── CodeExpired                or tried too often
    │   ├── QueueNotFound
    │   ├── MessageNotFound            not in the dead-letter queue, or not where we looked
    │   ├── EventNotFound
    │   ├── CustomerNotFound
    │   ├── SuppressedAddressNotFound
    │   ├── NotificationNotFound       the order never asked for such a message
    │   ├── RefundNotFound
    │   ├── InvalidRefund              a line that the order does not have
    │   ├── OrderNotRefundable         it is not CONFIRMED
    │   ├── RefundExceedsCapture       more money than is left of what was captured
    │   ├── RefundExceedsSale          more units than are left of what was sold
    │   └── OperationRefused           what the operator asked for does not fit what there is
    │       ├── OrderNotInReview           it has ended, or is on its way again
    │       ├── OrderBusy                  an execution, or a late step of one, is at work on it
    │       │   └── RefundBusy                 the same of a refund
    │       ├── RefundNotInReview          it is on its way, or over
    │       ├── RefundGivenBack            it cannot be rejected: its money has moved, or may have
    │       ├── OrderDoesNotFit            its money or stock is not what its end would need
    │       ├── NotificationNotResendable  it is on its way, untrue by now, or nobody may get it
    │       ├── EventNeeded                discarded, it would leave its order where it is for ever
    │       └── NothingToRedrive           it took effect, or somebody else is moving it
    ├── BusinessFailure            final for the order; never retried
    │   ├── InsufficientStock
    │   ├── PaymentDeclined
    │   ├── FraudSuspected
    │   ├── PaymentNotCompleted        the customer had to act, and did not in time
    │   ├── CancellationRequested      the owner, or an administrator, has cancelled the order
    │   └── ReservationExpired
    ├── TransientFailure           worth another try
    │   ├── PaymentGatewayUnavailable
    │   │   ├── PaymentGatewayTimeout      the outcome is unknown: ask before charging or refunding
    │   │   └── PaymentGatewayCircuitOpen  the gateway was not asked: wait, then try again
    │   ├── DatabaseUnavailable
    │   ├── ServiceUnavailable         a service of AWS did not answer
    │   └── OutOfTime                  not begun: the function's time is nearly over
    ├── PaymentActionRequired      the customer must act first: the saga waits, and asks again
    ├── UnexpectedEvent            a queue delivered an event that its consumer has no use for
    └── SagaConflict               the saga has moved on; doing the work now would break a promise
        ├── OrderUnknown               no such order: nothing can be done, nor undone
        ├── StepFenced                 a compensation has already closed this step
        ├── OrderAlreadyCompleted      a compensation came after the order was confirmed
        ├── OrderIncomplete            the order cannot be confirmed: money or stock is missing
        └── RefundClosed               an operator has it, or has rejected it; or there is no such refund
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from orders.domain import FailureReason, public_failure_reason


class OrdersError(Exception):
    """Root of the tree above."""


@dataclass(frozen=True)
class FieldError:
    """One refused field. `pointer` is a JSON Pointer as a URI fragment, e.g. `#/items/0/quantity` (RFC 9457)."""

    pointer: str
    detail: str


class RequestRefused(OrdersError):
    """The request cannot be accepted as it is."""

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers: Mapping[str, str] = {}
        self.members: Mapping[str, Any] = {}
        """More members of the problem: fields of `orders.problem.Problem`."""


class MalformedRequest(RequestRefused):
    """The body cannot be read as one JSON object."""


class BodyTooLarge(RequestRefused):
    """The body has more bytes than are accepted."""


class UnsupportedMediaType(RequestRefused):
    """The body is not declared as JSON."""


class UnsupportedContentCoding(RequestRefused):
    """The body is compressed in a way that is not accepted."""

    def __init__(self, accepted: Sequence[str], detail: str) -> None:
        super().__init__(detail)
        # RFC 9110, section 12.5.3: this tells the refusal apart from that of a media type.
        self.headers = {"Accept-Encoding": ", ".join(accepted)}


class AdministratorsOnly(RequestRefused):
    """The caller is known, and not a member of the group of operators."""


class PriorityNotAllowed(RequestRefused):
    """The caller is not a member of a group whose orders may be urgent."""


class AddressNotFound(RequestRefused):
    """The API has nothing at this address."""

    def __init__(self, detail: str = "There is nothing at this address") -> None:
        super().__init__(detail)


class MethodNotAllowed(RequestRefused):
    """The address exists, and takes only the methods in the `Allow` header."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"This address takes {', '.join(allowed)}")
        self.headers = {"Allow": ", ".join(allowed)}


class InvalidOrder(RequestRefused):
    """The order breaks a rule that only the catalogue knows, e.g. an unknown or inactive product."""


class IdempotencyKeyReused(RequestRefused):
    """The key belongs to an earlier request with another body."""


class PriceChanged(RequestRefused):
    """The order costs another amount than its customer expects."""

    def __init__(self, detail: str, *, total_amount: int, currency: str) -> None:
        super().__init__(detail)
        self.members = {"total_amount": total_amount, "currency": currency}


class TooManyOrders(RequestRefused):
    """The user has placed as many orders as they may for now."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("You have placed as many orders as you may for now")
        self.headers = {"Retry-After": str(retry_after_seconds)}


class TooManyRedeliveries(RequestRefused):
    """The user has had as many deliveries sent again as they may for now."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("You have had as many deliveries sent again as you may for now")
        self.headers = {"Retry-After": str(retry_after_seconds)}


class RecipientNotFound(RequestRefused):
    """No such recipient, or it is somebody else's: the response must not tell which."""


class RecipientLimitReached(RequestRefused):
    """The user has as many recipients as one may have."""


class TooManyCodes(RequestRefused):
    """As many codes were sent to this address, for this user or in all as may be for now: it does not tell which."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("As many codes were sent as may be for now")
        self.headers = {"Retry-After": str(retry_after_seconds)}


class WrongCode(RequestRefused):
    """The code is not the one that was sent last."""


class CodeExpired(RequestRefused):
    """The code cannot confirm anything any more: it is too old, or was tried too often."""


class OrderNotFound(RequestRefused):
    """No such order, or it is somebody else's: the response must not tell which."""


class CancellationClosed(RequestRefused):
    """The order was confirmed too long ago to be cancelled."""

    def __init__(self, possible_until: datetime) -> None:
        end = possible_until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        super().__init__(f"The order could be cancelled until {end}")
        self.members = {"possible_until": possible_until}


class OrderAlreadyCancelled(RequestRefused):
    """The order is cancelled, and not because its customer has asked for it."""


class OrderAlreadyRefunded(RequestRefused):
    """The order is confirmed, and nothing of what was paid for it is left to be refunded."""


class OrderInReview(RequestRefused):
    """The order waits for an operator, who decides how it ends."""


class InvalidCursor(RequestRefused):
    """The cursor is not one that this list gave out."""


class VersionRequired(RequestRefused):
    """A change came without `If-Match`, so nobody knows what its sender had seen."""


class VersionOutdated(RequestRefused):
    """Somebody else has changed it since the sender of this change saw it."""


class StockNotFree(RequestRefused):
    """The adjustment would take away units that are reserved or sold."""


class ProductNotFound(RequestRefused):
    """No such product."""


class QueueNotFound(RequestRefused):
    """No such queue."""


class MessageNotFound(RequestRefused):
    """No such message in the dead-letter queue, as far as was looked: it is gone, or somebody else has it in hand."""


class EventNotFound(RequestRefused):
    """No such event in the outbox."""


class CustomerNotFound(RequestRefused):
    """Nobody of that id has ordered anything or registered a webhook."""


class SuppressedAddressNotFound(RequestRefused):
    """No mail to the address has come back or was complained of, or an operator has allowed it since."""


class NotificationNotFound(RequestRefused):
    """No message of this type was asked for on this channel for the order, or for this refund of it."""


class RefundNotFound(RequestRefused):
    """The order has no such refund."""


class InvalidRefund(RequestRefused):
    """The refund breaks a rule that only its order knows, e.g. a line of a product that was not ordered."""


class OrderNotRefundable(RequestRefused):
    """Only a confirmed order is refunded: what is captured for any other its saga gives back."""


class RefundExceedsCapture(RequestRefused):
    """More money than is left of what was captured, after all other refunds and disputes (promise I13)."""


class RefundExceedsSale(RequestRefused):
    """More units of a line than were sold and are in no other refund."""


class OperationRefused(RequestRefused):
    """An operator's request that does not fit the state of what it is about. Nothing was changed."""


class OrderNotInReview(OperationRefused):
    """The order does not wait for an operator: it has ended, or it is on its way again."""


class OrderBusy(OperationRefused):
    """The order waits for an operator, but an execution, or a late step of one, is or may be at work on it."""

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class RefundNotInReview(OperationRefused):
    """The refund does not wait for an operator: it is on its way, completed or rejected."""


class RefundBusy(OrderBusy):
    """The refund waits for an operator, but an execution, or a late step of one, is or may be at work on it."""


class RefundGivenBack(OperationRefused):
    """The refund cannot be rejected: the payment provider has given the money back, or nobody can tell."""


class OrderDoesNotFit(OperationRefused):
    """The order cannot be closed so: its money or its stock says something else (promises I3 and I5)."""


class NotificationNotResendable(OperationRefused):
    """The message is on its way, or it is not true of the order any more, or nobody is left who may get it."""


class EventNeeded(OperationRefused):
    """The event cannot be discarded: without it its order never begins."""


class NothingToRedrive(OperationRefused):
    """What is to be redriven has taken effect already, or is being redriven."""


class InvalidWebhook(RequestRefused):
    """The URL is none, or its host is not on the public internet."""


class WebhookNotFound(RequestRefused):
    """No such webhook, or it is somebody else's: the response must not tell which."""


class DeliveryNotFound(RequestRefused):
    """The webhook has no such delivery."""


class WebhookLimitReached(RequestRefused):
    """The user has as many webhooks as one may have."""


class WebhookDisabled(RequestRefused):
    """Nothing is sent to a disabled webhook."""


class TooManySecrets(RequestRefused):
    """So many secrets of the webhook are still signed with that no other one is made."""


class TooManyTests(RequestRefused):
    """The webhook's owner has had as many tests sent to it as they may for now."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("You have had as many tests sent to this webhook as you may for now")
        self.headers = {"Retry-After": str(retry_after_seconds)}


class BusinessFailure(OrdersError):
    """Final, by a rule of the business: the order is cancelled for `reason`."""

    reason: FailureReason


class InsufficientStock(BusinessFailure):
    reason = FailureReason.INSUFFICIENT_STOCK


class PaymentDeclined(BusinessFailure):
    reason = FailureReason.PAYMENT_DECLINED


class FraudSuspected(BusinessFailure):
    reason = FailureReason.FRAUD_SUSPECTED


class PaymentNotCompleted(BusinessFailure):
    reason = FailureReason.PAYMENT_NOT_COMPLETED


class CancellationRequested(BusinessFailure):
    reason = FailureReason.CANCELLATION_REQUESTED


class ReservationExpired(BusinessFailure):
    reason = FailureReason.RESERVATION_EXPIRED


class TransientFailure(OrdersError):
    """Something outside failed for now."""


class PaymentGatewayUnavailable(TransientFailure):
    """The gateway refused to work; it says that nothing was charged.

    `gateway_at_fault` False: this payment method or this input fails by itself, and the gateway works for others.
    """

    def __init__(self, detail: str, *, gateway_at_fault: bool = True) -> None:
        super().__init__(detail)
        self.gateway_at_fault = gateway_at_fault


class PaymentGatewayTimeout(PaymentGatewayUnavailable):
    """The gateway did not answer in time; it may or may not have charged."""


class PaymentGatewayCircuitOpen(PaymentGatewayUnavailable):
    """The gateway was not asked, because its last answers were failures. `retry_after_seconds` is when it may be."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"the payment gateway is given a rest for another {retry_after_seconds:.0f} s")
        self.retry_after_seconds = retry_after_seconds


class DatabaseUnavailable(TransientFailure):
    """The database could not be reached, or gave up on us, within the attempts allowed."""


class ServiceUnavailable(TransientFailure):
    """A service of AWS that the work needs did not answer, or refused to."""


class OutOfTime(TransientFailure):
    """The work was not begun, because what is left of the function's time would not suffice for it."""


class PaymentActionRequired(OrdersError):
    """The payment cannot go on before the customer acts, e.g. authenticates it. The saga waits and asks again."""


class UnexpectedEvent(OrdersError):
    """An event of another type than the queue's consumer works on: it belongs in the dead-letter queue."""


class SagaConflict(OrdersError):
    """Another part of the saga got here first."""


class OrderUnknown(SagaConflict):
    """The execution is of an order that does not exist: nobody of ours has started it."""


class StepFenced(SagaConflict):
    """A late forward step found the tombstone of its compensation and refused to work."""


class OrderAlreadyCompleted(SagaConflict):
    """A compensation found the order confirmed: nothing may be undone."""


class OrderIncomplete(SagaConflict):
    """The last step found money or stock missing that the steps before it had reported: a defect, or a hand in the
    database. The order is not confirmed."""


class RefundClosed(SagaConflict):
    """A late step found the refund under review, or rejected, or no refund at all: it does nothing."""


FINAL_ERRORS: Final = tuple(
    error.__name__
    for error in (*BusinessFailure.__subclasses__(), *SagaConflict.__subclasses__(), PaymentActionRequired)
)
"""The errors after which no forward step of the saga is tried again."""

_UNPAID_FOR_NOW = frozenset({PaymentGatewayUnavailable.__name__, PaymentGatewayCircuitOpen.__name__})

_BUSINESS_FAILURES: dict[str, type[BusinessFailure]] = {
    failure.__name__: failure for failure in BusinessFailure.__subclasses__()
}


def business_failure(name: str) -> type[BusinessFailure] | None:
    """The business failure of this class name, or None: a recorded failure is raised again from its name."""
    return _BUSINESS_FAILURES.get(name)


def failure_reason(error_name: str) -> FailureReason:
    """The code for the error that ended a saga, by the name Step Functions reports."""
    failure = business_failure(error_name)
    if failure is not None:
        return failure.reason
    if error_name in _UNPAID_FOR_NOW:
        return FailureReason.PAYMENT_UNAVAILABLE
    if error_name == PaymentActionRequired.__name__:
        # An execution of the release before does not know how to wait, and gives up.
        return FailureReason.PAYMENT_NOT_COMPLETED
    return FailureReason.PROCESSING_FAILED


def public_error(error_name: str) -> str:
    """The error's name as the order's owner may read it."""
    failure = business_failure(error_name)
    if failure is None:
        return error_name
    told = FailureReason(public_failure_reason(failure.reason) or failure.reason)
    return next(name for name, kind in _BUSINESS_FAILURES.items() if kind.reason is told)
