"""Where a webhook goes: a URL that every reader reads in the same way, and the addresses that its host may have.

A URL is checked twice. When it is registered, so that its owner hears at once what is wrong; and before each attempt,
because a name may lead elsewhere by then. The attempt connects to the very address that was checked.

Only addresses of the public internet may be called. The rule names what is allowed and then takes exceptions out of it,
so that an address nobody thought of is refused. The lists are IANA's special-purpose registries; those in `ipaddress`
differ between versions of Python, so ranges that have been in doubt stand here as well.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from orders.errors import OrdersError
from orders.webhooks.resolver import HostNotFound, Resolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers (CGNAT), and some clouds' metadata
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata
        "192.88.99.0/24",  # relays to 6to4
        "2001::/23",  # protocol assignments; Teredo, which wraps an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps an IPv4 address
        "3fff::/20",  # documentation
    )
)

MAX_URL_LENGTH: Final = 2048

_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65535
_MAX_HOST_LENGTH: Final = 253

# Stricter than any URL library: what two of them read differently is what an attacker looks for. Only the host may
# hold characters beyond ASCII.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^\s/?#\\]*)(?P<target>[/?][!-~]*)?", re.DOTALL
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@%]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PUNYCODE: Final = "xn--"
# Chinese, Japanese and Korean are written with several scripts and with Latin letters among them (UTS 39, section 5.2,
# "Highly Restrictive"). The words are those that the names of Unicode's letters begin with.
_SCRIPTS_TOGETHER: Final = (
    frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# What `inet_aton` takes for a number, and so does whatever resolves names with it: 127.1, 0x7f000001, 017700000001.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class ForbiddenDestination(OrdersError):
    """The URL cannot be a webhook's. The text is for its owner."""


@dataclass(frozen=True)
class Destination:
    """A URL, taken apart. `host` is a name in ASCII, or an address without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as in a `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The one spelling of it that is kept."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(url: str, *, allow_loopback: bool) -> Destination:
    """Reads a URL: https to port 443. With `allow_loopback`, also http and any port.

    Raises:
        ForbiddenDestination: it is something else.
    """
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_LENGTH else None
    if found is None:
        raise ForbiddenDestination(
            f"This must be a URL of at most {MAX_URL_LENGTH} characters, without spaces and without a fragment; "
            "after the host, write characters beyond ASCII as %XX"
        )
    scheme = found["scheme"].lower()
    if scheme != "https" and not (allow_loopback and scheme == "http"):
        raise ForbiddenDestination("This must be an https URL")
    target = found["target"] or "/"
    if "@" in found["authority"]:
        raise ForbiddenDestination("This must be a URL without a user name or a password")
    if "#" in target or "\\" in target:
        raise ForbiddenDestination("This must be a URL without a fragment and without backslashes")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise ForbiddenDestination("This must be a URL with a host")
    port = int(authority["port"] or _PORTS[scheme])
    if not (port == _PORTS["https"] or (allow_loopback and 0 < port <= _MAX_PORT)):
        raise ForbiddenDestination("This must be a URL of port 443")
    return Destination(scheme, _host(authority["host"]), port, target if target[0] == "/" else f"/{target}")


def addresses_of(
    destination: Destination, resolver: Resolver, *, allow_loopback: bool, timeout_seconds: float
) -> list[str]:
    """The addresses that the host has now, all of them checked.

    Raises:
        HostNotFound: it has none, or they could not be found out in time, or one of them is not on the public
            internet. The others do not count then: whoever publishes such a pair has a reason.
    """
    addresses = resolver.resolve(destination.host, destination.port, timeout_seconds)
    for address in addresses:
        if not is_allowed(ipaddress.ip_address(address), allow_loopback=allow_loopback):
            raise HostNotFound("the host is not on the public internet")
    # Where there is no IPv6, an attempt to use it costs time.
    return sorted(addresses, key=lambda address: ":" in address)


def is_public(address: Address) -> bool:
    """Whether the address is one host's on the public internet. Addresses of IPv6 that wrap one of IPv4 are not."""
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST and address.is_global and address.scope_id is None
    return address.is_global and not (address.is_multicast or address.is_reserved)


def is_allowed(address: Address, *, allow_loopback: bool) -> bool:
    """`is_public`, and this machine itself where a stage allows that."""
    return is_public(address) or (allow_loopback and address.is_loopback)


def _host(written: str) -> str:
    if written.startswith("["):
        return str(_address(written[1:-1]))
    is_plain = written.isascii() and not any(
        label.startswith(_PUNYCODE) for label in written.lower().split(".")
    )
    host = (written.lower() if is_plain else _internationalized(written)).removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(_address(host))
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise _no_host()
    return host


def _internationalized(host: str) -> str:
    """The host as it is looked up, by UTS 46 (not transitional) and IDNA 2008, as in browsers: `ß` stays itself."""
    # Its tables take time and memory, and nearly every host is ASCII.
    import idna

    try:
        encoded = idna.encode(host, uts46=True).decode()
        labels = idna.decode(encoded).split(".")
        is_itself = idna.encode(".".join(labels)).decode() == encoded
    except (idna.IDNAError, UnicodeError):
        is_itself = False
    if not (is_itself and all(map(_is_of_one_script, labels))):
        raise ForbiddenDestination(
            "This must be a URL with a host name that IDNA 2008 allows, each part of it in one script: "
            "letters, digits and hyphens, no emoji and no other symbols"
        )
    return encoded


def _is_of_one_script(label: str) -> bool:
    scripts = {unicodedata.name(letter, "").split(" ", 1)[0] for letter in label if letter.isalpha()}
    return len(scripts) <= 1 or any(scripts <= together for together in _SCRIPTS_TOGETHER)


def _address(written: str) -> Address:
    try:
        return ipaddress.ip_address(written)
    except ValueError:
        raise _no_host() from None


def _no_host() -> ForbiddenDestination:
    return ForbiddenDestination("This must be a URL with a valid host name, or an address in its usual form")
