"""Models from their configurations: those that makers write, and those that strangers might."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.cache import Cache
from kaito.catalog.config import ModelError, Unreadable, parse
from kaito.catalog.huggingface import model_of
from kaito.catalog.model import Model

LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
# The fields of a config.json that decide about gated delta nets (Qwen3.5-122B-A10B).
DELTA = {
    "linear_num_value_heads": 64,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "mamba_ssm_dtype": "float32",
}
MAMBA2 = {  # Nemotron 3 Nano 30B-A3B
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "mamba_ssm_cache_dtype": "float32",
}


def read(config: Mapping[str, object], *, name: str = "org/model", **more: Any) -> Model:
    return model_of(name, config, source="a test", **more)


def groups(**changes: object) -> tuple[Cache, ...]:
    found = read({**LLAMA, **changes}).cache_groups
    assert found is not None
    return found


def test_a_plain_configuration_tells_the_shape() -> None:
    model = read(LLAMA, weights_bytes=16 * 10**9, revision="abc", license="mit", access="open")
    assert (model.layers, model.hidden, model.heads, model.kv_heads) == (32, 4096, 32, 8)
    assert (model.head_dim, model.context, model.vocabulary) == (128, 131072, 128256)
    assert (model.dtype, model.quantization, model.weights_gib) == ("bfloat16", None, 14.9)
    assert (model.parameters_b, model.kv_bytes_per_token, model.attention) == (8.0, 131072, "GQA")
    assert (model.tool_parser, model.caches) == ("llama3_json", ())
    assert (model.missing, model.unknown) == ((), None)


def test_what_a_configuration_does_not_tell_is_said() -> None:
    model = read({"architectures": ["LlamaForCausalLM"], "hidden_size": 64})
    assert model.cache_groups is None
    assert model.unknown == (
        "its configuration does not tell weights_gib, parameters_b, num_hidden_layers, "
        "num_attention_heads, num_key_value_heads, head_dim, vocab_size, license, access, "
        "revision, dtype and does not tell max_position_embeddings: vLLM takes 2,048 tokens for "
        "the longest context"
    )
    assert model.context == 2048


def test_what_is_left_out_is_what_transformers_has_for_it() -> None:
    # google/gemma-3-4b-it leaves out its heads, its context and its vocabulary.
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34}
    told: dict[str, object] = {"model_type": "gemma3", "text_config": {**text, "sliding_window": 9}}
    model = read({"architectures": ["Gemma3ForConditionalGeneration"], **told})
    assert (model.layers, model.hidden, model.context) == (34, 2560, 131072)
    assert (model.heads, model.kv_heads, model.head_dim, model.vocabulary) == (8, 4, 256, 262208)
    assert model.source == (
        "a test; defaults of transformers 5.14.1 (max_position_embeddings, num_attention_heads, "
        "num_key_value_heads, head_dim, vocab_size)"
    )


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gemma3", "text_config": {"hidden_size": 2560}},  # its class goes unnamed
        {"model_type": "qwen2_vl", "hidden_size": 3584},  # older, with all in one
        {"model_type": "llava", "text_config": {"model_type": "llama"}},
    ],
)
def test_the_language_models_class_is_found_though_it_is_not_named_outside(
    config: dict[str, object],
) -> None:
    contexts = {"gemma3": 131072, "qwen2_vl": 32768, "llava": 2048}
    model = read({"architectures": ["LlavaForConditionalGeneration"], **config})
    assert model.context == contexts[str(config["model_type"])]
    assert model.layers is not None


def test_what_is_told_under_another_name_is_not_left_out() -> None:
    gpt2 = {"n_embd": 1600, "n_layer": 48, "n_head": 25, "n_positions": 512, "vocab_size": 9}
    model = read({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **gpt2})
    assert (model.hidden, model.layers, model.heads, model.context) == (1600, 48, 25, 512)
    assert model.source == "a test"


def test_falcon_has_the_context_of_its_class() -> None:
    falcon = {"architectures": ["FalconForCausalLM"], "model_type": "falcon"}
    assert read(falcon).context == 2048
    assert "2,048" not in (read(falcon).unknown or "")


def test_mistrals_own_configuration_has_the_context_that_vllm_gives_it() -> None:
    model = read(PARAMS)
    assert model.context == 128_000
    assert model.source == "a test; vLLM 0.25.1 (max_position_embeddings)"


@pytest.mark.parametrize("nested", ["text_config", "llm_config", "language_config"])
def test_the_language_model_of_a_multimodal_one_is_read(nested: str) -> None:
    text = {key: value for key, value in LLAMA.items() if key != "architectures"}
    model = read(
        {"architectures": ["Gemma3ForConditionalGeneration"], nested: text, "vocab_size": None}
    )
    assert (model.layers, model.vocabulary) == (32, 128256)
    assert model.architecture == "Gemma3ForConditionalGeneration"


def test_what_stands_outside_wins_over_what_is_nested() -> None:
    assert read({**LLAMA, "text_config": {"num_hidden_layers": 3}}).layers == 32


@pytest.mark.parametrize(
    ("config", "kv_heads"),
    [
        # Falcon 7B: one head of keys, whatever num_kv_heads says; Falcon 40B: as many as it says.
        ({"multi_query": True, "num_key_value_heads": None, "num_kv_heads": 32}, 1),
        (
            {
                "multi_query": True,
                "new_decoder_architecture": True,
                "num_key_value_heads": None,
                "num_kv_heads": 8,
            },
            8,
        ),
        ({"multi_query_attention": True, "multi_query_group_num": 2}, 2),
        ({"num_key_value_heads": None}, 32),
        ({"num_key_value_heads": None, "attn_config": {"kv_n_heads": 4}}, 4),
    ],
)
def test_heads_of_keys_are_found_as_each_family_writes_them(
    config: dict[str, object], kv_heads: int
) -> None:
    assert read({**LLAMA, **config}).kv_heads == kv_heads


def test_latent_attention_is_read() -> None:
    model = read({**LLAMA, "kv_lora_rank": 512, "qk_rope_head_dim": 64})
    assert (model.attention, model.kv_bytes_per_token) == ("MLA", 2 * 32 * 576)
    assert model.cache_groups == (Cache(kind="latent", layers=32, rank=576),)


def test_sparse_attention_keeps_the_keys_of_its_indexer_where_they_are_not_shared() -> None:
    sparse = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "index_head_dim": 128}
    latent = Cache(kind="latent", layers=32, rank=576)
    assert groups(**sparse) == (latent, Cache(kind="latent", layers=32, rank=66))
    shared = ["full", "shared", "shared", "shared"] * 8
    assert groups(**sparse, indexer_types=shared) == (
        latent,
        Cache(kind="latent", layers=8, rank=66),
    )


@pytest.mark.parametrize(
    "pattern",
    [
        {"layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 8},
        {"sliding_window_pattern": 4},
        {"sliding_window_pattern": "LLLG"},
        {"model_type": "olmo3"},
        {"sliding_window": [1024, 1024, 1024, None]},
    ],
)
def test_every_way_to_write_three_sliding_layers_and_a_full_one_says_the_same(
    pattern: dict[str, object],
) -> None:
    assert groups(**{"sliding_window": 1024, **pattern}) == (
        Cache(kind="sliding", layers=24, kv_heads=8, head_dim=128, window=1024),
        Cache(kind="full", layers=8, kv_heads=8, head_dim=128),
    )


def test_a_window_without_a_pattern_holds_for_all_layers() -> None:
    assert groups(sliding_window=2047)[0].window == 2047
    assert groups(sliding_window=2047, use_sliding_window=False)[0].kind == "full"
    assert groups(sliding_window=131072)[0].kind == "full"  # as long as its context
    half = groups(sliding_window=64, use_sliding_window=True, max_window_layers=28)
    assert [(g.kind, g.layers) for g in half] == [("full", 28), ("sliding", 4)]


def test_gemma_4s_full_layers_have_heads_of_their_own() -> None:
    found = groups(
        model_type="gemma4",
        num_hidden_layers=30,
        head_dim=256,
        sliding_window=1024,
        global_head_dim=512,
        num_global_key_value_heads=2,
        attention_k_eq_v=True,
    )
    assert found == (
        Cache(kind="sliding", layers=25, kv_heads=8, head_dim=256, window=1024),
        Cache(kind="full", layers=5, kv_heads=2, head_dim=512),
    )


def test_full_layers_have_their_own_heads_only_where_keys_are_values_too() -> None:
    found = groups(sliding_window_pattern=4, sliding_window=9, num_global_key_value_heads=2)
    assert found[1] == Cache(kind="full", layers=8, kv_heads=8, head_dim=128)


def test_layers_that_read_anothers_cache_are_in_no_group() -> None:
    found = groups(sliding_window_pattern=4, sliding_window=512, num_kv_shared_layers=16)
    assert [(g.kind, g.layers) for g in found] == [("sliding", 12), ("full", 4)]


def test_gated_delta_nets_keep_a_state() -> None:
    # 3 inputs of the convolution, 2 bytes a value, and the state, 4 bytes a value.
    state = 3 * (2 * 16 * 128 + 64 * 128) * 2 + 64 * 128 * 128 * 4
    assert groups(full_attention_interval=4, **DELTA) == (
        Cache(kind="state", layers=24, bytes=state),
        Cache(kind="full", layers=8, kv_heads=8, head_dim=128),
    )


@pytest.mark.parametrize(
    "pattern",
    [
        {"hybrid_override_pattern": "ME*-" * 8},
        {"layers_block_type": ["mamba", "moe", "attention", "mlp"] * 8},
    ],
)
def test_mamba_layers_keep_a_state_and_experts_nothing(pattern: dict[str, object]) -> None:
    state = 3 * (64 * 64 + 2 * 8 * 128) * 2 + 64 * 64 * 128 * 4
    assert groups(**pattern, **MAMBA2) == (
        Cache(kind="state", layers=8, bytes=state),
        Cache(kind="full", layers=8, kv_heads=8, head_dim=128),
    )


def test_nemotron_keeps_its_state_in_float32_where_it_says_nothing() -> None:
    silent = {**MAMBA2, "mamba_ssm_cache_dtype": None}
    pattern = {"hybrid_override_pattern": "M*" * 16}
    assert groups(**pattern, **silent) == groups(**pattern, **MAMBA2)
    assert groups(**pattern, **{**MAMBA2, "mamba_ssm_cache_dtype": "bfloat16"}) != groups(
        **pattern, **MAMBA2
    )


def test_other_recurrent_layers_keep_their_states() -> None:
    jamba = groups(
        attn_layer_period=8,
        attn_layer_offset=4,
        mamba_d_state=16,
        mamba_d_conv=4,
        mamba_expand=2,
    )
    assert jamba[0] == Cache(kind="state", layers=28, bytes=(3 + 16) * 2 * 4096 * 2)
    lfm2 = groups(full_attn_idxs=[2, 5], conv_L_cache=3)
    assert lfm2[0] == Cache(kind="state", layers=30, bytes=2 * 4096 * 2)


def test_compressed_attention_keeps_a_window_and_one_entry_for_many_tokens() -> None:
    # DeepSeek V4 in small: the last number is of the layer that drafts, which is not counted.
    found = groups(
        num_hidden_layers=4,
        num_key_value_heads=1,
        head_dim=512,
        sliding_window=128,
        index_head_dim=128,
        compress_ratios=[0, 128, 4, 128, 4],
    )
    assert found == (
        Cache(kind="latent", layers=4, rank=512, window=128),
        Cache(kind="latent", layers=1, rank=512, stride=4),
        Cache(kind="latent", layers=1, rank=128, stride=4),
        Cache(kind="latent", layers=2, rank=512, stride=128),
    )


@pytest.mark.parametrize(
    ("config", "untold"),
    [
        ({"layer_types": ["telepathy"] * 32}, "what a layer of type telepathy remembers"),
        ({"full_attention_interval": 4}, "the size of its recurrent layers' state"),
        ({"model_type": "gemma3", "head_dim": 128}, "the window of its sliding layers"),
        ({"hybrid_layer_pattern": [0, 1]}, "what the layers remember that hybrid_layer_pattern"),
        ({"attn_type_list": [0, 1] * 16}, "what its layers of lightning attention remember"),
    ],
)
def test_a_pattern_that_is_not_understood_is_said_and_counted_as_full(
    config: dict[str, object], untold: str
) -> None:
    model = read({**LLAMA, **config})
    assert model.unknown is not None
    assert untold in model.unknown
    assert "as if every layer remembered every token" in model.unknown
    assert model.cache_groups == (Cache(kind="full", layers=32, kv_heads=8, head_dim=128),)


@pytest.mark.parametrize(
    ("config", "method", "bits"),
    [
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "awq", 4),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8", 8),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4", 4),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "format": "pack-quantized",
                    "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
                }
            },
            "pack-quantized",
            4,
        ),
        ({"quantization_config": {"quant_algo": "MIXED_PRECISION"}}, "MIXED_PRECISION", None),
        ({"quantization": {"qformat_weight": "fp8_e4m3"}}, "fp8", 8),
    ],
)
def test_quantisation_is_told_by_method_and_bits(
    config: dict[str, object], method: str, bits: int | None
) -> None:
    model = read({**LLAMA, **config}, weights_bytes=10**9)
    assert (model.quantization, model.quantization_bits) == (method, bits)
    assert (model.dtype, model.parameters_b) == ("bfloat16", None)
    assert ("quantization_bits" in model.missing) == (bits is None)


PARAMS: dict[str, object] = {
    "dim": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 8,
    "head_dim": 128,
    "vocab_size": 32768,
}


@pytest.mark.parametrize(
    ("more", "architecture"),
    [
        ({}, "MistralForCausalLM"),
        ({"moe": {"num_experts": 8}}, "MixtralForCausalLM"),
        ({"moe": {"num_experts": 8, "num_shared_experts": 1}}, "MistralLarge3ForCausalLM"),
        ({"vision_encoder": {"hidden_size": 1024}}, "PixtralForConditionalGeneration"),
    ],
)
def test_mistrals_own_configuration_is_read(more: dict[str, object], architecture: str) -> None:
    model = read({**PARAMS, **more})
    assert (model.layers, model.heads, model.kv_heads, model.hidden) == (32, 32, 8, 4096)
    assert (model.mistral_format, model.architecture) == (True, architecture)


def test_an_architecture_that_the_engine_does_not_run_names_those_nearby() -> None:
    with pytest.raises(Unreadable) as caught:
        read({**LLAMA, "architectures": ["LlamaForCausalLLM"]})
    message = str(caught.value)
    assert message.startswith(
        "org/model is a LlamaForCausalLLM, which vLLM 0.25.1 does not run; the nearest that it "
        "runs: LlamaForCausalLM, "
    )
    assert message.endswith("or run this one by inference.template.")


def test_the_first_architecture_that_the_engine_runs_counts() -> None:
    assert read({**LLAMA, "architectures": ["Mine", "Qwen3ForCausalLM"]}).architecture == (
        "Qwen3ForCausalLM"
    )


@pytest.mark.parametrize(
    ("architectures", "message"),
    [
        (None, "has no architectures, by which vLLM chooses how to run a model"),
        ([], "has no architectures"),
        (
            ["BertModel"],
            "architecture of org/model is BertModel, which turns text into vectors, scores",
        ),
        (["Qwen2ForRewardModel"], "is Qwen2ForRewardModel, which turns text into"),
        (["EagleLlamaForCausalLM"], "is EagleLlamaForCausalLM, which only guesses ahead for"),
    ],
)
def test_what_writes_no_text_is_refused_in_one_sentence(
    architectures: object, message: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        read({**LLAMA, "architectures": architectures})
    assert message in str(caught.value)
    assert str(caught.value).count(".") == 1 + str(caught.value).count("config.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": "32"}, 'num_hidden_layers is "32", but it must be a whole number'),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, but"),
        ({"num_hidden_layers": 10**30}, "num_hidden_layers is a number beyond all models, but"),
        ({"num_hidden_layers": True}, "num_hidden_layers is true, but"),
        ({"num_hidden_layers": 10**9}, "has 1000000000 layers, more than any model"),
        ({"hidden_size": 1.5}, "hidden_size is 1.5, but"),
        ({"hidden_size": 31}, "more attention heads (32) than its hidden size (31)"),
        ({"num_key_value_heads": 64}, "has 32 attention heads, which cannot share 64 heads"),
        ({"num_key_value_heads": 12}, "has 32 attention heads, which cannot share 12 heads"),
        ({"text_config": []}, "text_config is a list of 0, but it must be an object"),
        ({"architectures": [7]}, "architectures is 7, but it must be a list of texts"),
        ({"layer_types": ["full_attention"]}, "tells the types of 1 layers and has 32"),
        ({"multi_query": "yes"}, 'multi_query is "yes", but it must be true or false'),
        ({"torch_dtype": {}}, "torch_dtype is an object, but it must be a text"),
    ],
)
def test_a_wrong_figure_is_named_with_the_way_out(change: dict[str, object], message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read({**LLAMA, **change})
    assert message in str(caught.value)
    assert str(caught.value).endswith("or name another model.")


def test_code_that_comes_with_the_weights_is_noticed() -> None:
    assert read({**LLAMA, "auto_map": {"AutoConfig": "configuration_x.X"}}).remote_code
    assert not read(LLAMA).remote_code


def test_infinity_and_nan_count_as_absent() -> None:
    text = json.dumps(LLAMA)[:-1] + ', "time_step_limit": [0.0, Infinity], "head_dim": NaN}'
    assert read(parse("org/model", text.encode()).fields).head_dim == 128


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "is no JSON (line 1: Expecting value)"),
        (b"[1]", "is a list of 1 where a JSON object is due"),
        (b"\xff\xfe\xff", "is no JSON (not in UTF-8)"),
        (b'{"a": ' + b"[" * 200_000, "is no JSON (it is nested too deep)"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse("org/model", data)
    assert message in str(caught.value)
    assert str(caught.value).endswith("give the config.json that comes with the weights.")


KEYS = st.sampled_from(
    [
        *LLAMA,
        *DELTA,
        *MAMBA2,
        *("kv_lora_rank", "qk_rope_head_dim", "index_head_dim", "indexer_types", "layer_types"),
        *("compress_ratios", "sliding_window", "sliding_window_pattern", "hybrid_override_pattern"),
        *("num_kv_shared_layers", "head_dim", "quantization_config", "text_config", "auto_map"),
        *("full_attention_interval", "attn_layer_period", "attn_layer_offset", "attn_type_list"),
        *(
            "multi_query",
            "full_attn_idxs",
            "moe",
            "dim",
            "n_layers",
            "quantization",
            "config_groups",
        ),
    ]
)
NUMBERS = st.one_of(st.integers(-2, 300), st.integers(), st.floats(), st.booleans())
WORDS = st.one_of(
    st.sampled_from(["gemma3", "gpt_oss", "bfloat16", "full_attention", "mamba", "ME*"]), st.text()
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)


def answer(config: Mapping[str, object]) -> Model | ModelError:
    try:
        return read(config)
    except ModelError as error:
        return error


@given(st.dictionaries(KEYS, VALUES), st.booleans())
def test_no_configuration_ends_otherwise_than_as_a_sane_model_or_unreadable(
    changes: dict[str, object], sound: bool
) -> None:
    found = answer({**LLAMA, **changes} if sound else changes)
    if isinstance(found, ModelError):
        assert "\n" not in str(found)
        assert len(str(found)) < 600
        return
    for name in (f.name for f in fields(Model)):
        value = getattr(found, name)
        if isinstance(value, int | float):
            assert isfinite(value), name
            assert value >= 0, name
    for group in found.cache_groups or ():
        assert isfinite(group.bytes_of(10**6, value_bytes=2))


def text(data: bytes) -> str:
    try:
        parse("org/model", data)
    except ModelError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
def test_no_bytes_end_otherwise_than_as_fields_or_unreadable(data: bytes) -> None:
    assert "\n" not in text(data)
