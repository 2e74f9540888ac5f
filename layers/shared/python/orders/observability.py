"""Structured logs, metrics and the correlation that ties them together.

The one module that knows Powertools' Logger and Metrics, so that tracing can change behind it. Logs carry ids and
codes, never contact data, payment methods or message bodies.
"""

import functools
import re
import secrets
from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders.ids import uuid7

Handler = Callable[[dict[str, Any], LambdaContext], Any]

CORRELATION_HEADER: Final = "X-Correlation-Id"

# The service name and the namespace come from Powertools' own variables, which the CDK app sets.
logger: Final = Logger()
metrics: Final = Metrics()

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def instrumented(handler: Handler) -> Handler:
    """Every handler's wrapper: the invocation's context on each log line, its metrics written at the end."""

    @logger.inject_lambda_context(clear_state=True)
    @functools.wraps(handler)
    def run(event: dict[str, Any], context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        finally:
            write_metrics()

    return run


def count(metric: str, value: float = 1, unit: MetricUnit = MetricUnit.Count) -> None:
    """Adds to a metric; it is written when the handler returns."""
    metrics.add_metric(name=metric, unit=unit, value=value)


def write_metrics() -> None:
    """Writes what was counted so far: for a handler whose end is too far away to wait for."""
    if metrics.metric_set:
        metrics.flush_metrics()


def correlate(correlation_id: str, **keys: object) -> None:
    """Puts the correlation id and further ids (order_id, event_id, …) on every log line of this invocation."""
    logger.append_keys(correlation_id=correlation_id, **keys)


def new_correlation_id() -> str:
    return str(uuid7())


def valid_correlation_id(candidate: str | None) -> str | None:
    """The caller's id if it is 8–64 characters of `A-Za-z0-9._-`, so that it can stand in a log line or a header."""
    return candidate if candidate is not None and _CORRELATION_ID.fullmatch(candidate) else None


def new_traceparent() -> str:
    """A fresh W3C Trace Context header value, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def valid_traceparent(candidate: str | None) -> str | None:
    """The caller's `traceparent` if it is well-formed (version 00)."""
    return candidate if candidate is not None and _TRACEPARENT.fullmatch(candidate) else None
