"""Addresses of pods are their own as long as they live."""

from __future__ import annotations

from kaito.local.pods.addresses import PodAddresses


def test_each_pod_has_its_own_and_keeps_it() -> None:
    addresses = PodAddresses()
    first, second = addresses.of("a"), addresses.of("b")
    assert first != second
    assert addresses.of("a") == first


def test_what_was_handed_out_before_is_not_handed_out_again() -> None:
    addresses = PodAddresses()
    addresses.keep("old", "10.244.0.10")
    assert addresses.of("new") == "10.244.0.11"
    assert addresses.of("old") == "10.244.0.10"


def test_a_released_address_comes_round_again() -> None:
    addresses = PodAddresses()
    for number in range(0x10000 - 10):
        addresses.of(str(number))
    held = addresses.of("5")
    addresses.release("5")
    assert addresses.of("another") == held
