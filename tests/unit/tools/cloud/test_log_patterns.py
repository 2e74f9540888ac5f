"""The emulator's CloudWatch Logs finds lines of JSON by their fields, as AWS does."""

import pytest

from tools.cloud.log_patterns import with_json

LINE = '{"order_id": "018f-1", "correlation_id": "c-1", "message": "says 018f-2"}'
PATTERNS = with_json(lambda pattern: lambda line: pattern == "the emulator's own")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ('{ $.order_id = "018f-1" }', True),
        ('{ ($.order_id = "018f-2") || ($.correlation_id = "c-1") }', True),
        ('{ ($.order_id = "018f-2") || ($.correlation_id = "c-2") }', False),
        ('{ $.target = "018f-1" }', False),
    ],
)
def test_one_of_the_fields_is_enough(pattern: str, found: bool) -> None:
    assert PATTERNS(pattern)(LINE) is found


@pytest.mark.parametrize("line", ["START RequestId: 018f-1", '["018f-1"]', '"018f-1"', "018f-1", "{018f-1"])
def test_what_is_no_object_is_not_found(line: str) -> None:
    assert not PATTERNS('{ $.order_id = "018f-1" }')(line)


@pytest.mark.parametrize("pattern", ["the emulator's own"])
def test_any_other_pattern_is_the_emulator_s(pattern: str) -> None:
    assert PATTERNS(pattern)(LINE)
    assert not PATTERNS("{ $.order_id > 3 }")(LINE)
