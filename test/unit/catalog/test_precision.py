"""Old GPUs compute in another data type, and what that risks is said."""

from __future__ import annotations

import pytest

from kaito.catalog.model import Model
from kaito.catalog.precision import cache_type, precision
from kaito.catalog.sku import Gpus


def gpus(capability: float | None) -> Gpus:
    return Gpus(product="NVIDIA X", count=1, memory_gib=16, compute_capability=capability)


@pytest.mark.parametrize("capability", [8.0, 8.9, 9.0, 10.0, None])
def test_newer_gpus_compute_in_bfloat16(capability: float | None) -> None:
    found = precision(Model(name="x/model", dtype="bfloat16"), gpus(capability))
    assert (found.dtype, found.bytes, found.danger) == ("bfloat16", 2, None)


def test_older_gpus_compute_in_float16_and_may_overflow() -> None:
    found = precision(Model(name="x/model"), gpus(7.0))
    assert found.dtype == "float16"
    assert found.danger == (
        "NVIDIA X has no bfloat16, for which its compute capability of 7.0 would have to be 8.0, "
        "so x/model runs in float16, where values beyond 65,504 turn into infinity"
    )


def test_families_that_leave_its_range_take_twice_the_memory() -> None:
    gemma = Model(name="google/gemma-3-4b-it", architecture="Gemma3ForConditionalGeneration")
    found = precision(gemma, gpus(7.5))
    assert (found.dtype, found.bytes) == ("float32", 4)
    assert "twice the memory" in (found.danger or "")


def test_weights_that_were_made_in_float16_are_safe_in_it() -> None:
    found = precision(Model(name="x/model", dtype="float16"), gpus(7.0))
    assert (found.dtype, found.danger) == ("float16", None)


def test_weights_in_float32_are_not_kept_so() -> None:
    assert precision(Model(name="x/model", dtype="float32"), gpus(8.0)).dtype == "bfloat16"


def test_the_cache_of_some_models_has_one_byte_a_value() -> None:
    assert cache_type(Model(name="deepseek-ai/DeepSeek-V4-Pro")) == "fp8"
    assert cache_type(Model(name="deepseek-ai/DeepSeek-V3.2")) == "auto"
