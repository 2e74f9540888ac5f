"""Which addresses a customer may have us call: those of the public internet, and no others.

The rule names what is allowed and then takes exceptions out of it, so that an address nobody thought of is refused.
The lists are IANA's special-purpose registries; those in `ipaddress` differ between versions of Python, so ranges that
have been in doubt stand here as well.
"""

import ipaddress
from typing import Final

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
