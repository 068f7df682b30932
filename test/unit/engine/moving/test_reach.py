"""Which addresses data may be fetched from."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.addresses import leads_inside
from kaito.engine.moving.reach import Reach, networks

PUBLIC = Reach()
ANYTHING = Reach(networks(["0.0.0.0/0", "::/0"]))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "20.60.1.2", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert PUBLIC.permits(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "4000::1",
        "",
        "localhost",
    ],
)
def test_other_addresses_are_not(address: str) -> None:
    assert not PUBLIC.permits(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_a_network_that_is_allowed_is_permitted_in_every_spelling(address: str) -> None:
    assert Reach(networks(["10.1.0.0/16"])).permits(address)
    assert not Reach(networks(["10.2.0.0/16"])).permits(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
    ],
)
def test_nobody_can_allow_metadata_services_and_what_is_no_host(address: str) -> None:
    assert not ANYTHING.permits(address)


@given(st.ip_addresses(v=4))
def test_what_may_be_written_may_be_connected_to(address: ipaddress.IPv4Address) -> None:
    # Metadata services of other clouds, in networks of everybody, are refused here alone.
    if not leads_inside(f"http://{address}/"):
        assert PUBLIC.permits(str(address))
    else:
        assert not PUBLIC.permits(str(address))


@given(st.ip_addresses(v=6))
def test_nothing_may_be_connected_to_that_may_not_be_written(
    address: ipaddress.IPv6Address,
) -> None:
    if leads_inside(f"http://[{address}]/"):
        assert not PUBLIC.permits(str(address))
