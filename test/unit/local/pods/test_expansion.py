"""`$(NAME)` in texts of a container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pods.expansion import LONGEST, TooLong, expand

# The cases of the API's own table of examples.
KNOWN = {"VAR_A": "A", "VAR_B": "B", "VAR_REF": "$(VAR_A)", "VAR_EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)$(VAR_B)", "AB"),
        ("$(VAR_REF)", "$(VAR_A)"),
        ("$(VAR_EMPTY)", ""),
        ("$(NONE)", "$(NONE)"),
        ("$$(VAR_A)", "$(VAR_A)"),
        ("$$$(VAR_A)", "$A"),
        ("$$$$(VAR_A)", "$$(VAR_A)"),
        ("$VAR_A", "$VAR_A"),
        ("$(VAR_A", "$(VAR_A"),
        ("cost: $", "cost: $"),
        ("$()", "$()"),
        ("$(VAR_A))", "A)"),
    ],
)
def test_references_are_filled_in(text: str, expected: str) -> None:
    assert expand(text, KNOWN) == expected


def test_the_first_scope_that_has_a_name_counts() -> None:
    assert expand("$(X)$(Y)", {"X": "1"}, {"X": "2", "Y": "3"}) == "13"


@given(st.text(alphabet="ab(){}[] \n"))
def test_a_text_without_a_dollar_stays_as_it_is(text: str) -> None:
    assert expand(text, KNOWN) == text


def test_no_text_grows_without_bound() -> None:
    with pytest.raises(TooLong):
        expand("$(X)$(X)", {"X": "x" * LONGEST})
