"""A circuit breaker around the payment gateway: one circuit for all processes, in one row, on the database's clock.

When too large a share of the calls of a short time fails, nobody calls the gateway for a while; then one call goes
through as a probe, and decides. A call fails if the gateway refuses to work, cannot be reached or takes too long. A
decline is an answer, so it counts as a sign of health; a payment method or an input that fails by itself says nothing
about the gateway, and counts as neither. While the circuit is open a call fails at once with
`PaymentGatewayCircuitOpen`, on which an order waits: it is not cancelled.
"""

from collections.abc import Callable, Sequence
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
from orders.payments.gateway import (
    Charge,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    NothingToRefund,
    PaymentGateway,
    RefundRefused,
)

T = TypeVar("T")

CIRCUIT: Final = "payment-gateway"
SHORTEST_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Policy:
    """When the circuit opens, and for how long. Calls are counted over all processes."""

    window_seconds: float = 30
    """Calls are counted for so long from a failure on."""
    calls: int = 10
    """Fewer of them than this say nothing."""
    failure_share: float = 0.5
    """Of the calls counted."""
    keys: int = 3
    """Payments that must have failed, so that the retries of one do not stop the others."""
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

# A window begins with a failure, so that nothing is written while the gateway works. Failures of calls that were under
# way when the circuit opened change nothing, nor do their successes.
_IS_LIVE: Final = "breaker.window_started_at > now() - make_interval(secs => :window_seconds)"
_FAILED: Final = text(f"""
    INSERT INTO circuit_breakers AS breaker (name, window_started_at, calls, failures, failing_keys)
    VALUES (:name, now(), 1, 1, ARRAY[CAST(:key AS text)])
    ON CONFLICT (name) DO UPDATE
    SET (window_started_at, calls, failures, failing_keys, open_until, updated_at) = (
        SELECT counted.*,
               CASE WHEN calls >= :calls AND failures >= CAST(:failure_share AS float8) * calls
                         AND cardinality(failing_keys) >= :keys
                    THEN now() + make_interval(secs => :open_seconds) END,
               now()
        FROM (
            SELECT breaker.window_started_at, breaker.calls + 1 AS calls, breaker.failures + 1 AS failures,
                   CASE WHEN CAST(:key AS text) = ANY (breaker.failing_keys)
                             OR cardinality(breaker.failing_keys) >= :keys THEN breaker.failing_keys
                        ELSE breaker.failing_keys || CAST(:key AS text) END AS failing_keys
            WHERE {_IS_LIVE}
            UNION ALL
            SELECT now(), 1, 1, ARRAY[CAST(:key AS text)] WHERE NOT coalesce({_IS_LIVE}, false)
        ) AS counted
    )
    WHERE breaker.open_until IS NULL
    RETURNING open_until IS NOT NULL AS has_changed
""")
_WORKED: Final = text(f"""
    UPDATE circuit_breakers AS breaker SET calls = calls + 1, updated_at = now()
    WHERE name = :name AND open_until IS NULL AND {_IS_LIVE}
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
    SET window_started_at = NULL, calls = 0, failures = 0, failing_keys = '{}',
        open_until = NULL, probe = NULL, probe_until = NULL, updated_at = now()
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
        return self._guard(key, lambda: self._gateway.capture(key, charge))

    def find(self, key: str) -> GatewayPayment | None:
        # A gateway that can read its records may still be unable to charge: a look that works proves nothing.
        return self._guard(key, lambda: self._gateway.find(key), is_proof=False)

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        return self._guard(key, lambda: self._gateway.void(key, charge))

    def refund(self, key: str) -> GatewayPayment:
        return self._guard(key, lambda: self._gateway.refund(key))

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        return self._guard(key, lambda: self._gateway.refund_part(key, refund_key, amount))

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        return self._guard(key, lambda: self._gateway.find_refunds(key), is_proof=False)

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        return self._guard(key, lambda: self._gateway.find_disputes(key), is_proof=False)

    def _guard(self, key: str, call: Callable[[], T], *, is_proof: bool = True) -> T:
        """Makes the call, unless the circuit is open. `is_proof`: an answer shows that the gateway works.

        Raises:
            PaymentGatewayCircuitOpen: the call was not made.
        """
        probe = self._admit()
        try:
            answer = call()
        except PaymentGatewayUnavailable as error:
            if error.gateway_at_fault:
                self._failed(probe, key)
            else:
                self._answered(probe, is_proof=False)
            raise
        except (BusinessFailure, SagaConflict, NothingToRefund, RefundRefused):
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

    def _failed(self, probe: UUID | None, key: str) -> None:
        if self._record(_FAILED if probe is None else _PROBE_FAILED, probe, key):
            count(Metric.CIRCUIT_OPENED)
            logger.warning("The payment gateway is given a rest", seconds=self._policy.open_seconds)

    def _answered(self, probe: UUID | None, is_proof: bool) -> None:
        if probe is None:
            if is_proof:
                self._record(_WORKED, probe)
        elif self._record(_PROBE_WORKED if is_proof else _PROBE_UNDECIDED, probe):
            count(Metric.CIRCUIT_CLOSED)
            logger.info("The payment gateway works again")

    def _record(self, statement: TextClause, probe: UUID | None, key: str | None = None) -> bool:
        """Records how a call went. Returns whether that opened or closed the circuit.

        A database that cannot be reached is only logged: the caller needs what the gateway returned.
        """
        parameters = {
            "name": CIRCUIT,
            "probe": probe,
            "key": key,
            "window_seconds": self._policy.window_seconds,
            "calls": self._policy.calls,
            "failure_share": self._policy.failure_share,
            "keys": self._policy.keys,
            "open_seconds": self._policy.open_seconds,
        }
        try:
            return bool(
                self._database.transact_alone(lambda connection: connection.scalar(statement, parameters))
            )
        except DatabaseUnavailable:
            logger.warning("The circuit breaker could not be told how a call went", exc_info=True)
            return False
