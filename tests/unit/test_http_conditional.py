"""`ETag` and `If-None-Match`."""

from typing import Any

import pytest

from orders.conditional import etag, without_what_is_known
from orders.http import ApiModel

TAG = '"abc"'


class Thing(ApiModel):
    name: str


def answer(status: int = 200, **headers: str) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Retry-After": "1", **headers},
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_a_tag_is_quoted_and_says_the_same_of_the_same() -> None:
    assert etag(Thing(name="a")) == etag(Thing(name="a"))
    assert etag(Thing(name="a")) != etag(Thing(name="b"))
    assert etag(Thing(name="a")).startswith('"')
    assert etag(Thing(name="a")).endswith('"')


def test_a_known_answer_is_304_with_its_headers_and_without_content() -> None:
    short = without_what_is_known(answer(ETag=TAG), TAG)

    assert short == {
        "statusCode": 304,
        "headers": {"Retry-After": "1", "ETag": TAG},
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("known", [None, "", '"other"', "abc", 'w/"abc"'])
def test_an_unknown_one_is_given(known: str | None) -> None:
    assert without_what_is_known(answer(ETag=TAG), known) == answer(ETag=TAG)


def test_an_answer_without_a_version_is_given() -> None:
    assert without_what_is_known(answer(), "*") == answer()


@pytest.mark.parametrize("status", [202, 404, 503])
def test_another_status_is_given(status: int) -> None:
    assert without_what_is_known(answer(status, ETag=TAG), "*") == answer(status, ETag=TAG)
