"""The context that vLLM derives from a configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.config import Config, Unreadable
from kaito.catalog.context import Length, context_of


def length(default: int | None = None, **fields: object) -> int:
    return context_of(Config("org/model", fields), default=default).tokens


def yarn(factor: float, original: int | None) -> dict[str, object]:
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original,
    }


def test_the_shortest_length_holds() -> None:
    # Qwen 7B: rotary embeddings for 32,768 and a model for 8,192.
    assert length(max_position_embeddings=32768, seq_length=8192) == 8192


def test_the_length_that_command_r_names_holds_though_it_is_longer() -> None:
    assert length(max_position_embeddings=8192, model_max_length=131072) == 131072


def test_what_the_class_has_holds_where_nothing_is_said() -> None:
    assert length(131072) == 131072
    assert length(131072, max_position_embeddings=4096) == 4096


def test_vllm_takes_2048_tokens_where_nothing_tells_a_length() -> None:
    assert context_of(Config("org/model"), default=None) == Length(2048, assumed=True)
    assert not context_of(Config("org/model"), default=2048).assumed


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_yarn_stretches_the_length_of_the_training(key: str) -> None:
    # Qwen2.5 for long texts, as its card says to write it; DeepSeek V3; GPT-OSS.
    assert length(max_position_embeddings=32768, **{key: yarn(4.0, 32768)}) == 131072
    assert length(max_position_embeddings=163840, **{key: yarn(40, 4096)}) == 163840
    assert length(max_position_embeddings=131072, **{key: yarn(32.0, 4096)}) == 131072


def test_yarn_that_names_no_length_of_training_stretches_what_there_is() -> None:
    assert length(max_position_embeddings=4096, rope_scaling=yarn(2, None)) == 8192


def test_a_length_of_training_beside_the_scaling_comes_first() -> None:
    assert (
        length(
            max_position_embeddings=9,
            original_max_position_embeddings=2048,
            rope_scaling=yarn(2, 4096),
        )
        == 4096
    )


def test_mistral_writes_yarn_its_own_way() -> None:
    own = {"factor": 16, "original_max_position_embeddings": 16384, "beta": 32}
    assert length(128_000, yarn=own) == 262144


@pytest.mark.parametrize("kind", ["linear", "dynamic"])
def test_other_scalings_stretch_the_length_that_is_told(kind: str) -> None:
    assert length(max_position_embeddings=4096, rope_scaling={"type": kind, "factor": 2.5}) == 10240


@pytest.mark.parametrize("kind", ["su", "longrope", "llama3"])
def test_scalings_that_are_in_the_length_already_do_not_stretch_it_again(kind: str) -> None:
    rope = {"rope_type": kind, "factor": 8.0, "original_max_position_embeddings": 8192}
    assert length(max_position_embeddings=131072, rope_scaling=rope) == 131072


def test_sections_of_rotary_embeddings_stretch_nothing() -> None:
    rope = {"type": "mrope", "mrope_section": [16, 24, 24]}
    assert length(max_position_embeddings=32768, rope_scaling=rope) == 32768


def test_the_length_of_gemma_3_is_stretched_already() -> None:
    rope = {"rope_type": "linear", "factor": 8.0}
    assert length(131072, model_type="gemma3_text", rope_scaling=rope) == 131072


def test_layers_may_have_scalings_of_their_own() -> None:
    rope = {"sliding_attention": {"rope_type": "default"}, "full_attention": yarn(8, 8192)}
    assert length(max_position_embeddings=8192, rope_parameters=rope) == 65536


@pytest.mark.parametrize("factor", [0, -1, 10**7, True, "4"])
def test_a_factor_that_is_none_is_named(factor: object) -> None:
    with pytest.raises(Unreadable, match=r"factor is .*, but it must be a number"):
        length(rope_scaling={"rope_type": "yarn", "factor": factor})


@given(st.integers(1, 10**15), st.floats(0, 10**6, exclude_min=True))
def test_every_length_is_at_least_one_token(told: int, factor: float) -> None:
    rope = {"rope_type": "linear", "factor": factor}
    assert length(max_position_embeddings=told, rope_scaling=rope) >= 1
