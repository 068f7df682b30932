"""OpenAI's own client against the server."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from test.engine.serving import ADAPTED, ADAPTERS, ANSWER, NAME, QUESTION, Server, client, running

MESSAGES = [{"role": "user", "content": QUESTION}]


def test_a_chat_is_answered_under_the_served_name(server: Server) -> None:
    answer = server.client.chat.completions.create(model=NAME, messages=MESSAGES)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == NAME
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_chat_is_streamed_piece_by_piece_and_ends_with_its_usage(server: Server) -> None:
    stream = server.client.chat.completions.create(
        model=NAME, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [each.choices[0].delta.content or "" for each in chunks]
    assert "".join(pieces) == ANSWER
    assert sum(map(bool, pieces)) > 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert {each.model for each in chunks} == {NAME}


def test_a_prompt_is_continued(server: Server) -> None:
    answer = server.client.completions.create(model=NAME, prompt=QUESTION)
    assert answer.choices[0].text == f"\n{ANSWER}"
    assert answer.model == NAME


def test_a_continuation_is_streamed(server: Server) -> None:
    stream = server.client.completions.create(model=NAME, prompt=QUESTION, stream=True)
    assert "".join(each.choices[0].text for each in stream) == f"\n{ANSWER}"


def test_the_model_and_the_adapters_that_could_be_loaded_are_listed(server: Server) -> None:
    assert {each.id for each in server.client.models.list()} == {NAME, *ADAPTERS}


def test_one_model_is_described_by_its_name(server: Server) -> None:
    assert server.client.models.retrieve("full.strength").id == "full.strength"
    with pytest.raises(openai.NotFoundError):
        server.client.models.retrieve("gpt-4")


@pytest.mark.parametrize(
    ("name", "says"),
    [("hello", ADAPTED), ("full.strength", ADAPTED), ("without", ANSWER), (NAME, ANSWER)],
)
def test_a_model_name_chooses_an_adapter_of_the_strength_it_was_given(
    server: Server, name: str, says: str
) -> None:
    answer = server.client.chat.completions.create(model=name, messages=MESSAGES)
    assert answer.choices[0].message.content == says
    assert answer.model == name


def test_an_answer_ends_before_a_stop_text(server: Server) -> None:
    asked = server.client.chat.completions
    answer = asked.create(model=NAME, messages=MESSAGES, stop=["Workspace", "never"])
    assert answer.choices[0].message.content == "KAITO turns a small "
    assert answer.choices[0].finish_reason == "stop"
    stream = asked.create(model=NAME, messages=MESSAGES, stop="small Work", stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in stream) == "KAITO turns a "


def test_an_answer_has_at_most_the_tokens_asked_for(server: Server) -> None:
    answer = server.client.chat.completions.create(model=NAME, messages=MESSAGES, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_the_same_seed_gives_the_same_sample(server: Server) -> None:
    def sample(seed: int) -> str:
        answer = server.client.completions.create(
            model=NAME, prompt="Once", temperature=5.0, seed=seed, max_tokens=24
        )
        return answer.choices[0].text

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_a_biased_token_never_comes(server: Server) -> None:
    asked = server.client.completions
    first = asked.create(model=NAME, prompt=QUESTION, max_tokens=1)
    assert first.choices[0].text == "\n"
    # The byte-level alphabet, with the newline's byte in it, follows the four special tokens.
    biased = {str(token): -100 for token in range(4, 260)}
    other = asked.create(model=NAME, prompt=QUESTION, max_tokens=1, logit_bias=biased)
    assert other.choices[0].text != "\n"


def test_a_penalty_keeps_an_answer_from_repeating_itself(server: Server) -> None:
    asked = server.client.completions
    prompt = "Count from one to ten."
    free = asked.create(model=NAME, prompt=prompt, max_tokens=40, extra_body={"ignore_eos": True})
    held = asked.create(
        model=NAME,
        prompt=prompt,
        max_tokens=40,
        frequency_penalty=2.0,
        presence_penalty=2.0,
        extra_body={"ignore_eos": True},
    )
    assert free.choices[0].text != held.choices[0].text


def test_a_model_that_is_not_there_is_said_to_be_none(server: Server) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        server.client.chat.completions.create(model="gpt-4", messages=MESSAGES)
    assert raised.value.code == "model_not_found"
    assert f"'gpt-4' here; there are {NAME}" in raised.value.message


def test_a_wrong_request_is_told_its_field(server: Server) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        server.client.chat.completions.create(model=NAME, messages=MESSAGES, temperature=-1.0)
    assert raised.value.param == "temperature"


def test_a_key_is_asked_for_where_one_is_set(small_model: Path) -> None:
    with running(small_model, KAITO_API_KEY="secret") as guarded:
        with client(guarded.url, "wrong") as stranger:
            with pytest.raises(openai.AuthenticationError):
                stranger.chat.completions.create(model=NAME, messages=MESSAGES)
            with pytest.raises(openai.AuthenticationError):
                stranger.models.list()
        answer = guarded.client.chat.completions.create(model=NAME, messages=MESSAGES)
        assert answer.choices[0].message.content == ANSWER
