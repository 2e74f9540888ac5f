"""A trace in W3C's form and in X-Ray's, and which one a request is part of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.tracing import (
    current_traceparent,
    message_attributes,
    new_traceparent,
    trace_id,
    traceparent_of,
    tracing_header,
    valid_traceparent,
)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADER = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
OF_LAMBDA = "Root=1-5e6722a7-cc56fa1246db7ae02d4da47e;Parent=5e6722a7cc56fa12;Sampled=0;Lineage=1:a87bd80c:0"
MALFORMED = [
    "",
    "garbage",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
    f"{TRACEPARENT}\n",
    f'{TRACEPARENT}\n{{"level":"ERROR"}}',
    f"{TRACEPARENT},{TRACEPARENT}",
    TRACEPARENT.replace("b", "é"),
]


def test_a_trace_is_the_same_in_both_forms() -> None:
    assert tracing_header(TRACEPARENT) == HEADER
    assert traceparent_of(HEADER) == TRACEPARENT
    assert trace_id(TRACEPARENT) == "1-0af76519-16cd43dd8448eb211c80319c"


@pytest.mark.parametrize(("flags", "sampled"), [("00", "0"), ("01", "1"), ("03", "1"), ("02", "0")])
def test_of_the_flags_only_the_one_for_sampling_counts(flags: str, sampled: str) -> None:
    assert tracing_header(TRACEPARENT[:-2] + flags) == HEADER[:-1] + sampled


@pytest.mark.parametrize("malformed", MALFORMED)
def test_what_is_malformed_is_no_trace(malformed: str) -> None:
    assert valid_traceparent(malformed) is None
    assert tracing_header(malformed) is None
    assert trace_id(malformed) is None
    assert message_attributes(malformed) == {}


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        "Root",
        "Root=",
        ";;=;",
        HEADER.replace("Root=1", "Root=2"),
        HEADER.replace("Parent=b", "Parent=x"),
        HEADER.replace("19c;", "19c\n;"),
        "Root=1-00000000-000000000000000000000000;Parent=b7ad6b7169203331;Sampled=1",
    ],
)
def test_a_malformed_tracing_header_is_no_trace(malformed: str | None) -> None:
    assert traceparent_of(malformed) is None


@given(st.text())
def test_no_text_makes_a_trace_that_is_none(text: str) -> None:
    for found in (valid_traceparent(text), traceparent_of(text)):
        assert found is None or tracing_header(found)


def test_a_tracing_header_without_a_parent_gets_one() -> None:
    found = traceparent_of("Root=1-0af76519-16cd43dd8448eb211c80319c")
    assert found is not None
    assert (trace_id(found), found[-2:]) == (trace_id(TRACEPARENT), "00")


def test_a_request_is_part_of_its_callers_trace() -> None:
    assert current_traceparent({"traceparent": TRACEPARENT}) == TRACEPARENT


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_header_is_ignored(malformed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert valid_traceparent(current_traceparent({"traceparent": malformed})) != malformed
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_LAMBDA)
    assert current_traceparent({"traceparent": malformed}) == traceparent_of(OF_LAMBDA)


def test_without_a_header_it_is_the_invocations_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_LAMBDA)
    assert current_traceparent() == "00-5e6722a7cc56fa1246db7ae02d4da47e-5e6722a7cc56fa12-00"


def test_a_caller_does_not_decide_what_x_ray_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_LAMBDA)
    assert current_traceparent({"traceparent": TRACEPARENT}) == TRACEPARENT[:-2] + "00"


def test_elsewhere_than_in_lambda_each_request_has_a_new_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    first, second = current_traceparent(), current_traceparent()
    assert trace_id(first)
    assert trace_id(first) != trace_id(second)
    assert trace_id(new_traceparent())
