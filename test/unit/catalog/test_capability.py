"""What the engines need of a GPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.capability import ENGINES, TRANSFORMERS, VLLM, caveat, objection
from kaito.catalog.catalog import load
from kaito.catalog.engine import engine as packaged
from kaito.catalog.sku import Gpus

QUANTIZATIONS = st.none() | st.sampled_from(
    sorted({q for e in ENGINES.values() for q in e.quantizations})
)
DTYPES = st.sampled_from([None, "bfloat16", "float16"])


def nvidia(product: str, capability: float | None) -> Gpus:
    return Gpus(product=f"NVIDIA {product}", count=1, memory_gib=16, compute_capability=capability)


V100, T4, A100, L4, B200 = (
    nvidia("V100", 7.0),
    nvidia("T4", 7.5),
    nvidia("A100", 8.0),
    nvidia("L4", 8.9),
    nvidia("B200", 10.0),
)


def test_a_gpu_too_old_for_the_engine_is_told_first() -> None:
    assert objection(VLLM, V100, quantization="mxfp4", dtype="bfloat16") == (
        "NVIDIA V100 has compute capability 7.0, and vLLM 0.25.1 needs 7.5."
    )


def test_a_gpu_that_cannot_read_the_weights_is_told() -> None:
    assert objection(VLLM, T4, quantization="mxfp4") == (
        "NVIDIA T4 has compute capability 7.5, and vLLM 0.25.1 with mxfp4 weights needs 8.0."
    )


def test_a_gpu_without_the_data_type_is_told() -> None:
    assert objection(VLLM, T4, dtype="bfloat16") == (
        "NVIDIA T4 has compute capability 7.5, and vLLM 0.25.1 in bfloat16 needs 8.0."
    )


def test_another_makers_gpu_is_told() -> None:
    radeon = Gpus(product="AMD V620", count=1, memory_gib=32, vendor="amd")
    assert objection(VLLM, radeon) == "KAITO runs vLLM on NVIDIA GPUs, and these are AMD V620."


@pytest.mark.parametrize(
    ("gpus", "quantization", "dtype"),
    [
        (T4, "awq", "float16"),
        (T4, "fp8", None),
        (A100, "mxfp4", "bfloat16"),
        (A100, "nobody-knows", None),
        (nvidia("X", None), "mxfp4", "bfloat16"),
    ],
)
def test_what_runs_meets_no_objection(
    gpus: Gpus, quantization: str | None, dtype: str | None
) -> None:
    assert objection(VLLM, gpus, quantization=quantization, dtype=dtype) is None


def test_names_of_methods_are_read_in_any_case() -> None:
    assert objection(VLLM, V100, quantization="MIXED_PRECISION") is not None
    assert caveat(VLLM, A100, quantization="MIXED_PRECISION") is not None


def test_weights_that_are_widened_are_told_though_they_run() -> None:
    assert objection(VLLM, A100, quantization="fp8") is None
    assert caveat(VLLM, A100, quantization="fp8") == (
        "NVIDIA A100 has compute capability 8.0, and arithmetic in so few bits takes 8.9: vLLM "
        "0.25.1 with fp8 weights widens them to 16 bits to compute."
    )
    assert caveat(VLLM, L4, quantization="fp8") is None


def test_engines_differ_in_what_they_need() -> None:
    assert objection(TRANSFORMERS, A100, quantization="fp8") is not None
    assert objection(TRANSFORMERS, T4, dtype="bfloat16") is None


@given(st.sampled_from(sorted(ENGINES)), QUANTIZATIONS, DTYPES, st.floats(1, 13), st.floats(1, 13))
def test_a_newer_gpu_meets_no_objection_that_an_older_one_does_not(
    engine: str, quantization: str | None, dtype: str | None, one: float, other: float
) -> None:
    older, newer = (nvidia("X", capability) for capability in sorted((one, other)))
    if objection(ENGINES[engine], older, quantization=quantization, dtype=dtype) is None:
        assert objection(ENGINES[engine], newer, quantization=quantization, dtype=dtype) is None


@pytest.mark.parametrize(
    "architecture", ["DeepseekV32ForCausalLM", "DeepseekV4ForCausalLM", "GlmMoeDsaForCausalLM"]
)
def test_sparse_attention_needs_hopper(architecture: str) -> None:
    assert objection(VLLM, A100, architecture=architecture) == (
        f"NVIDIA A100 has compute capability 8.0, and vLLM 0.25.1 with {architecture} needs 9.0."
    )
    assert objection(VLLM, L4, architecture=architecture) is not None
    assert objection(VLLM, B200, architecture=architecture) is None
    assert objection(TRANSFORMERS, A100, architecture=architecture) is None


def test_every_architecture_with_a_need_is_one_that_the_engine_runs() -> None:
    assert VLLM.architectures.keys() <= packaged().architectures


def test_the_newest_gpu_meets_no_objection_and_no_caveat() -> None:
    for engine in ENGINES.values():
        for quantization in engine.quantizations:
            assert objection(engine, B200, quantization=quantization, dtype="bfloat16") is None
            assert caveat(engine, B200, quantization=quantization) is None


def test_what_is_computed_in_natively_takes_no_less_than_what_runs() -> None:
    for engine in ENGINES.values():
        for need in (engine.itself, *engine.dtypes.values(), *engine.quantizations.values()):
            assert need.source
            assert need.native is None or need.native >= need.least


def test_vllm_knows_the_quantisation_of_every_model_in_the_catalogue() -> None:
    used = {model.quantization.lower() for model in load().models.values() if model.quantization}
    assert used <= set(VLLM.quantizations)
