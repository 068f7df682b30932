"""What a request may ask."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.errors import Refused
from kaito.engine.serving.questions import CHAT, COMPLETION, Wish, check_chat, check_prompt, wish

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "1"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(body=st.dictionaries(st.sampled_from(sorted(CHAT | {"n", "user", "logprobs"})), VALUES))
def test_any_json_is_taken_or_refused_with_a_sentence(body: dict[str, Any]) -> None:
    try:
        found = wish(body, CHAT)
        check_chat(body, frozenset(["tokenize"]))
    except Refused as refused:
        told = (refused.status, str(refused)[-1:])
    else:
        told = (400, ".")
        assert found.min_tokens >= 0
        assert all(isinstance(each, str) for each in found.stop)
    assert told == (400, ".")


def test_nothing_said_is_no_wish() -> None:
    nothing = dict.fromkeys(COMPLETION)
    assert wish(nothing, COMPLETION) == wish({}, COMPLETION) == Wish()


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_one_answer_is_what_is_given_anyway(name: str) -> None:
    wish({name: 1}, COMPLETION)
    with pytest.raises(Refused, match=name):
        wish({name: 2}, COMPLETION)


def test_true_is_no_number() -> None:
    with pytest.raises(Refused):
        wish({"temperature": True}, COMPLETION)
    with pytest.raises(Refused):
        wish({"n": True}, COMPLETION)


def test_a_prompt_is_one_text() -> None:
    check_prompt({"prompt": "a"})
    with pytest.raises(Refused):
        check_prompt({"prompt": [1, 2]})


def test_minus_one_is_all_tokens_to_choose_among_as_nought_is() -> None:
    assert wish({"top_k": -1}, COMPLETION).top_k == wish({"top_k": 0}, COMPLETION).top_k == 0
