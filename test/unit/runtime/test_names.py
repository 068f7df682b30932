"""Names fit, are always the same, and differ where the names they are made of do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import fitting_name

texts = st.text(st.sampled_from("abc-."), min_size=1, max_size=120)


def test_a_name_that_fits_is_left_alone() -> None:
    assert fitting_name("a" * 63) == "a" * 63


def test_a_longer_one_ends_in_a_hash_that_never_changes() -> None:
    assert fitting_name("a" * 64) == "a" * 54 + "-ffe054fe"


def test_the_beginning_does_not_end_in_a_sign() -> None:
    assert fitting_name("a" * 20 + "-.-" + "b" * 50, limit=32) == "a" * 20 + "-e749ea59"


@given(texts, texts, st.integers(10, 70))
def test_names_fit_and_differ_when_what_they_are_made_of_does(
    one: str, other: str, limit: int
) -> None:
    assert len(fitting_name(one, limit=limit)) <= limit
    if len(one) > limit and len(other) > limit:
        same = fitting_name(one, limit=limit) == fitting_name(other, limit=limit)
        assert same == (one == other)


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="take 10 or more"):
        fitting_name("a", limit=9)
