"""Every error the system raises on purpose.

The class *names* are a contract: the state machine matches them in `ErrorEquals`, and `orders.problem` maps the
types to HTTP statuses. Nothing dispatches on message text.

    OrdersError
    ├── RequestRefused             the caller can correct it; answered as a 4xx problem
    │   ├── InvalidOrder               fields name what is wrong
    │   ├── IdempotencyKeyReused       same key, other body
    │   ├── OrderNotFound              also for another user's order
    │   └── ProductNotFound
    ├── BusinessFailure            final for the order; never retried
    │   ├── InsufficientStock
    │   ├── PaymentDeclined
    │   ├── FraudSuspected
    │   └── ReservationExpired
    ├── TransientFailure           worth another try
    │   ├── PaymentGatewayUnavailable
    │   │   └── PaymentGatewayTimeout  the outcome is unknown: ask before charging or refunding
    │   └── DatabaseUnavailable
    └── SagaConflict               the saga has moved on; doing the work now would break a promise
        ├── StepFenced                 a compensation has already closed this step
        └── OrderAlreadyCompleted      a compensation came after the order was confirmed
"""

from dataclasses import dataclass

from orders.domain import FailureReason


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


class InvalidOrder(RequestRefused):
    """The order breaks a rule that only the catalogue knows, e.g. an unknown or inactive product."""


class IdempotencyKeyReused(RequestRefused):
    """The key belongs to an earlier request with another body."""


class OrderNotFound(RequestRefused):
    """No such order, or it is somebody else's: the answer must not tell which."""


class ProductNotFound(RequestRefused):
    """No such product."""


class BusinessFailure(OrdersError):
    """A final answer from the business: the order is cancelled for `reason`."""

    reason: FailureReason


class InsufficientStock(BusinessFailure):
    reason = FailureReason.INSUFFICIENT_STOCK


class PaymentDeclined(BusinessFailure):
    reason = FailureReason.PAYMENT_DECLINED


class FraudSuspected(BusinessFailure):
    reason = FailureReason.FRAUD_SUSPECTED


class ReservationExpired(BusinessFailure):
    reason = FailureReason.RESERVATION_EXPIRED


class TransientFailure(OrdersError):
    """Something outside failed for now."""


class PaymentGatewayUnavailable(TransientFailure):
    """The gateway refused to work; it says that nothing was charged."""


class PaymentGatewayTimeout(PaymentGatewayUnavailable):
    """The gateway did not answer in time; it may or may not have charged."""


class DatabaseUnavailable(TransientFailure):
    """The database could not be reached, or gave up on us, within the attempts allowed."""


class SagaConflict(OrdersError):
    """Another part of the saga got here first."""


class StepFenced(SagaConflict):
    """A late forward step found the tombstone of its compensation and refused to work."""


class OrderAlreadyCompleted(SagaConflict):
    """A compensation found the order confirmed: nothing may be undone."""


_BUSINESS_FAILURES: dict[str, type[BusinessFailure]] = {
    failure.__name__: failure for failure in BusinessFailure.__subclasses__()
}


def business_failure(name: str) -> type[BusinessFailure] | None:
    """The business failure of this class name, or None: a recorded failure is raised again from its name."""
    return _BUSINESS_FAILURES.get(name)


def failure_reason(error_name: str) -> FailureReason:
    """The customer-facing code for the error that ended a saga, by the name Step Functions reports."""
    failure = business_failure(error_name)
    if failure is not None:
        return failure.reason
    if error_name == PaymentGatewayUnavailable.__name__:
        return FailureReason.PAYMENT_UNAVAILABLE
    return FailureReason.PROCESSING_FAILED
