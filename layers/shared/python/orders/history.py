"""What became of an order's steps, as people read it: the journal, held against the books.

The journal is kept so that a repeated step is known. It says that RefundPayment has run, also if there was nothing to
refund, and closes ProcessPayment when its refund begins. What happened to money and stock is in `payments` and
`reservations`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from orders.domain import OrderStatus, ReservationStatus, SagaStep, StepOutcome, StepStatus

_HELD: Final = frozenset({ReservationStatus.ACTIVE, ReservationStatus.CONFIRMED})


@dataclass(frozen=True)
class Books:
    """An order's status, its money in minor units, and the statuses of its reservations."""

    status: OrderStatus
    captured: int
    refunded: int
    reservations: Collection[str]

    def outcome(self, step: SagaStep, recorded: StepStatus) -> StepOutcome:
        """What became of a step that the journal has as `recorded`."""
        match recorded:
            case _ if step is SagaStep.MARK_CANCELLED and self.status is not OrderStatus.CANCELLED:
                return StepOutcome.SKIPPED
            case StepStatus.SUCCEEDED if not self._had_work(step):
                return StepOutcome.SKIPPED
            case StepStatus.COMPENSATED if not self._is_undone(step):
                return StepOutcome.SUCCEEDED
            case _:
                return StepOutcome(recorded)

    def _had_work(self, compensation: SagaStep) -> bool:
        match compensation:
            case SagaStep.REFUND_PAYMENT:
                return self.refunded > 0
            case SagaStep.RELEASE_RESERVATION:
                return ReservationStatus.RELEASED in self.reservations
            case SagaStep.RESTORE_INVENTORY:
                return ReservationStatus.RESTORED in self.reservations
            case _:
                return True

    def _is_undone(self, step: SagaStep) -> bool:
        match step:
            case SagaStep.PROCESS_PAYMENT:
                return self.refunded == self.captured
            case SagaStep.RESERVE_INVENTORY:
                return _HELD.isdisjoint(self.reservations)
            case SagaStep.CONFIRM_RESERVATION:
                return ReservationStatus.CONFIRMED not in self.reservations
            case _:
                return True
