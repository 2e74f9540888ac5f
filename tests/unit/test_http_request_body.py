"""Reading a body: whatever comes, it is one JSON object or a refusal, and nothing else is ever raised."""

import base64
import contextlib
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import (
    BodyTooLarge,
    MalformedRequest,
    RequestRefused,
    UnsupportedContentCoding,
    UnsupportedMediaType,
)
from orders.request_body import MAX_BODY_BYTES, parse_object, with_plain_body
from tools.http_event import http_event

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)


def posted(body: str | bytes, **headers: str) -> dict[str, Any]:
    return http_event("POST", "/api/v1/orders", body=body, headers=headers)


@given(json_objects)
def test_a_json_object_is_read_as_json_reads_it(body: dict[str, Any]) -> None:
    assert parse_object(json.dumps(body)) == json.loads(json.dumps(body))


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_an_object_or_a_refusal(text: str) -> None:
    with contextlib.suppress(MalformedRequest):
        assert isinstance(parse_object(text), dict)


@given(st.binary(), st.sampled_from(["application/json", "text/plain", ""]))
def test_any_bytes_are_text_or_a_refusal(body: bytes, content_type: str) -> None:
    try:
        event = with_plain_body(posted(body, **{"Content-Type": content_type}))
    except RequestRefused:
        return
    assert event["body"].encode() == body


@given(st.text(min_size=1))
def test_what_claims_to_be_base64_is_or_is_refused(body: str) -> None:
    event = {**posted("x"), "body": body, "isBase64Encoded": True}
    with contextlib.suppress(RequestRefused):
        assert isinstance(with_plain_body(event)["body"], str)


@given(json_objects.filter(bool))
def test_how_it_travels_makes_no_difference(body: dict[str, Any]) -> None:
    text = json.dumps(body, ensure_ascii=False).encode(errors="replace").decode()

    assert with_plain_body(posted(text)) == with_plain_body(posted(text.encode()))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8 ",
    ],
)
def test_json_may_be_declared_in_several_ways(content_type: str) -> None:
    event = with_plain_body(posted("{}", **{"Content-Type": content_type}))

    assert event["headers"]["content-type"] == "application/json"


def test_json_need_not_be_declared() -> None:
    assert with_plain_body(posted("{}"))["body"] == "{}"


def test_another_type_is_refused_whatever_the_body() -> None:
    for body in ("{}", " ", "x" * 100_000):
        with pytest.raises(UnsupportedMediaType):
            with_plain_body(posted(body, **{"Content-Type": "text/plain"}))


