"""Texts that end an answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.serving.stops import Stops

LETTERS = st.text(alphabet="ab", min_size=1, max_size=3)


@given(pieces=st.lists(st.text(alphabet="ab", max_size=3)), stops=st.lists(LETTERS, max_size=3))
def test_what_is_told_is_the_text_before_the_first_stop_however_it_comes(
    pieces: list[str], stops: list[str]
) -> None:
    looking, told = Stops(stops), ""
    for piece in pieces:
        told += looking.feed(piece)
        assert not any(each in told for each in stops)
    told += looking.rest()
    whole = "".join(pieces)
    if looking.found:
        # A stop is found as soon as it is whole, so which of two that overlap depends on both.
        assert whole.startswith(told)
        assert any(whole.startswith(told + each) for each in stops)
    else:
        assert told == whole


def test_nothing_is_told_once_a_stop_has_been_found() -> None:
    looking = Stops(["END"])
    assert looking.feed("one E") == "one "
    assert looking.feed("ND two") == ""
    assert looking.found
    assert looking.feed("three") == looking.rest() == ""
