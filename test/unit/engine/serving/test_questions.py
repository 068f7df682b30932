"""What a request may ask."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.errors import Refused
from kaito.engine.serving.questions import CHAT, COMPLETION, Wish, check_chat, check_prompt, wish

VOCABULARY = 512
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
        found = wish(body, CHAT, VOCABULARY)
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
    assert wish(nothing, COMPLETION, VOCABULARY) == wish({}, COMPLETION, VOCABULARY) == Wish()


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_one_answer_is_what_is_given_anyway(name: str) -> None:
    wish({name: 1}, COMPLETION, VOCABULARY)
    with pytest.raises(Refused, match=name):
        wish({name: 2}, COMPLETION, VOCABULARY)


def test_true_is_no_number() -> None:
    with pytest.raises(Refused):
        wish({"temperature": True}, COMPLETION, VOCABULARY)
    with pytest.raises(Refused):
        wish({"n": True}, COMPLETION, VOCABULARY)


@pytest.mark.parametrize("token", ["512", "-1", "x", "9" * 5000, "", "٣"])
def test_a_token_that_the_model_does_not_have_cannot_be_biased(token: str) -> None:
    wish({"logit_bias": {"511": 1}}, COMPLETION, VOCABULARY)
    with pytest.raises(Refused, match="from 0 to 511"):
        wish({"logit_bias": {token: 1}}, COMPLETION, VOCABULARY)


@pytest.mark.parametrize("number", [10**400, float("nan"), float("inf"), -0.1])
def test_a_number_that_is_none_or_beyond_all_is_refused(number: float) -> None:
    with pytest.raises(Refused, match="temperature must be a number"):
        wish({"temperature": number}, COMPLETION, VOCABULARY)


@pytest.mark.parametrize("arguments", ["{", "[" * 100_000, None, 5])
def test_a_call_whose_arguments_are_no_json_is_refused(arguments: object) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    said = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    with pytest.raises(Refused, match=r"tool_calls must be a list"):
        check_chat({"messages": said}, frozenset())


@pytest.mark.parametrize("calls", [None, []])
def test_no_calls_may_be_said_to_be_none(calls: object) -> None:
    said = [{"role": "assistant", "content": "x", "tool_calls": calls}]
    check_chat({"messages": said}, frozenset())


@pytest.mark.parametrize("tool", [{}, {"type": "function"}, {"function": {"name": 5}}, "f"])
def test_a_tool_without_a_name_is_refused(tool: object) -> None:
    with pytest.raises(Refused, match="tools must be"):
        check_chat({"messages": [{"role": "user", "content": "x"}], "tools": [tool]}, frozenset())


def test_a_prompt_is_one_text() -> None:
    check_prompt({"prompt": "a"})
    with pytest.raises(Refused):
        check_prompt({"prompt": [1, 2]})


def test_minus_one_is_all_tokens_to_choose_among_as_nought_is() -> None:
    assert (
        wish({"top_k": -1}, COMPLETION, VOCABULARY).top_k
        == wish({"top_k": 0}, COMPLETION, VOCABULARY).top_k
        == 0
    )
