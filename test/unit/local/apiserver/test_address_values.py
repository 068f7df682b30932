"""Addresses and ranges as fields hold them."""

from __future__ import annotations

import pytest

from kaito.local.apiserver.behaviours import values


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.9.8.7", ""),
        ("2001:db8::ffff", ""),
        ("2001:DB8::1", ""),
        ("010.1.1.1", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("fe80::1%eth0", values.ADDRESS_SAYS),
        ("", values.ADDRESS_SAYS),
    ],
)
def test_an_address_is_spelled_in_an_ordinary_way(text: str, why: str) -> None:
    assert [error.detail for error in values.address(text, "f")] == ([why] if why else [])


def test_an_address_that_was_there_before_may_stay() -> None:
    assert values.address("010.1.1.1", "f", ["010.1.1.1"]) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0/8", ""),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/33", values.NETWORK_SAYS),
        ("10.0.0.0", values.NETWORK_SAYS),
    ],
)
def test_a_range_starts_at_its_first_address(text: str, why: str) -> None:
    assert [error.detail for error in values.network(text, "f")] == ([why] if why else [])
