"""What an operator may do about refunds: ask for one, have one tried again, or take one back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy import Connection, Row, text

from functions.operations.refunds import records
from functions.operations.refunds.records import RefundRecord
from orders import idempotency, operator_actions, refunds
from orders.aws import sdk_calls
from orders.closing import REST_SECONDS
from orders.contract import Metric
from orders.db import Database
from orders.domain import RefundOrigin, RefundStatus
from orders.errors import (
    FieldError,
    InvalidRefund,
    RefundBusy,
    RefundGivenBack,
    RefundNotInReview,
    ServiceUnavailable,
)
from orders.events import Trace
from orders.executions import Executions
from orders.http import ApiModel, ApiRequest
from orders.idempotency import IdempotentRequest
from orders.observability import count, logger
from orders.operator_actions import Action, Note, Operator
from orders.payments import records as payments
from orders.payments.gateway import PaymentGateway

MAX_LINES: Final = 50
MAX_QUANTITY: Final = 100
"""As many as an order may have."""
_LOOK_AGAIN_SECONDS: Final = 5

_EARLIER: Final = idempotency.find("refund_requests", "refund_id")
_REMEMBER: Final = text(idempotency.insert("refund_requests", refund_id=":refund_id"))

# A field that may be left out, but not be null: there is nothing that null could mean.
_LEFT_OUT: Final[Any] = None


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _one_way(schema: dict[str, Any]) -> None:
    """Lines or an amount, and an amount alone moves no stock."""
    restocked = {"required": ["amount", "restock"], "properties": {"restock": {"const": True}}}
    schema["examples"] = [{"amount": 500, "reason": "arrived late"}]
    schema["not"] = {"anyOf": [{"required": ["amount", "lines"]}, restocked]}


class ReturnedLine(ApiRequest):
    product_id: Annotated[UUID, Field(strict=False)]
    quantity: int = Field(ge=1, le=MAX_QUANTITY)


class NewRefund(ApiRequest):
    """What is refunded: units of lines, or an amount, or, with neither, all that is left of the order."""

    model_config = ConfigDict(json_schema_extra=_one_way)

    lines: list[ReturnedLine] = Field(
        default=_LEFT_OUT,
        min_length=1,
        max_length=MAX_LINES,
        description="Units, worth what they were sold for",
        json_schema_extra=_without_default,
    )
    amount: int = Field(
        default=_LEFT_OUT,
        ge=1,
        le=2**63 - 1,
        description="Minor units of the order's currency",
        examples=[500],
        json_schema_extra=_without_default,
    )
    reason: Annotated[Note, Field(description="For operators; the customer does not see it")]
    restock: bool = Field(default=False, description="Whether the units of the lines go back to stock")


class ResumedRefund(ApiModel):
    refund: RefundRecord
    execution: str = Field(description="The name of the execution that goes on with it")
    started: bool = Field(description="false: maintenance starts it, within two minutes")


@dataclass(frozen=True)
class Requested:
    """A refund; `replayed` if an earlier request asked for it."""

    refund: RefundRecord
    replayed: bool


@dataclass(frozen=True)
class RefundDesk:
    """What it takes to do it."""

    database: Database
    executions: Callable[[], Executions]
    """Of refunds."""
    gateway: PaymentGateway

    def grant(self, operator: Operator, key: str, order_id: UUID, asked: NewRefund) -> Requested:
        """Grants a refund, once per operator and key.

        Raises:
            InvalidRefund, OrderNotFound, OrderNotRefundable, RefundExceedsCapture, RefundExceedsSale: see
                `refunds.grant`; nothing was changed.
            IdempotencyKeyReused, DatabaseUnavailable: as for `idempotency.once`.
        """
        lines = _lines(asked)
        request = IdempotentRequest.of(asked, user_id=operator.id, key=key, operation=f"refund {order_id}")

        def recall(connection: Connection, earlier: Row[Any]) -> Requested:
            return Requested(records.read(connection, order_id, earlier.refund_id), replayed=True)

        def take_effect(connection: Connection) -> Requested:
            # Who waits here for the same request has to find what that one has done, and not what it has left.
            correlation_id = refunds.lock(connection, order_id)
            earlier = connection.execute(_EARLIER, request.row).one_or_none()
            if earlier is not None:
                request.check(earlier.fingerprint)
                return recall(connection, earlier)
            granted = refunds.grant(
                connection,
                order_id,
                origin=RefundOrigin.OPERATOR,
                requested_by=operator.id,
                reason=asked.reason,
                amount=asked.amount,
                lines=lines,
                restock=asked.restock,
                trace=Trace(correlation_id, operator.traceparent),
            )
            connection.execute(_REMEMBER, {**request.row, "refund_id": granted.refund_id})
            operator_actions.record(
                connection,
                operator,
                Action.REFUND_GRANTED,
                str(granted.refund_id),
                order_id=order_id,
                detail=f"amount={granted.amount} restock={str(asked.restock).lower()}",
            )
            return Requested(records.read(connection, order_id, granted.refund_id), replayed=False)

        requested = idempotency.once(self.database, request, _EARLIER, take_effect, recall)
        if not requested.replayed:
            count(Metric.REFUNDS_GRANTED)
            operator_actions.report(operator, Action.REFUND_GRANTED, str(requested.refund.refund_id))
        return requested

    def resume(self, operator: Operator, order_id: UUID, refund_id: UUID) -> ResumedRefund:
        """The refund is REQUESTED again, and another execution goes on with it from the first step.

        Raises:
            RefundNotFound: the order has no such refund.
            RefundNotInReview: it is not under review, or somebody else was quicker.
            RefundBusy: an execution is at work on it.
            ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id, refund_id)

        def work(connection: Connection) -> tuple[int, RefundRecord]:
            resumes = refunds.resume(connection, refund_id, looked_at=looked.updated_at)
            operator_actions.record(
                connection,
                operator,
                Action.REFUND_RESUMED,
                str(refund_id),
                order_id=order_id,
                detail=f"execution={self.executions().name(refund_id, resumes)}",
            )
            return resumes, records.read(connection, order_id, refund_id)

        resumes, refund = self.database.transact(work)
        operator_actions.report(operator, Action.REFUND_RESUMED, str(refund_id))
        name = self.executions().name(refund_id, resumes)
        trace = Trace(looked.correlation_id, operator.traceparent)
        return ResumedRefund(refund=refund, execution=name, started=self._start(refund_id, trace, resumes))

    def reject(self, operator: Operator, order_id: UUID, refund_id: UUID) -> RefundRecord:
        """Takes a refund back that the provider has not given, so that its money and units may be refunded again.

        Raises:
            RefundNotFound: the order has no such refund.
            RefundNotInReview: it is not under review, or somebody else was quicker.
            RefundBusy: an execution, or a late step of one, may be at work on it.
            RefundGivenBack: its money has moved, or may have.
            PaymentGatewayUnavailable, ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id, refund_id)
        rest = ceil(REST_SECONDS - (datetime.now(UTC) - looked.updated_at).total_seconds())
        if rest > 0:
            raise RefundBusy(f"A step of the refund may still be running: try again in {rest} s", rest)
        self._check_not_given_back(looked)

        def work(connection: Connection) -> RefundRecord:
            refunds.reject(connection, refund_id, looked_at=looked.updated_at)
            operator_actions.record(
                connection,
                operator,
                Action.REFUND_REJECTED,
                str(refund_id),
                order_id=order_id,
                detail=f"amount={looked.amount}",
            )
            return records.read(connection, order_id, refund_id)

        refund = self.database.transact(work)
        operator_actions.report(operator, Action.REFUND_REJECTED, str(refund_id))
        return refund

    def _look(self, order_id: UUID, refund_id: UUID) -> RefundRecord:
        """The refund, which is under review, and which nobody works on."""
        looked = self.database.transact_alone(
            lambda connection: records.read(connection, order_id, refund_id)
        )
        if looked.status is not RefundStatus.NEEDS_REVIEW:
            raise RefundNotInReview(f"The refund is {looked.status}")
        with sdk_calls("Step Functions"):
            status = self.executions().status(refund_id, looked.executions - 1)
        if status.is_live:
            raise RefundBusy(f"An execution is at work on the refund: it is {status}", _LOOK_AGAIN_SECONDS)
        return looked

    def _check_not_given_back(self, looked: RefundRecord) -> None:
        """Refuses if the provider has given back more than we have recorded: this refund may be what is more."""
        if looked.refunded_at is not None:
            raise RefundGivenBack("The payment provider has given the money back: resume the refund")
        found = self.database.transact_alone(lambda connection: payments.find(connection, looked.order_id))
        assert found is not None, "a refund is of a payment"
        payment, _ = found
        at_gateway = self.gateway.find(payment.key)
        given_back = at_gateway.refunded if at_gateway else 0
        if given_back > payment.refunded:
            raise RefundGivenBack(
                f"The payment provider has given back {given_back} of {looked.currency}'s minor units, of which "
                f"{payment.refunded} are recorded: resume the refund, it gives nothing back twice"
            )

    def _start(self, refund_id: UUID, trace: Trace, resumes: int) -> bool:
        """False: it did not start, or nobody knows; maintenance looks after a refund that nobody works on."""
        try:
            with sdk_calls("Step Functions"):
                return self.executions().start(refund_id, trace, resumes)
        except ServiceUnavailable:
            logger.warning(
                "The next execution is left to maintenance", refund_id=str(refund_id), exc_info=True
            )
            return False


def _lines(asked: NewRefund) -> dict[UUID, int]:
    """Units by product.

    Raises:
        InvalidRefund: lines and an amount are given, a product twice, or stock is to be moved by an amount alone.
    """
    errors: list[FieldError] = []
    lines: dict[UUID, int] = {}
    for index, line in enumerate(asked.lines or ()):
        if line.product_id in lines:
            errors.append(FieldError(f"#/lines/{index}/productId", "The product is in another line"))
        lines[line.product_id] = line.quantity
    if lines and asked.amount:
        errors.append(FieldError("#/amount", "Give lines or an amount, not both"))
    if asked.amount and asked.restock:
        errors.append(FieldError("#/restock", "An amount moves no stock: give lines"))
    if errors:
        raise InvalidRefund(f"Refused: {', '.join(error.pointer for error in errors)}", tuple(errors))
    return lines
