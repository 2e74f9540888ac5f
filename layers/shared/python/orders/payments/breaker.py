"""A circuit breaker around the payment gateway: one circuit for all processes, in one row, on the database's clock.

After so many technical failures in a row, whoever met them, nobody calls the gateway for a while; then one call goes
through as a probe, and decides. A decline is an answer, so it counts as a sign of health. While the circuit
is open a call fails at once with `PaymentGatewayCircuitOpen`, on which an order waits: it is not cancelled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import TextClause, text

from orders.contract import Metric
from orders.db import Database
from orders.errors import (
    BusinessFailure,
    DatabaseUnavailable,
    PaymentGatewayCircuitOpen,
    PaymentGatewayUnavailable,
    SagaConflict,
)
from orders.observability import count, logger
from orders.payments.gateway import Charge, GatewayPayment, NothingToRefund, PaymentGateway

T = TypeVar("T")

CIRCUIT: Final = "payment-gateway"
SHORTEST_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Policy:
    """When the circuit opens, and for how long."""

    failures: int = 5
    """Technical failures in a row, over all processes. At least 2."""
    open_seconds: float = 60
    probe_seconds: float = 30
    """A probe that has not ended by then is taken for lost with its process. Longer than a saga step may run."""


POLICY: Final = Policy()

_ADMIT: Final = text("""
    WITH claimed AS (
        UPDATE circuit_breakers SET probe = :probe, probe_until = now() + make_interval(secs => :probe_seconds)
        WHERE name = :name AND open_until <= now()
          AND (probe_until IS NULL OR probe_until <= now() OR probe = :probe)
        RETURNING name
    )
    SELECT claimed.name IS NOT NULL AS is_probe,
           CAST(extract(epoch FROM greatest(open_until, probe_until) - now()) AS float8) AS wait_seconds
    FROM circuit_breakers LEFT JOIN claimed USING (name)
    WHERE name = :name AND open_until IS NOT NULL
""")

# Failures of calls that were under way when the circuit opened change nothing, nor do their successes.
_FAILED: Final = text("""
    INSERT INTO circuit_breakers AS breaker (name, failures) VALUES (:name, 1)
    ON CONFLICT (name) DO UPDATE
    SET failures = breaker.failures + 1, updated_at = now(),
        open_until = CASE WHEN breaker.failures + 1 >= :limit THEN now() + make_interval(secs => :open_seconds) END
    WHERE breaker.open_until IS NULL
    RETURNING open_until IS NOT NULL AS has_changed
""")
_WORKED: Final = text("""
    UPDATE circuit_breakers SET failures = 0, updated_at = now()
    WHERE name = :name AND failures > 0 AND open_until IS NULL
    RETURNING false AS has_changed
""")

# A probe that ends after its time changes nothing: the next one decides.
_PROBE_FAILED: Final = text("""
    UPDATE circuit_breakers
    SET open_until = now() + make_interval(secs => :open_seconds), probe = NULL, probe_until = NULL, updated_at = now()
    WHERE name = :name AND probe = :probe
    RETURNING true AS has_changed
""")
_PROBE_WORKED: Final = text("""
    UPDATE circuit_breakers
    SET failures = 0, open_until = NULL, probe = NULL, probe_until = NULL, updated_at = now()
    WHERE name = :name AND probe = :probe
    RETURNING true AS has_changed
""")
_PROBE_UNDECIDED: Final = text("""
    UPDATE circuit_breakers SET probe = NULL, probe_until = NULL
    WHERE name = :name AND probe = :probe
    RETURNING false AS has_changed
""")


class CircuitBreaker:
    """A `PaymentGateway` that is another one, as long as that works.

    A call costs two statements of one round trip each: one that asks whether it may be made, and one that says how it
    went. A process cannot know without asking whether others have met failures meanwhile.
    """

    def __init__(self, gateway: PaymentGateway, database: Database, policy: Policy = POLICY) -> None:
        self._gateway = gateway
        self._database = database
        self._policy = policy

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        return self._guard(lambda: self._gateway.capture(key, charge))

    def find(self, key: str) -> GatewayPayment | None:
        # A gateway that can read its records may still be unable to charge: a look that works proves nothing.
        return self._guard(lambda: self._gateway.find(key), is_proof=False)

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        return self._guard(lambda: self._gateway.void(key, charge))

    def refund(self, key: str) -> GatewayPayment:
        return self._guard(lambda: self._gateway.refund(key))

    def _guard(self, call: Callable[[], T], *, is_proof: bool = True) -> T:
        """Makes the call, unless the circuit is open. `is_proof`: an answer shows that the gateway works.

        Raises:
            PaymentGatewayCircuitOpen: the call was not made.
        """
        probe = self._admit()
        try:
            answer = call()
        except PaymentGatewayUnavailable:
            self._failed(probe)
            raise
        except (BusinessFailure, SagaConflict, NothingToRefund):
            self._answered(probe, is_proof)
            raise
        self._answered(probe, is_proof)
        return answer

    def _admit(self) -> UUID | None:
        """The probe that the call is, if it is one; None for an ordinary call."""
        probe = uuid4()
        parameters = {"name": CIRCUIT, "probe": probe, "probe_seconds": self._policy.probe_seconds}
        circuit = self._database.transact_alone(
            lambda connection: connection.execute(_ADMIT, parameters).first()
        )
        if circuit is None:
            return None
        if circuit.is_probe:
            logger.info("The payment gateway is probed")
            return probe
        count(Metric.CIRCUIT_REFUSED)
        # Whoever claimed the probe just now is not in what this statement saw.
        raise PaymentGatewayCircuitOpen(max(circuit.wait_seconds, SHORTEST_WAIT_SECONDS))

    def _failed(self, probe: UUID | None) -> None:
        if self._record(_FAILED if probe is None else _PROBE_FAILED, probe):
            count(Metric.CIRCUIT_OPENED)
            logger.warning("The payment gateway is given a rest", seconds=self._policy.open_seconds)

    def _answered(self, probe: UUID | None, is_proof: bool) -> None:
        if probe is None:
            if is_proof:
                self._record(_WORKED, probe)
        elif self._record(_PROBE_WORKED if is_proof else _PROBE_UNDECIDED, probe):
            count(Metric.CIRCUIT_CLOSED)
            logger.info("The payment gateway works again")

    def _record(self, statement: TextClause, probe: UUID | None) -> bool:
        """Records how a call went. Returns whether that opened or closed the circuit.

        A database that cannot be reached is only logged: the caller needs what the gateway returned.
        """
        parameters = {
            "name": CIRCUIT,
            "probe": probe,
            "limit": self._policy.failures,
            "open_seconds": self._policy.open_seconds,
        }
        try:
            return bool(
                self._database.transact_alone(lambda connection: connection.scalar(statement, parameters))
            )
        except DatabaseUnavailable:
            logger.warning("The circuit breaker could not be told how a call went", exc_info=True)
            return False
