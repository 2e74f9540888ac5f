"""Bringing an order's payment in line with the gateway, whose record is the truth about money.

The saga does this for itself as it goes. This is for what it left behind: an outcome that nobody recorded, or money
captured for an order that is cancelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from orders import refunds, repairs
from orders.contract import Metric
from orders.db import Database
from orders.domain import OrderStatus, PaymentStatus
from orders.observability import count, logger
from orders.payments import records
from orders.payments.gateway import GatewayPayment, GatewayRefund, GatewayStatus, PaymentGateway
from orders.payments.records import STATUS_AT_GATEWAY, UNDECIDED, Payment, RecordedPayment
from orders.repairs import Repair


class Verdict(StrEnum):
    """What comparing the order, its payment and the gateway's record has led to."""

    AGREED = "AGREED"
    UNDECIDED = "UNDECIDED"
    """The gateway holds no money, and the order goes on: its saga will ask again."""
    SETTLED = "SETTLED"
    """Our record was behind the gateway's."""
    GIVEN_BACK = "GIVEN_BACK"
    """A capture for a cancelled order, now refunded."""
    CONFLICT = "CONFLICT"
    """We have recorded money that the gateway does not have, or the other way round, and the order does not say which
    of the two should be."""


_REPAIRS: Final = {
    Verdict.SETTLED: (Repair.PAYMENT_SETTLED, Metric.PAYMENTS_SETTLED),
    Verdict.GIVEN_BACK: (Repair.PAYMENT_GIVEN_BACK, Metric.PAYMENTS_GIVEN_BACK),
    Verdict.CONFLICT: (Repair.PAYMENT_CONFLICT, Metric.PAYMENT_CONFLICTS),
}

_UNDECIDED_AT_GATEWAY: Final = frozenset({GatewayStatus.OPEN, GatewayStatus.ACTION_REQUIRED})
_MAY_HOLD_MONEY: Final = frozenset({GatewayStatus.ACTION_REQUIRED, GatewayStatus.CAPTURED})


@dataclass(frozen=True)
class Reconciliation:
    """A verdict, and what is to be recorded."""

    order_id: UUID
    verdict: Verdict
    order_status: OrderStatus
    compared: PaymentStatus
    """Our record of the payment as it was compared."""
    at_gateway: GatewayPayment | None
    made_at_provider: Sequence[GatewayRefund] = ()
    """Refunds that we have not made. They are facts, whatever the verdict."""

    def record(self, connection: Connection) -> "Recorded | None":
        """Writes it down in the caller's transaction. None: there was nothing to write, or others were quicker."""
        is_repaired = self._repair(connection)
        amounts = refunds.record_made_at_provider(connection, self.order_id, self.made_at_provider)
        return Recorded(self, is_repaired, tuple(amounts)) if is_repaired or amounts else None

    def _repair(self, connection: Connection) -> bool:
        if self.verdict not in _REPAIRS:
            return False
        if self.verdict is not Verdict.CONFLICT and not self._settle(connection):
            return False
        repair, _ = _REPAIRS[self.verdict]
        repairs.record(connection, repair, self.order_id, self.details)
        return True

    @property
    def details(self) -> dict[str, str]:
        at_gateway = self.at_gateway.status if self.at_gateway else "NONE"
        return {"order": self.order_status, "recorded": self.compared, "gateway": at_gateway}

    def _settle(self, connection: Connection) -> bool:
        assert self.at_gateway is not None, "a settlement is what the gateway said"
        status = STATUS_AT_GATEWAY[self.at_gateway.status]
        return records.settle(
            connection, self.order_id, status, self.at_gateway.payment_id, compared=self.compared
        )


@dataclass(frozen=True)
class Recorded:
    """What was written down of a reconciliation."""

    reconciliation: Reconciliation
    is_repaired: bool
    refunds: Sequence[int]
    """The amounts of those that were made at the provider and are new to us, in minor units."""

    def report(self) -> None:
        """Counts and logs it, once its transaction is committed."""
        found = self.reconciliation
        context = {"order_id": str(found.order_id)} | found.details
        if self.is_repaired:
            _, metric = _REPAIRS[found.verdict]
            count(metric)
            log = logger.error if found.verdict is Verdict.CONFLICT else logger.info
            log("Payment reconciled", extra={"verdict": found.verdict, **context})
        if self.refunds:
            count(Metric.PROVIDER_REFUNDS_RECORDED, len(self.refunds))
            logger.warning(
                "Refund made at the payment provider", extra={"amounts": list(self.refunds), **context}
            )


