"""A payment gateway with the behaviour of a real one: latency, declines, outages, and a ledger of its own.

It stands for an outside system: it keeps its tables in its own schema, commits on its own, and shares nothing with an
order but the key. Test methods behave the same whatever the rates (`_FIXED`); only `pm_simulated` follows them.
"""

import random
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import Connection, Row, TextClause, text

from orders.db import Database
from orders.errors import (
    FraudSuspected,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    StepFenced,
    business_failure,
)
from orders.ids import uuid7
from orders.payments.gateway import (
    Charge,
    CustomerAction,
    DisputeStatus,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayStatus,
    NothingToRefund,
    PaymentGateway,
    RefundRefused,
)
from payment_simulator.outages import IS_DOWN
from payment_simulator.settings import SimulatorSettings

FLAKY_FAILURES: Final = 2
"""`pm_card_flaky` fails this many times, then succeeds."""
RATED_METHOD: Final = "pm_simulated"
"""Succeeds, fails and declines at the configured rates."""

# None of these has a row while the whole gateway is down; `_FIND` then says so.
_OPEN: Final = text(f"""
    INSERT INTO gateway.payments (key, payment_id, status, attempts, amount, currency)
    SELECT :key, CAST(:payment_id AS uuid), 'OPEN', 1, CAST(:amount AS bigint), :currency WHERE NOT {IS_DOWN}
    ON CONFLICT (key) DO UPDATE SET attempts = payments.attempts + 1
    RETURNING payment_id, status, amount, refunded, attempts, error
""")
_CAPTURE: Final = text("""
    WITH captured AS (
        UPDATE gateway.payments SET status = 'CAPTURED' WHERE key = :key AND status = 'OPEN' RETURNING key, amount
    )
    INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'CAPTURE', amount FROM captured
""")
_REQUIRE_ACTION: Final = text("""
    UPDATE gateway.payments SET status = 'ACTION_REQUIRED' WHERE key = :key AND status = 'OPEN'
""")
_DECLINE: Final = text("UPDATE gateway.payments SET status = 'DECLINED', error = :error WHERE key = :key")
_FIND: Final = text(f"""
    SELECT gateway.is_down, payment_id, status, amount, refunded, error
    FROM (SELECT {IS_DOWN} AS is_down) AS gateway LEFT JOIN gateway.payments ON key = :key
""")
_VOID: Final = text(f"""
    INSERT INTO gateway.payments (key, payment_id, status, amount, currency)
    SELECT :key, CAST(:payment_id AS uuid), 'VOIDED', CAST(:amount AS bigint), :currency WHERE NOT {IS_DOWN}
    ON CONFLICT (key) DO UPDATE
    SET status = CASE WHEN payments.status IN ('OPEN', 'ACTION_REQUIRED') THEN 'VOIDED' ELSE payments.status END
    RETURNING payment_id, status, amount, refunded, error
""")
_REFUND: Final = text(f"""
    WITH captured AS (
        SELECT key, amount - refunded AS rest FROM gateway.payments
        WHERE key = :key AND status = 'CAPTURED' AND NOT {IS_DOWN} FOR UPDATE
    ), closed AS (
        UPDATE gateway.payments SET status = 'REFUNDED', refunded = amount FROM captured
        WHERE payments.key = captured.key
    ), given_back AS (
        INSERT INTO gateway.refunds (refund_key, key, amount) SELECT key, key, rest FROM captured
    )
    INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'REFUND', rest FROM captured
""")
# Who waits for the lock sees what the one before has given back.
_REFUND_PART: Final = text(f"""
    WITH captured AS (
        SELECT key FROM gateway.payments
        WHERE key = :key AND status = 'CAPTURED' AND refunded + CAST(:amount AS bigint) <= amount AND NOT {IS_DOWN}
        FOR UPDATE
    ), granted AS (
        INSERT INTO gateway.refunds (refund_key, key, amount) SELECT :refund_key, key, :amount FROM captured
        ON CONFLICT DO NOTHING
        RETURNING key, amount
    ), given_back AS (
        UPDATE gateway.payments AS payment
        SET refunded = payment.refunded + granted.amount,
            status = CASE WHEN payment.refunded + granted.amount = payment.amount THEN 'REFUNDED' ELSE status END
        FROM granted WHERE payment.key = granted.key
    )
    INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'REFUND', amount FROM granted
""")
_FIND_REFUNDS: Final = text(f"""
    SELECT gateway.is_down, refund_id, refund_key, amount
    FROM (SELECT {IS_DOWN} AS is_down) AS gateway LEFT JOIN gateway.refunds ON key = :key
    ORDER BY created_at, refund_id
""")
_FIND_DISPUTES: Final = text(f"""
    SELECT gateway.is_down, dispute_id, disputes.amount, currency, reason, disputes.status
    FROM (SELECT {IS_DOWN} AS is_down) AS gateway
    LEFT JOIN (gateway.disputes JOIN gateway.payments USING (key)) ON key = :key
    ORDER BY disputes.created_at, dispute_id
""")
_IS_GRANTED: Final = text("SELECT true FROM gateway.refunds WHERE refund_key = :refund_key AND key = :key")


