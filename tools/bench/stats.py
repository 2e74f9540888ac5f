"""The few statistics that the benchmarks need."""

import statistics
from collections.abc import Sequence


def p50(values: Sequence[float]) -> float:
    return percentile(values, 50)


def p95(values: Sequence[float]) -> float:
    return percentile(values, 95)


def percentile(values: Sequence[float], rank: int) -> float:
    """Linear between the neighbours, as `percentile_cont` in Postgres."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[rank - 1]


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """How many times as much `over` is than `under`, which were measured in alternating rounds.

    The median of the rounds' own ratios: a disturbance of some rounds hits both sides of them, or is an outlier.
    """
    return statistics.median(one / other for one, other in zip(over, under, strict=True))
