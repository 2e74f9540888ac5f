"""What requests may hold, and what is said of anything else."""

import json
import re
from typing import Any

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from functions.create_order.models import Contact
from functions.manage_catalogue.models import NewAdjustment, NewProduct, ProductChange
from functions.webhooks.models import RegisterWebhook
from orders.addresses import _COMMON_ADDRESS, deliverable_address
from orders.fields import MAX_TEXT, Currency, Email, Text
from orders.operator_actions import Note, WithNote

EMAIL: TypeAdapter[str] = TypeAdapter(Email)
TEXT: TypeAdapter[str] = TypeAdapter(Text)
NOTE: TypeAdapter[str] = TypeAdapter(Note)
CURRENCY: TypeAdapter[str] = TypeAdapter(Currency)


def refusal(kind: TypeAdapter[str], value: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        kind.validate_python(value, strict=True)
    (error,) = refused.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("a..b@example.com", "two periods in a row"),
        ("0@0.a", "no top-level domain of one letter"),
        (".ada@example.com", "cannot start with a period"),
        ("ada.@example.com", "period immediately before the @-sign"),
        ("ada", "must have an @-sign"),
        ("", "must have an @-sign"),
        ("@example.com", "There must be something before the @-sign"),
        ("ada@", "There must be something after the @-sign"),
        ("ada@example", "should have a period"),
        ("ada@localhost", "should have a period"),
        ("ada@[127.0.0.1]", "bracketed IP address"),
        ("ada@127.0.0.1", "not within a valid top-level domain"),
        ("ada@ex_ample.com", "invalid characters: '_'"),
        ("ada@-example.com", "hyphen immediately after the @-sign"),
        ("ada@example..com", "two periods in a row"),
        ("ada@example.com.", "cannot end with a period"),
        ("ada@shop.test", "special-use or reserved"),
        ("ada@printer.local", "special-use or reserved"),
        ('"ada lovelace"@example.com', "Quoting"),
        ("Ada <ada@example.com>", "display name"),
        ("ада@example.com", "Internationalized characters before the @-sign"),
        ("ada@example.com\n", "invalid characters"),
        ("ada@exam\u200bple.com", "unsafe characters"),
        ("ada@xn--zzzzzzzzzzzzzz.com", "not valid IDNA"),
        ("a" * 65 + "@example.com", "too long before the @-sign"),
        ("ada@" + "b" * 250 + ".com", "more than 254 characters"),
        ("ada@" + ".".join(["ü" * 20] * 11) + ".de", "too many after IDNA encoding"),
    ],
)
def test_an_address_that_takes_no_mail_is_refused_with_the_reason(address: str, reason: str) -> None:
    told = refusal(EMAIL, address)

    assert told.startswith("This must be an address that mail can be sent to. ")
    assert reason in told


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("ada@example.xn--p1ai", "ada@example.xn--p1ai"),
        ("ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"),
        ("ada@bücher.de", "ada@xn--bcher-kva.de"),
        ("ada@faß.de", "ada@xn--fa-hia.de"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        ("Ada.Lovelace+shop@Example.COM", "Ada.Lovelace+shop@example.com"),
        ("o'brien@ex-ample.co.uk", "o'brien@ex-ample.co.uk"),
        ("{ada}!#$%&*/=?^`|~@example.com", "{ada}!#$%&*/=?^`|~@example.com"),
        ("a@b.museum", "a@b.museum"),
    ],
)
def test_an_address_is_kept_as_mail_is_sent_to_it(address: str, sent_to: str) -> None:
    assert EMAIL.validate_python(address) == sent_to
    assert Contact.model_validate({"email": address}).email == sent_to
    assert sent_to.isascii()


NAMES = st.lists(st.text("abyzAZ09_+-", min_size=1, max_size=5), min_size=1, max_size=3).map(".".join)
LABELS = st.lists(st.text("abyz09-", min_size=1, max_size=5), min_size=1, max_size=3).map(".".join)


@given(
    st.builds("{}@{}.{}".format, NAMES, LABELS, st.sampled_from(["com", "net", "org"])).filter(
        _COMMON_ADDRESS.fullmatch
    )
)
def test_the_validator_has_nothing_to_say_of_a_common_address(address: str) -> None:
    found = validate_email(address, allow_smtputf8=False, check_deliverability=False, strict=True)

    assert found.ascii_email == address == deliverable_address(address)


@given(st.text(max_size=300) | st.emails())
def test_whatever_is_sent_as_an_address_is_refused_or_is_one(address: str) -> None:
    try:
        sent_to = deliverable_address(address)
    except ValueError:
        return
    assert sent_to.isascii()
    assert sent_to.isprintable()
    assert len(sent_to) <= 254
    assert deliverable_address(sent_to) == sent_to


