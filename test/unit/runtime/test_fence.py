"""Which version is later than which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Key, Object, Resource
from kaito.runtime.fence import Write, at_least, note, open_ledger

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


@given(st.integers(1, 10**30), st.integers(1, 10**30))
def test_versions_compare_as_the_numbers_that_they_are(seen: int, wanted: int) -> None:
    assert at_least(str(seen), str(wanted)) == (seen >= wanted)


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [("", "1"), ("1", "0"), ("010", "9"), ("abc", "abb"), ("2", "x"), ("²", "1")],
)
def test_versions_of_another_shape_are_never_later(seen: str, wanted: str) -> None:
    assert not at_least(seen, wanted)


@pytest.mark.parametrize("version", ["", "abc", "0", "010"])
def test_equal_versions_are_equal_whatever_their_shape(version: str) -> None:
    assert at_least(version, version)


async def test_a_write_outside_of_a_reconcile_is_noted_nowhere() -> None:
    ledger = open_ledger()
    other = open_ledger()
    note(Write(PODS, Key("ns", "a"), "u", "1"))
    assert (ledger, len(other)) == ([], 1)