@pytest.mark.parametrize(
    "declared", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
)
def test_of_nothing_the_type_does_not_matter(declared: str) -> None:
    """Clients declare a form of their own accord: curl -d '', a browser's form, Python's urllib."""
    event = with_plain_body(posted("", **{"Content-Type": declared}))

    assert (event["body"], event["headers"]["content-type"]) == ("", "application/json")


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
def test_bytes_are_what_counts(character: str) -> None:
    width = len(character.encode())
    largest = character * (MAX_BODY_BYTES // width)
    largest += "." * (MAX_BODY_BYTES - len(largest.encode()))

    for body in (largest, largest.encode()):
        assert with_plain_body(posted(body))["body"] == largest
    for body in (largest + ".", (largest + ".").encode()):
        with pytest.raises(BodyTooLarge):
            with_plain_body(posted(body))


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_what_has_no_body_is_left_alone(method: str) -> None:
    event = http_event(method, "/", headers={"Content-Type": "text/plain"})

    assert with_plain_body(event) is event


def test_a_missing_body_is_an_empty_one() -> None:
    for event in (posted(""), http_event("POST", "/"), {**posted(""), "body": None}, posted(b"")):
        assert with_plain_body(event)["body"] == ""


@pytest.mark.parametrize("text", ["", "  \r\n"])
def test_an_empty_body_is_no_object(text: str) -> None:
    """But a route that takes none never asks for it."""
    with pytest.raises(MalformedRequest) as refused:
        parse_object(text)

    assert "empty" in refused.value.errors[0].detail


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"b":{"a":1,"a":2}}', '[{"a":1,"\\u0061":2}]'])
def test_a_name_that_appears_twice_is_named(text: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        parse_object(text)

    assert '"a"' in refused.value.errors[0].detail


def test_many_names_are_read_in_no_time() -> None:
    """Quadratic work in 64 KiB would take seconds."""
    names = ",".join(f'"{number}":0' for number in range(7000))

    assert len(parse_object(f"{{{names}}}")) == 7000


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know_are_refused(number: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_object(f'{{"a":{number}}}')


@pytest.mark.parametrize("digits", [1, 19, 20, 4300, 4301, 60_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_whole_numbers_of_any_length_stay_out_of_bounds(digits: int, sign: str) -> None:
    read = parse_object(f'{{"a":{sign}{"9" * digits}}}')["a"]

    assert isinstance(read, int)
    assert abs(read) == int("9" * digits) if digits < 19 else abs(read) > 10**17


def test_base64_is_read_strictly() -> None:
    almost = base64.b64encode(b"{}").decode() + "\n!"

    with pytest.raises(MalformedRequest):
        with_plain_body({**posted("x"), "body": almost, "isBase64Encoded": True})


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("coding", [*CODINGS, "GZIP", " gzip "])
def test_a_compressed_body_is_decoded(coding: str) -> None:
    raw = CODINGS[coding.strip().lower()](b'{"name":"caf\xc3\xa9"}')

    event = with_plain_body(posted(raw, **{"Content-Encoding": coding}))

    assert event["body"] == '{"name":"café"}'
    assert "content-encoding" not in event["headers"]


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_may_say_that_it_is_not_compressed(coding: str) -> None:
    assert with_plain_body(posted("{}", **{"Content-Encoding": coding}))["body"] == "{}"


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_is_that_of_the_decoded_body_and_a_bomb_is_never_unpacked(coding: str) -> None:
    largest = b"x" * MAX_BODY_BYTES
    assert len(
        with_plain_body(posted(CODINGS[coding](largest), **{"Content-Encoding": coding}))["body"]
    ) == len(largest)
    bomb = posted(CODINGS[coding](b"x" * 50_000_000), **{"Content-Encoding": coding})

    for event in (posted(CODINGS[coding](largest + b"x"), **{"Content-Encoding": coding}), bomb):
        tracemalloc.start()
        with pytest.raises(BodyTooLarge):
            with_plain_body(event)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "aes128gcm", "*"])
def test_another_coding_is_refused_with_those_that_are_accepted(coding: str) -> None:
    with pytest.raises(UnsupportedContentCoding) as refused:
        with_plain_body(posted(gzip.compress(b"{}"), **{"Content-Encoding": coding}))

    assert refused.value.headers == {"Accept-Encoding": "gzip, deflate"}


@pytest.mark.parametrize(
    "raw",
    [b"{}", b"", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"more", gzip.compress(b"\xff")],
    # A compressed text holds the time: the processes that run the tests would name it differently.
    ids=["not compressed", "nothing", "cut off", "with more behind it", "no text"],
)
def test_what_is_not_in_its_coding_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        with_plain_body(posted(raw, **{"Content-Encoding": "gzip"}))


@given(st.binary(), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_in_a_coding_are_text_or_a_refusal(raw: bytes, coding: str) -> None:
    with contextlib.suppress(RequestRefused):
        assert isinstance(with_plain_body(posted(raw, **{"Content-Encoding": coding}))["body"], str)


def test_a_gateway_that_decoded_it_has_left_the_header() -> None:
    """As API Gateway's REST APIs do."""
    assert with_plain_body(posted("{}", **{"Content-Encoding": "gzip"}))["body"] == "{}"


def test_what_a_gateway_made_unreadable_is_refused_as_a_coding_and_not_as_json() -> None:
    """Compressed bytes that were read as UTF-8 are lost."""
    lost = gzip.compress(b"{}").decode(errors="replace")

    with pytest.raises(UnsupportedContentCoding):
        with_plain_body(posted(lost, **{"Content-Encoding": "gzip"}))
