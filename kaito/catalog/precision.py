"""The data types of a model on given GPUs: what works there, and what it risks.

Weights that are quantised keep their own type in memory; this is about what is computed and cached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kaito.catalog.model import Model
from kaito.catalog.sku import BFLOAT16_SINCE, Gpus

Dtype: TypeAlias = Literal["bfloat16", "float16", "float32"]
CacheType: TypeAlias = Literal["auto", "fp8"]

BYTES: dict[Dtype, int] = {"bfloat16": 2, "float16": 2, "float32": 4}

# Families whose activations leave the range of float16. vLLM refuses that type for them
# (vllm/config/model.py, _FLOAT16_NOT_SUPPORTED_MODELS, v0.25.1).
OUTSIDE_FLOAT16 = frozenset({"Gemma2", "Gemma3", "Plamo2", "Glm4"})

# Models whose cache is kept in one byte a value, by the beginning of their names in lower case
# (kaito.md 3.6).
NARROW_CACHE = ("deepseek-ai/deepseek-v4", "zai-org/glm-5.2-fp8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A data type that works, and what is wrong with it."""

    dtype: Dtype
    danger: str | None = None
    """One sentence without its full stop; None where nothing is wrong."""

    @property
    def bytes(self) -> int:
        """Of one value."""
        return BYTES[self.dtype]


def precision(model: Model, gpus: Gpus) -> Precision:
    """What a model computes in on these GPUs.

    bfloat16 wherever the GPU has it, except for weights that are stored as float16. Weights stored
    as float32 are halved when they are loaded, as vLLM does by default (_resolve_auto_dtype in the
    same file).
    """
    if model.dtype == "float16":
        return Precision(dtype="float16")
    if gpus.bfloat16:
        return Precision(dtype="bfloat16")
    lacking = (
        f"{gpus.product} has no bfloat16, for which its compute capability of "
        f"{gpus.compute_capability:.1f} would have to be {BFLOAT16_SINCE:.1f}"
    )
    if _family(model) in OUTSIDE_FLOAT16:
        return Precision(
            dtype="float32",
            danger=f"{lacking}, and {model.name} is not stable in float16, so it runs in float32 "
            "with twice the memory",
        )
    return Precision(
        dtype="float16",
        danger=f"{lacking}, so {model.name} runs in float16, where values beyond 65,504 turn into "
        "infinity",
    )


def cache_type(model: Model) -> CacheType:
    """What the engine is told of the KV cache (--kv-cache-dtype); auto is what it computes in."""
    return "fp8" if model.name.lower().startswith(NARROW_CACHE) else "auto"


def _family(model: Model) -> str:
    return (model.architecture or "").partition("For")[0]