@pytest.mark.parametrize(
    "code",
    [
        "YEN",
        "ZZZ",
        "XXX",
        "XTS",
        "XAU",
        "XDR",
        "XAD",
        "CHE",
        "USN",
        "CLF",
        "UYW",
        "HRK",
        "usd",
        "US",
        " USD",
        "",
    ],
)
def test_what_nobody_pays_with_is_no_currency(code: str) -> None:
    assert "currency in circulation" in refusal(CURRENCY, code)


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "KWD", "XOF", "XCG", "ZWG"])
def test_currencies_in_circulation_are_accepted_and_listed(code: str) -> None:
    assert CURRENCY.validate_python(code) == code
    assert code in CURRENCY.json_schema()["enum"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\u2028b", "line or paragraph separator: U+2028"),
        ("a\u2029b", "line or paragraph separator: U+2029"),
        ("Poster \u202egpj.exe", "direction of text: U+202E"),
        ("a\u2066b\u2069", "direction of text: U+2066"),
        ("a\u200eb", "direction of text: U+200E"),
        ("a\u200fb", "direction of text: U+200F"),
        ("a\u061cb", "direction of text: U+061C"),
        ("a\u0085b", "control character: U+0085"),
        ("a\u009b31mb", "control character: U+009B"),
        ("a\x1b[2Jb", "control character: U+001B"),
        ("a\nb", "control character: U+000A"),
        ("a\x00b", "control character: U+0000"),
        ("a\x7fb", "control character: U+007F"),
        ("a\ufdd0b", "no character: U+FDD0"),
        ("a\uffffb", "no character: U+FFFF"),
        ("a\U0001fffeb", "no character: U+1FFFE"),
        ("a\U000effffb", "no character: U+EFFFF"),
        ("a\ue000b", "private-use character: U+E000"),
        ("a\U0010ffffb", "private-use character: U+10FFFF"),
        ("\u200b", "shows nothing: U+200B"),
        ("a\u200bb", "shows nothing: U+200B"),
        ("\u3164", "shows nothing: U+3164"),
        ("\u3164\u3164", "shows nothing: U+3164"),
        ("\ufeffa", "shows nothing: U+FEFF"),
        ("a\u2060b", "shows nothing: U+2060"),
        ("so\u00adft", "shows nothing: U+00AD"),
        ("a\U000e0041b", "shows nothing: U+E0041"),
        ("\U0001f3f4\U000e0041", "shows nothing: U+E0041"),
        ("\u200d", "U+200D"),
        ("\u200c\u200c", "U+200C"),
        ("\ufe0f", "U+FE0F"),
        ("\U000e0100", "U+E0100"),
        ("\u200da", "U+200D"),
        ("a \u200db", "U+200D"),
        ("a\u200c\u200cb", "U+200C"),
        ("a\ufe01\ufe02", "U+FE02"),
        ("\u2800", "space"),
        ("", "1 to 200 characters"),
        (" ", "space"),
        (" a", "space"),
        ("a ", "space"),
        ("\u00a0a", "space"),
        ("a\u3000", "space"),
        ("x" * 201, "1 to 200 characters"),
        # One code point as it is sent, three in NFC.
        ("\U0001d160" * 100, "1 to 200 characters"),
    ],
)
def test_text_that_is_not_what_it_shows_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in refusal(TEXT, text)
    if "200 characters" not in reason:
        assert reason in refusal(NOTE, text)


@pytest.mark.parametrize(
    "text",
    [
        "Poster",
        "Poster [/] <b>&amp;",
        "می\u200cخواهم",
        "क्\u200dष",
        "അവന\u0d4d\u200d",
        "👩\u200d💻 desk",
        "👁\ufe0f\u200d🗨\ufe0f",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "🇪🇸 👍🏽",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "葛\U000e0100城",
        "שלום 123",
        "مرحبا",
        "日本語　テキスト",
        "⠓⠑⠇⠇⠕\u2800⠺⠕⠗⠇⠙",
        "ᠨ\u180eᠠ",
        "12\u00a0000 lm",
        "x" * MAX_TEXT,
        "\U0001fbfa",
    ],
)
def test_words_of_every_language_are_accepted(text: str) -> None:
    assert TEXT.validate_python(text) == text


def test_text_is_kept_in_nfc() -> None:
    assert TEXT.validate_python("Cafe\u0301") == "Café"


@given(st.text(max_size=40))
def test_what_is_accepted_fits_the_document_and_stays_as_it_is(text: str) -> None:
    """The document may allow what is refused with a reason; it never forbids what is accepted."""
    schema = TEXT.json_schema()
    try:
        accepted = TEXT.validate_python(text)
    except ValidationError:
        return
    assert re.search(schema["pattern"], accepted)
    assert TEXT.validate_python(accepted) == accepted


def test_the_document_spells_characters_that_are_not_seen() -> None:
    assert json.dumps(TEXT.json_schema()).isascii()
    assert "\u202e" not in json.dumps(TEXT.json_schema(), ensure_ascii=False)


@pytest.mark.parametrize("text", ["a\u2028b", "a\u202eb", "a\x9bb", "\u200b"])
@pytest.mark.parametrize(
    ("model", "field", "others"),
    [
        (NewProduct, "name", {"unitPrice": 1, "currency": "USD", "stock": 1}),
        (ProductChange, "name", {}),
        (NewAdjustment, "reason", {"delta": 1}),
        (RegisterWebhook, "description", {"url": "https://a.example/"}),
        (WithNote, "note", {}),
    ],
)
def test_every_text_that_others_read_is_checked(
    model: Any, field: str, others: dict[str, Any], text: str
) -> None:
    assert model.model_validate({**others, field: "Poster"})
    with pytest.raises(ValidationError) as refused:
        model.model_validate({**others, field: text})
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]
