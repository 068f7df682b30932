"""The data files of models: complete or saying why not, and agreeing with upstream's catalogue."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib import resources

import pytest

from kaito.catalog.catalog import load
from kaito.catalog.engine import engine
from kaito.catalog.model import Model
from kaito.catalog.models import models

MODELS = models()
CATALOG = load()
HISTORICAL = [m for m in MODELS if m.historical]

# Upstream's catalogue (kaito.md 4.3): weights, disk, bytes of cache a token, attention, context.
UPSTREAM = [
    ("microsoft/phi-4", 27.31, 107, 204800, "GQA", 16384),
    ("microsoft/Phi-4-mini-instruct", 7.15, 87, 131072, "GQA", 131072),
    ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", 14.96, 94, 131072, "GQA", 131072),
    ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", 27.51, 107, 196608, "GQA", 131072),
    ("microsoft/Phi-3-mini-4k-instruct", 7.12, 87, 393216, "MHA", 4096),
    ("microsoft/Phi-3-mini-128k-instruct", 7.12, 87, 393216, "MHA", 131072),
    ("microsoft/Phi-3-medium-4k-instruct", 26, 106, 204800, "GQA", 4096),
    ("microsoft/Phi-3-medium-128k-instruct", 26, 106, 204800, "GQA", 131072),
    ("microsoft/Phi-3.5-mini-instruct", 7.12, 87, 393216, "MHA", 131072),
    ("Qwen/Qwen2.5-Coder-7B-Instruct", 14.19, 94, 57344, "GQA", 32768),
    ("Qwen/Qwen2.5-Coder-32B-Instruct", 61.03, 141, 262144, "GQA", 32768),
    ("openai/gpt-oss-20b", 25.63, 105, 49152, "GQA", 131072),
    ("openai/gpt-oss-120b", 121.54, 201, 73728, "GQA", 131072),
    ("meta-llama/Llama-3.1-8B-Instruct", 14.96, 94, 131072, "GQA", 131072),
    ("meta-llama/Llama-3.3-70B-Instruct", 131.42, 211, 327680, "GQA", 131072),
    ("mistralai/Mistral-7B-v0.3", 13.5, 93, 131072, "GQA", 32768),
    ("mistralai/Mistral-7B-Instruct-v0.3", 13.5, 93, 131072, "GQA", 32768),
    ("mistralai/Ministral-3-3B-Instruct-2512", 4.35, 84, 106496, "GQA", 262144),
    ("mistralai/Ministral-3-8B-Instruct-2512", 9.7, 89, 139264, "GQA", 262144),
    ("mistralai/Ministral-3-14B-Instruct-2512", 14.65, 94, 163840, "GQA", 262144),
    ("google/gemma-3-4b-it", 8.01, 88, 139264, "GQA", 131072),
    ("google/gemma-3-27b-it", 51.1, 131, 507904, "GQA", 131072),
    ("deepseek-ai/DeepSeek-R1-0528", 641.3, 721, 70272, "MLA", 163840),
    ("deepseek-ai/DeepSeek-V3-0324", 641.3, 721, 70272, "MLA", 163840),
    ("mistralai/Mistral-Large-3-675B-Instruct-2512", 634.7, 714, 70272, "MLA", 294912),
    ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", 230.25, 310, 90112, "GQA", 262144),
    ("nvidia/Nemotron-Cascade-2-30B-A3B", 58.82, 138, 53248, "GQA", 262144),
    ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 58.82, 138, 53248, "GQA", 262144),
    ("nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16", 24.55, 104, 253952, "GQA", 131072),
    ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 16.56, 96, 229376, "GQA", 131072),
    ("nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16", 7.4, 87, 172032, "GQA", 262144),
    ("Qwen/Qwen3-8B-AWQ", 5.68, 85, 147456, "GQA", 40960),
    ("google/gemma-4-31B-it", 58.25, 138, 983040, "GQA", 262144),
    ("google/gemma-4-26B-A4B-it", 48.07, 128, 245760, "GQA", 262144),
    ("google/gemma-4-E4B-it", 14.89, 94, 86016, "GQA", 131072),
    ("google/gemma-4-E2B-it", 9.54, 89, 35840, "MQA", 131072),
    ("mistralai/Mistral-Small-4-119B-2603", 112.63, 192, 23040, "MLA", 1048576),
    ("mistralai/Mistral-Small-4-119B-2603-NVFP4", 65.95, 145, 23040, "MLA", 1048576),
    ("Qwen/Qwen3.5-2B", 4.24, 84, 49152, "GQA", 262144),
    ("Qwen/Qwen3.5-4B", 8.68, 88, 131072, "GQA", 262144),
    ("Qwen/Qwen3.5-9B", 17.98, 97, 131072, "GQA", 262144),
    ("Qwen/Qwen3.5-122B-A10B-GPTQ-Int4", 73.47, 153, 98304, "GQA", 262144),
    ("Qwen/Qwen3.5-122B-A10B", 232.99, 312, 98304, "GQA", 262144),
    ("Qwen/Qwen3.6-35B-A3B-FP8", 34.9, 114, 81920, "GQA", 262144),
    ("Qwen/Qwen3.6-35B-A3B", 66.97, 146, 81920, "GQA", 262144),
    ("Qwen/Qwen3.6-27B", 51.75, 131, 262144, "GQA", 262144),
    ("Qwen/Qwen3.5-397B-A17B-GPTQ-Int4", 219.56, 299, 122880, "GQA", 262144),
    ("moonshotai/Kimi-K2.5", 554.32, 634, 70272, "MLA", 262144),
    ("moonshotai/Kimi-K2.6", 554.32, 634, 70272, "MLA", 262144),
    ("MiniMaxAI/MiniMax-M2.7", 214.34, 294, 253952, "GQA", 204800),
    ("mistralai/Mistral-Medium-3.5-128B", 124.43, 204, 360448, "GQA", 262144),
    ("deepseek-ai/DeepSeek-V4-Flash-0731", 155.43, 235, 88064, "MQA", 1048576),
    ("deepseek-ai/DeepSeek-V4-Pro", 805.34, 885, 124928, "MQA", 1048576),
    ("google/gemma-4-12B-it", 22.28, 102, 393216, "GQA", 262144),
    ("zai-org/GLM-5.2-FP8", 703.75, 783, 89856, "MLA", 1048576),
    ("moonshotai/Kimi-K2.7-Code", 554.32, 634, 70272, "MLA", 262144),
    ("nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4", 328.13, 408, 110592, "GQA", 262144),
    ("deepseek-ai/DeepSeek-V3.2", 642.14, 722, 70272, "MLA", 163840),
    ("ibm-granite/granite-4.1-8b", 16.38, 96, 163840, "GQA", 131072),
    ("Qwen/Qwen3.8-27B", 51.75, 131, 262144, "GQA", 262144),
]

# Every name that a release of upstream took for a preset, v0.0.1 to v0.12.0, without an
# organisation (supported_models.yaml and the constants of each tag).
PRESETS = [
    *("falcon-7b", "falcon-7b-instruct", "falcon-40b", "falcon-40b-instruct", "llama-2-7b"),
    *("llama-2-7b-chat", "llama-2-13b", "llama-2-13b-chat", "llama-2-70b", "llama-2-70b-chat"),
    *("mistral-7b", "mistral-7b-instruct", "phi-2", "phi-3-mini-4k-instruct"),
    *("phi-3-mini-128k-instruct", "phi-3-medium-4k-instruct", "phi-3-medium-128k-instruct"),
    *("phi-3.5-mini-instruct", "phi-4", "phi-4-mini-instruct", "qwen2.5-coder-7b-instruct"),
    *("qwen2.5-coder-32b-instruct", "llama-3.1-8b-instruct", "llama-3.3-70b-instruct"),
    *("deepseek-r1-0528", "deepseek-v3-0324", "deepseek-r1-distill-llama-8b"),
    *("deepseek-r1-distill-qwen-14b", "gpt-oss-20b", "gpt-oss-120b", "gemma-3-4b-instruct"),
    *("gemma-3-27b-instruct", "ministral-3-3b-instruct", "ministral-3-8b-instruct"),
    *("ministral-3-14b-instruct", "mistral-large-3-675b-instruct"),
]

# Parsers and templates that upstream's own generator tells (kaito.md 4.3), one of each kind.
PARSERS = {
    "microsoft/phi-4": (None, None, None),
    "microsoft/Phi-4-mini-instruct": (None, None, "phi4-mini"),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": ("deepseek_v3", "deepseek_r1", "deepseekr1"),
    "deepseek-ai/DeepSeek-V3.2": ("deepseek_v32", "deepseek_v3", "deepseekv3"),
    "Qwen/Qwen2.5-Coder-7B-Instruct": ("hermes", None, "hermes"),
    "openai/gpt-oss-20b": ("openai", "openai_gptoss", None),
    "meta-llama/Llama-3.1-8B-Instruct": ("llama3_json", None, "llama3.1-json"),
    "mistralai/Mistral-7B-v0.3": ("mistral", None, None),
    "mistralai/Ministral-3-3B-Instruct-2512": (None, None, None),
    "mistralai/Mistral-Small-4-119B-2603": ("mistral", "mistral", None),
    "google/gemma-3-4b-it": ("functiongemma", None, None),
    "google/gemma-4-12B-it": ("gemma4", "gemma4", "gemma4"),
    "nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16": ("qwen3_coder", "nemotron_v3", None),
    "Qwen/Qwen3-8B-AWQ": ("hermes", "qwen3", None),
    "Qwen/Qwen3.8-27B": ("qwen3_coder", "qwen3", None),
    "moonshotai/Kimi-K2.7-Code": ("kimi_k2", "kimi_k2", None),
    "MiniMaxAI/MiniMax-M2.7": ("minimax_m2", "minimax_m2_append_think", None),
    "zai-org/GLM-5.2-FP8": ("glm47", "glm45", None),
    "ibm-granite/granite-4.1-8b": ("granite4", "granite", None),
    "tiiuae/falcon-7b": (None, None, None),
    "meta-llama/Llama-2-7b-chat-hf": (None, None, None),
}


def found(name: str) -> Model:
    model = CATALOG.find_model(name)
    assert model is not None, name
    return model


def explained(model: Model) -> set[str]:
    """What the row gives a reason for."""
    reasons = (model.unknown or "").split("; ")
    return {reason.partition(": ")[0] for reason in reasons if reason}


@pytest.mark.parametrize(
    ("name", "weights", "disk", "kv_bytes", "attention", "context"),
    UPSTREAM,
    ids=[row[0] for row in UPSTREAM],
)
def test_a_model_agrees_with_upstreams_catalogue(
    name: str, weights: float, disk: int, kv_bytes: int, attention: str, context: int
) -> None:
    model = found(name)
    assert (model.name, model.historical) == (name, False)
    assert (model.weights_gib, model.disk, model.context) == (weights, disk, context)
    assert (model.kv_bytes_per_token, model.attention) == (kv_bytes, attention)


def test_the_catalogue_holds_what_upstream_holds_and_what_it_dropped() -> None:
    assert {m.name for m in MODELS if not m.historical} == {row[0] for row in UPSTREAM}
    assert sum(len(m.aliases) for m in MODELS if not m.historical) == 25
    assert len(HISTORICAL) == 11


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_that_upstream_ever_released_resolves(name: str) -> None:
    assert found(name) is found(name.upper())


def test_no_two_rows_answer_to_one_name() -> None:
    names = [name.lower() for model in MODELS for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_row_is_complete_or_says_why_not(model: Model) -> None:
    assert set(model.missing) <= explained(model)
    assert model.source
    assert model.date is not None
    assert date(2024, 1, 1) < model.date <= date(2026, 11, 21)


def test_reasons_are_given_for_what_is_missing_alone() -> None:
    for model in MODELS:
        assert explained(model) - {"caches"} <= set(model.missing), model.name


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_figures_of_a_row_go_together(model: Model) -> None:
    assert model.heads is not None
    assert model.kv_heads is not None
    assert model.heads % model.kv_heads == 0
    assert model.memory_gib is not None
    assert model.weights_gib is not None
    assert model.memory_gib <= model.weights_gib
    assert model.architecture in engine().architectures
    if model.active_parameters_b is not None:
        assert model.active_parameters_b < (model.parameters_b or 0)
    if model.revision is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m.parameters_b and m.quantization_bits], ids=lambda m: m.name
)
def test_quantised_weights_take_about_their_bits_a_parameter(model: Model) -> None:
    # Scales, and layers that stay as they were, add to it: most in small models.
    bits = (model.memory_gib or 0) * 1024**3 * 8 / ((model.parameters_b or 1) * 10**9)
    expected = model.quantization_bits or 0
    assert expected * 0.9 < bits < expected + 2, bits


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_groups_of_a_row_never_remember_more_layers_than_it_has(model: Model) -> None:
    groups = model.cache_groups
    assert groups is not None
    assert model.layers is not None
    for kind in ("full", "sliding", "state"):
        assert sum(g.layers for g in groups if g.kind == kind) <= model.layers
    assert max(g.layers for g in groups) <= model.layers


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("google/gemma-3-27b-it", [("sliding", 52), ("full", 10)]),
        # Of 35 layers the last 20 read the caches of earlier ones.
        ("google/gemma-4-E2B-it", [("sliding", 12), ("full", 3)]),
        ("openai/gpt-oss-120b", [("sliding", 18), ("full", 18)]),
        ("Qwen/Qwen3.6-27B", [("state", 48), ("full", 16)]),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", [("state", 27), ("full", 4)]),
        ("microsoft/Phi-3-mini-4k-instruct", [("sliding", 32)]),
        ("deepseek-ai/DeepSeek-V3.2", [("latent", 61), ("latent", 61)]),
        ("deepseek-r1-0528", [("latent", 61)]),
        ("phi-2", [("full", 32)]),
    ],
)
def test_layers_are_told_apart(name: str, groups: list[tuple[str, int]]) -> None:
    assert [(g.kind, g.layers) for g in found(name).cache_groups or ()] == groups


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_and_templates_follow_from_name_and_architecture(name: str) -> None:
    model = found(name)
    assert (model.tool_parser, model.reasoning_parser, model.chat_template) == PARSERS[name]


def test_models_that_need_a_token_are_known() -> None:
    assert {m.name for m in MODELS if m.access == "gated"} == {
        *("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        *("google/gemma-3-4b-it", "google/gemma-3-27b-it"),
        *(m.name for m in HISTORICAL if m.name.startswith("meta-llama/")),
    }


def test_the_engines_tables_have_a_source_and_a_date() -> None:
    text = resources.files("kaito.catalog").joinpath("data", "engine.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    assert len(tables["architectures"]) == len(engine().architectures) == 356
    assert (tables["vllm"], tables["date"]) == (engine().version, date(2026, 8, 21))
    assert tables["source"]