class _Outcome(Enum):
    """What the gateway decides on one attempt."""

    SUCCEED = auto()
    DECLINE = auto()
    SUSPECT_FRAUD = auto()
    FAIL = auto()
    CHARGE_THEN_TIME_OUT = auto()
    REQUIRE_ACTION = auto()


_FIXED: Final = {
    "pm_card_visa": _Outcome.SUCCEED,
    "pm_card_declined": _Outcome.DECLINE,
    "pm_card_fraud": _Outcome.SUSPECT_FRAUD,
    "pm_card_timeout": _Outcome.CHARGE_THEN_TIME_OUT,
    "pm_card_down": _Outcome.FAIL,
    "pm_card_requires_action": _Outcome.REQUIRE_ACTION,
}


def connect(database: Database) -> PaymentGateway:
    """The simulator as the environment sets it.

    Raises:
        pydantic.ValidationError: one of its variables is missing or malformed; the message names it.
    """
    return SimulatedGateway(database, SimulatorSettings.from_environment())


class SimulatedGateway:
    """`PaymentGateway` over the `gateway` schema."""

    def __init__(self, database: Database, settings: SimulatorSettings) -> None:
        self._database = database
        self._settings = settings

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        self._take_time()
        outcome, payment = self._database.transact(lambda connection: self._decide(connection, key, charge))
        # A test method that fails says nothing about the gateway; the rates are the gateway's own.
        gateway_at_fault = charge.method == RATED_METHOD
        match outcome:
            case _Outcome.DECLINE | _Outcome.SUSPECT_FRAUD:
                failure = business_failure(payment.error or "") or PaymentDeclined
                raise failure(f"the gateway declined payment {payment.payment_id}")
            case _Outcome.FAIL:
                raise PaymentGatewayUnavailable(
                    "the payment failed technically", gateway_at_fault=gateway_at_fault
                )
            case _Outcome.CHARGE_THEN_TIME_OUT:
                raise PaymentGatewayTimeout(
                    "the gateway did not answer in time", gateway_at_fault=gateway_at_fault
                )
        return payment

    def find(self, key: str) -> GatewayPayment | None:
        self._take_time()
        return self._database.transact_alone(lambda connection: _find(connection, key))

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        self._take_time()
        parameters = {"key": key, "payment_id": uuid7(), "amount": charge.amount, "currency": charge.currency}
        return self._database.transact_alone(
            lambda connection: _payment(_while_up(connection.execute(_VOID, parameters).first()))
        )

    def refund(self, key: str) -> GatewayPayment:
        self._take_time()

        def work(connection: Connection) -> GatewayPayment:
            connection.execute(_REFUND, {"key": key})
            found = _find(connection, key)
            if found is None or found.status is not GatewayStatus.REFUNDED:
                raise NothingToRefund(f"nothing was captured under {key}")
            return found

        return self._database.transact(work)

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        self._take_time()
        parameters = {"key": key, "refund_key": refund_key, "amount": amount}

        def work(connection: Connection) -> GatewayPayment:
            connection.execute(_REFUND_PART, parameters)
            found = _find(connection, key)
            if found is None or not connection.scalar(_IS_GRANTED, parameters):
                raise RefundRefused("more than is left of the payment")
            return found

        return self._database.transact(work)

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        return [
            GatewayRefund(str(row.refund_id), row.refund_key, row.amount)
            for row in self._find_all(_FIND_REFUNDS, key)
            if row.refund_id is not None
        ]

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        return [
            GatewayDispute(
                str(row.dispute_id), row.amount, row.currency, row.reason, DisputeStatus(row.status)
            )
            for row in self._find_all(_FIND_DISPUTES, key)
            if row.dispute_id is not None
        ]

    def _find_all(self, statement: TextClause, key: str) -> Sequence[Row[Any]]:
        self._take_time()
        rows = self._database.transact_alone(
            lambda connection: connection.execute(statement, {"key": key}).all()
        )
        if rows[0].is_down:
            raise _down()
        return rows

    def _decide(self, connection: Connection, key: str, charge: Charge) -> tuple[_Outcome, GatewayPayment]:
        parameters = {"key": key, "payment_id": uuid7(), "amount": charge.amount, "currency": charge.currency}
        row = _while_up(connection.execute(_OPEN, parameters).first())
        payment = _payment(row)
        match payment.status:
            case GatewayStatus.CAPTURED | GatewayStatus.REFUNDED:
                return _Outcome.SUCCEED, payment
            case GatewayStatus.DECLINED:
                return _Outcome.DECLINE, payment
            case GatewayStatus.ACTION_REQUIRED:
                return _Outcome.REQUIRE_ACTION, payment
            case GatewayStatus.VOIDED:
                raise StepFenced(f"payment {payment.payment_id} was voided")
        outcome = self._outcome(key, charge, row.attempts)
        match outcome:
            case _Outcome.SUCCEED | _Outcome.CHARGE_THEN_TIME_OUT:
                connection.execute(_CAPTURE, {"key": key})
                payment = GatewayPayment(payment.payment_id, GatewayStatus.CAPTURED, captured=row.amount)
            case _Outcome.DECLINE | _Outcome.SUSPECT_FRAUD:
                failure = PaymentDeclined if outcome == _Outcome.DECLINE else FraudSuspected
                connection.execute(_DECLINE, {"key": key, "error": failure.__name__})
                payment = GatewayPayment(payment.payment_id, GatewayStatus.DECLINED, failure.__name__)
            case _Outcome.REQUIRE_ACTION:
                connection.execute(_REQUIRE_ACTION, {"key": key})
                payment = _waiting(payment.payment_id)
        return outcome, payment

    def _outcome(self, key: str, charge: Charge, attempt: int) -> _Outcome:
        if charge.amount > self._settings.gateway_fraud_threshold:
            return _Outcome.SUSPECT_FRAUD
        if charge.method == "pm_card_flaky":
            return _Outcome.FAIL if attempt <= FLAKY_FAILURES else _Outcome.SUCCEED
        if charge.method != RATED_METHOD:
            # There is no such method, as a real provider would say.
            return _FIXED.get(charge.method, _Outcome.DECLINE)
        # Seeded by the attempt, so that a run can be repeated.
        roll = random.Random(f"{key} {attempt}").uniform(0, 100)
        if roll < self._settings.gateway_success_percent:
            return _Outcome.SUCCEED
        if roll < self._settings.gateway_success_percent + self._settings.gateway_retryable_percent:
            return _Outcome.FAIL
        return _Outcome.DECLINE

    def _take_time(self) -> None:
        latency_ms = random.uniform(
            self._settings.gateway_latency_min_ms, self._settings.gateway_latency_max_ms
        )
        if latency_ms > 0:
            time.sleep(latency_ms / 1000)


def _find(connection: Connection, key: str) -> GatewayPayment | None:
    row = connection.execute(_FIND, {"key": key}).one()
    if row.is_down:
        raise _down()
    return None if row.payment_id is None else _payment(row)


def _while_up(row: Row[Any] | None) -> Row[Any]:
    """The row of a statement that has none while the gateway is down."""
    if row is None:
        raise _down()
    return row


def _down() -> PaymentGatewayUnavailable:
    return PaymentGatewayUnavailable("the gateway is down")


def _payment(row: Row[Any]) -> GatewayPayment:
    status = GatewayStatus(row.status)
    if status is GatewayStatus.ACTION_REQUIRED:
        return _waiting(str(row.payment_id))
    captured = row.amount if status in (GatewayStatus.CAPTURED, GatewayStatus.REFUNDED) else 0
    return GatewayPayment(str(row.payment_id), status, row.error, captured=captured, refunded=row.refunded)


def _waiting(payment_id: str) -> GatewayPayment:
    action = CustomerAction("authenticate", f"{payment_id}_secret")
    return GatewayPayment(payment_id, GatewayStatus.ACTION_REQUIRED, action=action)
