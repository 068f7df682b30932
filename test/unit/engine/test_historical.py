"""What clients of the first releases send is asked of the engines of today."""

from __future__ import annotations

import json

import pytest

from kaito.engine.errors import Refused, error
from kaito.engine.historical import CHAT, COMPLETIONS, question, result

USER = {"role": "user", "content": "What is KAITO?"}


def test_a_prompt_is_a_completion_whose_answer_repeats_it() -> None:
    asked = question({"prompt": "Once"})
    assert asked.path == COMPLETIONS
    assert asked.body == {"prompt": "Once", "max_tokens": 200, "top_k": 10}
    assert result(asked, {"choices": [{"text": " upon"}]}) == {"Result": "Once upon"}


def test_the_prompt_is_left_out_on_request() -> None:
    asked = question({"prompt": "Once", "return_full_text": False})
    assert result(asked, {"choices": [{"text": " upon"}]}) == {"Result": " upon"}


def test_messages_are_a_chat() -> None:
    asked = question({"messages": [USER]}, "phi-2")
    assert asked.path == CHAT
    assert asked.body["messages"] == [USER]
    assert asked.body["model"] == "phi-2"
    answer = {"choices": [{"message": {"role": "assistant", "content": "An operator."}}]}
    assert result(asked, answer) == {"Result": "An operator."}
    nothing = {"choices": [{"message": {"role": "assistant", "content": None}}]}
    assert result(asked, nothing) == {"Result": ""}


def test_a_request_may_name_an_adapter() -> None:
    assert question({"prompt": "x", "model": "law"}, "phi-2").body["model"] == "law"


def test_the_settings_of_generation_are_translated() -> None:
    said = {
        "max_length": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_strings": ["."],
        "num_beams": 1,
    }
    assert question({"prompt": "x", "generate_kwargs": said}).body == {
        "prompt": "x",
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 10,
        "stop": ["."],
    }


def test_the_length_of_the_answer_says_more_than_the_length_of_all() -> None:
    body = question({"prompt": "x", "generate_kwargs": {"max_length": 9, "max_new_tokens": 5}}).body
    assert body["max_tokens"] == 5


def test_a_setting_that_is_null_is_not_said() -> None:
    nothing = {"max_length": None, "temperature": None, "num_beams": None, "do_sample": None}
    asked = question({"prompt": "x", "generate_kwargs": nothing})
    assert asked == question({"prompt": "x"})


@pytest.mark.parametrize("length", [float("nan"), float("inf"), 3.0, 0, "3"])
@pytest.mark.parametrize("name", ["max_length", "max_new_tokens"])
def test_a_length_is_a_whole_number_by_the_name_that_was_said(name: str, length: object) -> None:
    with pytest.raises(Refused) as raised:
        question({"prompt": "x", "generate_kwargs": {name: length}})
    assert raised.value.param == f"generate_kwargs.{name}"


def test_what_cannot_be_written_is_told_as_it_would_be() -> None:
    with pytest.raises(Refused) as raised:
        question({"prompt": "x", "\ud800": 1})
    assert "\\ud800" in str(raised.value.body)
    assert json.dumps(raised.value.body, ensure_ascii=False).encode()


def test_without_sampling_the_likeliest_token_is_taken() -> None:
    body = question({"prompt": "x", "generate_kwargs": {"do_sample": False}}).body
    assert body["temperature"] == 0
    assert "top_k" not in body


@pytest.mark.parametrize(
    ("said", "param", "words"),
    [
        ([], "", "must be a JSON object"),
        ({}, "prompt", "either prompt or messages"),
        ({"prompt": "x", "messages": [USER]}, "prompt", "either prompt or messages"),
        ({"prompt": ""}, "prompt", "not empty"),
        ({"prompt": ["x"]}, "prompt", "must be a text"),
        ({"messages": []}, "messages", "one message or more"),
        ({"prompt": "x", "stream": True}, "stream", "no field of /chat"),
        ({"prompt": "x", "return_full_text": 1}, "return_full_text", "true or false"),
        ({"prompt": "x", "generate_kwargs": []}, "generate_kwargs", "JSON object"),
        ({"prompt": "x", "generate_kwargs": {"num_beams": 4}}, "generate_kwargs.num_beams", "way"),
        ({"prompt": "x", "generate_kwargs": {"heat": 1}}, "generate_kwargs.heat", "known are"),
        ({"prompt": "x", "generate_kwargs": {"top_p": "a"}}, "generate_kwargs.top_p", "a number"),
        ({"prompt": "x", "generate_kwargs": {"max_length": 0}}, "", "whole number above 0"),
        ({"prompt": "x", "generate_kwargs": {"do_sample": 1}}, "", "true or false"),
        ({"prompt": "x", "generate_kwargs": {"stop_strings": 1}}, "", "list of texts"),
    ],
)
def test_what_cannot_be_done_as_asked_is_refused_with_its_name(
    said: object, param: str, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refused:
        question(said)
    assert refused.value.status == 400
    assert refused.value.param.startswith(param)


def test_an_error_has_the_shape_that_clients_of_openai_read() -> None:
    assert Refused(
        "There is no model x.", status=404, param="model", code="model_not_found"
    ).body == {
        "error": {
            "message": "There is no model x.",
            "type": "not_found_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert error(418, "A teapot.")["error"] == {
        "message": "A teapot.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