def reconcile(database: Database, gateway: PaymentGateway, order_id: UUID) -> Reconciliation:
    """Compares the order, its payment and the gateway's record, and gives back what the gateway holds for a cancelled
    order. What is to be recorded of it, with the refunds that somebody made at the provider, is the caller's to record.

    It may be repeated, also at the same time as the saga's own steps: the gateway moves money once for each key.

    Raises:
        PaymentGatewayUnavailable: try again.
        LookupError: the order has no payment.
    """

    def read(connection: Connection) -> tuple[RecordedPayment, OrderStatus] | None:
        return records.find(connection, order_id)

    ours = database.transact_alone(read)
    if ours is None:
        raise LookupError(f"order {order_id} has no payment")
    payment, order_status = ours
    found = gateway.find(payment.key)
    made = _made_at_provider(gateway, payment.key) if found is not None and found.refunded else ()
    if order_status is not OrderStatus.CANCELLED:
        verdict = _verdict(order_status, payment, found, made)
        if verdict is Verdict.CONFLICT and database.transact_alone(read) != ours:
            # Money has moved while the gateway was asked.
            return reconcile(database, gateway, order_id)
        return Reconciliation(order_id, verdict, order_status, payment.status, found, made)
    may_hold_money = found is not None and found.status in _MAY_HOLD_MONEY
    closed = give_back(gateway, payment, found) if may_hold_money or payment.status in UNDECIDED else found
    verdict = _verdict_on_cancelled(payment.status, found, closed)
    return Reconciliation(order_id, verdict, order_status, payment.status, closed, made)


def _made_at_provider(gateway: PaymentGateway, key: str) -> Sequence[GatewayRefund]:
    return [refund for refund in gateway.find_refunds(key) if refund.refund_key is None]


def give_back(gateway: PaymentGateway, payment: Payment, found: GatewayPayment | None) -> GatewayPayment:
    """Sees to it that the gateway holds no money of the payment, and never will; returns its record by then. `found` is
    its record as it was before.

    Raises:
        PaymentGatewayUnavailable: try again.
    """
    if found is None or found.status in _UNDECIDED_AT_GATEWAY:
        # Returns CAPTURED if a capture was quicker.
        found = gateway.void(payment.key, payment.charge)
    if found.status is GatewayStatus.CAPTURED:
        found = gateway.refund(payment.key)
    return found


def _verdict_on_cancelled(
    recorded: PaymentStatus, found: GatewayPayment | None, closed: GatewayPayment | None
) -> Verdict:
    if found != closed and closed is not None and closed.status is GatewayStatus.REFUNDED:
        return Verdict.GIVEN_BACK
    if closed is None or closed.status in _UNDECIDED_AT_GATEWAY:
        # Voided or declined before the gateway had heard of it. Anything else is money it does not know of.
        return Verdict.CONFLICT if recorded is PaymentStatus.CAPTURED else Verdict.AGREED
    return Verdict.AGREED if STATUS_AT_GATEWAY[closed.status] is recorded else Verdict.SETTLED


def _verdict(
    order_status: OrderStatus,
    payment: RecordedPayment,
    found: GatewayPayment | None,
    made: Sequence[GatewayRefund],
) -> Verdict:
    recorded = payment.status
    at_gateway = None if found is None else STATUS_AT_GATEWAY.get(found.status)
    is_captured = at_gateway is PaymentStatus.CAPTURED
    match order_status, recorded:
        case OrderStatus.CONFIRMED, _:
            # It was confirmed because it was paid in full; a refund is recorded after the gateway has given it back.
            by_us = payment.refunded - payment.made_at_provider + payment.on_their_way
            agreed = (
                found is not None
                and found.captured == payment.captured == payment.charge.amount
                and payment.refunded <= found.refunded <= by_us + sum(refund.amount for refund in made)
            )
        case OrderStatus.PROCESSING, PaymentStatus.ACTION_REQUIRED:
            # The step that waits for the customer finds all of it.
            return Verdict.UNDECIDED
        case OrderStatus.PROCESSING, _ if recorded in UNDECIDED:
            # Anything but money is for the step to find: it writes its journal along with it.
            return Verdict.SETTLED if is_captured else Verdict.UNDECIDED
        case _ if recorded in UNDECIDED:
            return Verdict.UNDECIDED if at_gateway is None else Verdict.SETTLED
        case _, PaymentStatus.CAPTURED:
            # Refunded: RefundPayment is about to record it, or somebody has done it at the provider.
            agreed = is_captured or at_gateway is PaymentStatus.REFUNDED
        case _:
            agreed = not is_captured
    return Verdict.AGREED if agreed else Verdict.CONFLICT
