"""URLs of webhooks: one reading of each, and none for what only looks like one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.webhooks.destination import MAX_URL_LENGTH, Destination, ForbiddenDestination, parse


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://shop.example.com", Destination("https", "shop.example.com", 443, "/")),
        ("https://shop.example.com/a/b?c=d&e", Destination("https", "shop.example.com", 443, "/a/b?c=d&e")),
        ("HTTPS://Shop.Example.COM:443/A", Destination("https", "shop.example.com", 443, "/A")),
        ("https://shop.example.com?c", Destination("https", "shop.example.com", 443, "/?c")),
        ("https://shop.example.com./a", Destination("https", "shop.example.com", 443, "/a")),
        (
            "https://bücher.example/ü".replace("/ü", "/%C3%BC"),
            Destination("https", "xn--bcher-kva.example", 443, "/%C3%BC"),
        ),
        # UTS 46, not transitional: none of these is another name than it is in a browser.
        ("https://faß.de/", Destination("https", "xn--fa-hia.de", 443, "/")),
        ("https://STRAßE.example/", Destination("https", "xn--strae-oqa.example", 443, "/")),
        ("https://βόλος.example/", Destination("https", "xn--nxasmm1c.example", 443, "/")),
        ("https://ΒΌΛΟΣ.example/", Destination("https", "xn--nxasmq6b.example", 443, "/")),
        ("https://نامه\u200cای.example/", Destination("https", "xn--mgba3gch31f060k.example", 443, "/")),
        ("https://क्\u200dष.example/", Destination("https", "xn--11b2ezcw70k.example", 443, "/")),
        ("https://xn--fa-hia.de/", Destination("https", "xn--fa-hia.de", 443, "/")),
        ("https://XN--FA-HIA.DE./", Destination("https", "xn--fa-hia.de", 443, "/")),
        ("https://shop。example．com｡/", Destination("https", "shop.example.com", 443, "/")),
        ("https://ｓｈｏｐ.example/", Destination("https", "shop.example", 443, "/")),
        (
            "https://日本語ひらカナabc.example/",
            Destination("https", "xn--abc-0c4bpeui2h1141bdocu19k.example", 443, "/"),
        ),
        ("https://한국abc.example/", Destination("https", "xn--abc-lt8lk11n.example", 443, "/")),
        ("https://my_shop.example.com/", Destination("https", "my_shop.example.com", 443, "/")),
        ("https://8.8.8.8/a", Destination("https", "8.8.8.8", 443, "/a")),
        ("https://[2606:4700:4700:0::1111]/", Destination("https", "2606:4700:4700::1111", 443, "/")),
    ],
)
def test_a_url_is_taken_apart(url: str, destination: Destination) -> None:
    assert parse(url, allow_loopback=False) == destination


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "URL"),
        ("shop.example.com", "URL"),
        ("//shop.example.com", "URL"),
        ("https:/shop.example.com", "URL"),
        ("http://shop.example.com", "https"),
        ("ftp://shop.example.com", "https"),
        ("file:///etc/passwd", "https"),
        ("javascript://shop.example.com/%0aalert(1)", "https"),
        ("https:///path", "host"),
        ("https://ada:secret@shop.example.com/", "user name"),
        ("https://shop.example.com@127.0.0.1/", "user name"),
        ("https://shop.example.com/#fragment", "fragment"),
        ("https://shop.example.com/\\..", "backslash"),
        ("https://shop.example.com\\@127.0.0.1/", "URL"),
        ("https://shop.example.com/a b", "spaces"),
        ("https://shop.example.com/a\nb", "spaces"),
        ("https://shop.example.com\t/", "spaces"),
        ("https://shop.example.com/ü", "spaces"),
        (" https://shop.example.com/", "URL"),
        ("https://shop.example.com:80/", "port 443"),
        ("https://shop.example.com:8443/", "port 443"),
        ("https://shop.example.com:0/", "port 443"),
        ("https://shop.example.com:99999/", "port 443"),
        ("https://shop.example.com:443:443/", "host"),
        ("https://shop.example.com:/", "host"),
        ("https://shop..example.com/", "host name"),
        ("https://-shop.example.com/", "host name"),
        ("https://shop%2eexample.com/", "host"),
        ("https://shop.example.com%00.example.net/", "host"),
        (f"https://{'a' * 64}.example.com/", "host name"),
        (f"https://{'a.' * 130}example/", "host name"),
        # No name by IDNA 2008, in either spelling.
        ("https://💩.la/", "no emoji"),
        ("https://xn--ls8h.la/", "no emoji"),
        ("https://☃.example/", "no other symbols"),
        ("https://p\u0430ypal.example/", "one script"),
        ("https://xn--pypal-4ve.example/", "one script"),
        ("https://\u03bfrder.example/", "one script"),
        ("https://a\u200db.example/", "IDNA 2008"),
        ("https://a\u200cb.example/", "IDNA 2008"),
        ("https://\u0301a.example/", "IDNA 2008"),
        ("https://1אב.example/", "IDNA 2008"),
        ("https://-bücher.example/", "IDNA 2008"),
        ("https://bü_cher.example/", "IDNA 2008"),
        ("https://\u202eabc.example/", "IDNA 2008"),
        ("https://xn--.example/", "IDNA 2008"),
        ("https://xn--a.example/", "IDNA 2008"),
        ("https://xn--bcher-kva\u00df.example/", "IDNA 2008"),
        (f"https://{'ü' * 64}.example/", "IDNA 2008"),
        ("https://faß.de../", "IDNA 2008"),
        ("https://shop.example.com../", "host name"),
        # The account of a slash, by way of Unicode's compatibility characters.
        ("https://shop.example.c℀.example.net/", "host name"),
        (f"https://shop.example.com/{'a' * MAX_URL_LENGTH}", "characters"),
    ],
)
def test_what_is_no_webhooks_url_is_refused_and_told_why(url: str, word: str) -> None:
    with pytest.raises(ForbiddenDestination, match=word):
        parse(url, allow_loopback=False)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.0x1",
        "127.0.0.01",
        "①②⑦.1",
        "０x7f.1",
        "１２７.1",
        "2130706433.",
        "0x7f000001。",
        "127.0.0.256",
        "1.2.3.4.5",
        "0x",
        "[::1",
        "[127.0.0.1]x",
        "[fe80::1%25eth0]",
        "[::ffff:127.1]",
    ],
)
def test_an_address_in_another_than_its_usual_form_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenDestination):
        parse(f"https://{host}/", allow_loopback=True)


@pytest.mark.parametrize("host", ["127。0。0。1", "⑫7.0.0.1", "１２７.0.0.1。", "127.0.0.1."])
def test_what_unicode_makes_an_address_of_is_read_as_that_address(host: str) -> None:
    assert parse(f"https://{host}/", allow_loopback=False).host == "127.0.0.1"


def test_where_loopback_is_allowed_so_is_http_to_any_port() -> None:
    destination = parse("http://127.0.0.1:8080/hook", allow_loopback=True)

    assert destination == Destination("http", "127.0.0.1", 8080, "/hook")
    assert not destination.is_secure


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com/",
        "https://shop.example.com/a?b=c",
        "https://[2606:4700:4700::1111]/",
        "http://localhost:8080/",
        "http://[::1]:8080/",
    ],
)
def test_what_is_kept_is_read_as_what_was_written(url: str) -> None:
    destination = parse(url, allow_loopback=True)

    assert destination.url == url
    assert parse(destination.url, allow_loopback=True) == destination


@given(
    st.text() | st.text().map(lambda rest: f"https://{rest}") | st.from_regex(r"https://\S+", fullmatch=True)
)
def test_any_text_has_one_reading_or_none(text: str) -> None:
    with contextlib.suppress(ForbiddenDestination):
        destination = parse(text, allow_loopback=False)
        assert parse(destination.url, allow_loopback=False) == destination
        assert destination.url.isascii()
        assert destination.port == 443
