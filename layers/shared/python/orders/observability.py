"""Structured logs, metrics and the correlation that ties them together.

The one module that knows Powertools' Logger and Metrics. Logs carry ids and
codes, never contact data, payment methods or message bodies; and no line is longer than `MAX_LINE`, whatever a request
or a message holds.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders.contract import Metric
from orders.errors import (
    BusinessFailure,
    PaymentActionRequired,
    RequestRefused,
    SagaConflict,
    TransientFailure,
)
from orders.ids import uuid7
from orders.tracing import trace_id

Handler = Callable[[dict[str, Any], LambdaContext], Any]

CORRELATION_HEADER: Final = "X-Correlation-Id"

MAX_LINE: Final = 16 * 1024
"""Characters of one log line."""
MAX_TEXT: Final = 4 * 1024
"""Characters of one value in it."""
MAX_VALUES: Final = 50
"""Values of one list or object in it."""
MAX_ERROR_TEXT: Final = 300
"""Characters of an error's text, as the runtime prints it and Step Functions keeps it."""
_MAX_DEPTH: Final = 4
_MAX_BITS: Final = 128
# `service` is the function's name, and the template knows the rest: 180 bytes of each line, which cost money.
_LEFT_OUT: Final = frozenset({"function_name", "function_memory_size", "function_arn"})


def _line(log: Mapping[str, Any]) -> str:
    """One log line in JSON, within the bounds above."""
    log = {name: value for name, value in log.items() if name not in _LEFT_OUT}
    line = json.dumps(_bounded(log), default=str, separators=(",", ":"))
    if len(line) <= MAX_LINE:
        return line
    # Many values, each within its bound: what finds the line again is short, and stays.
    short = {
        name: value for name, value in log.items() if isinstance(value, str) and len(value) <= MAX_ERROR_TEXT
    }
    cut = dict(list(short.items())[:MAX_VALUES])
    return json.dumps({**cut, "cut": f"{len(line)} characters"}, default=str, separators=(",", ":"))


def _bounded(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return shortened(value, MAX_TEXT)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) and depth == _MAX_DEPTH:
        return f"({len(value)} values)"
    if isinstance(value, Mapping):
        # The line's own keys are ours, and few.
        kept = list(value.items())[: MAX_VALUES if depth else None]
        return {shortened(str(name), MAX_ERROR_TEXT): _bounded(one, depth + 1) for name, one in kept}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_bounded(one, depth + 1) for one in list(value)[:MAX_VALUES]]
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        # Python refuses to write more than 4,300 digits.
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return shortened(str(value), MAX_TEXT)


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters: its beginning and its end, which of a traceback is what was raised."""
    if len(text) <= limit:
        return text
    half = (limit - 40) // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


# The service name and the namespace come from Powertools' own variables, which the CDK app sets.
logger: Final = Logger(json_serializer=_line, use_rfc3339=True)
metrics: Final = Metrics()

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


_EXPECTED: Final = (
    BusinessFailure,
    PaymentActionRequired,
    SagaConflict,
    TransientFailure,
    RequestRefused,
)


class Failed(Exception):
    """Stands for an error whose text is too long for the runtime's log: it is raised under that error's name."""


def instrumented(handler: Handler, *, failed: str = "Invocation failed") -> Handler:
    """Every handler's wrapper: the invocation's context on each log line, its metrics written at the end.

    An error that the handler raises is logged here, once, with the message `failed` and the ids that were given to
    `correlate`. The runtime prints it again in a line of its own, which therefore gets the error's name and a short
    text, and no traceback of our code.
    """

    @logger.inject_lambda_context(clear_state=True)
    @functools.wraps(handler)
    def run(event: dict[str, Any], context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        except Exception as error:
            log_failure(failed, error)
            raise _for_the_runtime(error) from None
        finally:
            write_metrics()

    return run


def log_failure(message: str, error: BaseException, **facts: object) -> None:
    """Logs a failure where it is handled. What the business refuses, what another part of the saga forbids, what waits
    for a customer and what is worth another try are warnings, by their name and their own words; anything else is an
    error with its traceback."""
    facts = {"error": type(error).__name__, **facts}
    if isinstance(error, _EXPECTED):
        cause = error.__cause__
        because = {"caused_by": type(cause).__name__} if cause else {}
        logger.warning(message, extra={**facts, **because, "detail": shortened(str(error), MAX_ERROR_TEXT)})
    else:
        logger.error(message, extra=facts, exc_info=error)


def _for_the_runtime(error: Exception) -> Exception:
    text = str(error)
    if len(text) <= MAX_ERROR_TEXT:
        return error.with_traceback(None)
    # Step Functions matches the name; a sub-type's constructor may take anything.
    namesake: type[Failed] = type(type(error).__name__, (Failed,), {})
    return namesake(shortened(text, MAX_ERROR_TEXT))


def count(metric: str, value: float = 1, unit: MetricUnit = MetricUnit.Count) -> None:
    """Adds to a metric; it is written when the handler returns."""
    metrics.add_metric(name=metric, unit=unit, value=value)


def record_request(route_key: str, milliseconds: float) -> None:
    """Writes how long a request took, by the key of its route, e.g. `GET /api/v1/orders/{orderId}`. One without a
    route of its own (`$default`) is left out: its method may be anything."""
    method, _, route = route_key.partition(" ")
    if route:
        with single_metric(Metric.REQUEST_DURATION, MetricUnit.Milliseconds, milliseconds) as metric:
            metric.add_dimension("method", method)
            metric.add_dimension("route", route)


def write_metrics() -> None:
    """Writes what was counted so far: for a handler whose end is too far away to wait for."""
    if metrics.metric_set:
        metrics.flush_metrics()


def correlate(correlation_id: str, traceparent: str = "", **keys: object) -> None:
    """Puts the correlation id, the id of the trace and further ids (order_id, event_id, …) on every log line of this
    invocation. Without a well-formed trace the one that is there stays."""
    known = trace_id(traceparent)
    logger.append_keys(correlation_id=correlation_id, **({"trace_id": known} if known else {}), **keys)


def new_correlation_id() -> str:
    return str(uuid7())


def valid_correlation_id(candidate: str | None) -> str | None:
    """The caller's id if it is 8–64 characters of `A-Za-z0-9._-`, so that it can stand in a log line or a header."""
    return candidate if candidate is not None and _CORRELATION_ID.fullmatch(candidate) else None
