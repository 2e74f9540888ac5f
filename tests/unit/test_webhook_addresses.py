"""What a customer may have us call: the public internet. Each range that is not has an address here."""

import ipaddress

import pytest

from orders.webhooks.destination import is_allowed, is_public

PUBLIC = ["8.8.8.8", "93.184.215.14", "1.1.1.1", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450:4003::200e"]

FORBIDDEN = {
    "this network": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"],
    "carriers": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "232.1.2.3", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "192.88.99.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "an IPv4 address inside": [
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
    ],
    "not given out": ["4000::1", "100::1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", [address for addresses in FORBIDDEN.values() for address in addresses], ids=str
)
def test_any_other_is_not(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_is_where_a_stage_says_so(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), allow_loopback=True)
    assert not is_allowed(ipaddress.ip_address(address), allow_loopback=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0"])
def test_and_nothing_else_with_it(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), allow_loopback=True)
