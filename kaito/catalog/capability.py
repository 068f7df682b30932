"""What the engines need of a GPU: the compute capability for themselves, for a data type of
computation, for weights quantised by a method, and for models of an architecture.

An engine may run where it does not shine: weights of 8 or 4 bits are widened before they are
computed with on GPUs whose tensor cores do not take them. `caveat` tells of that.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from kaito.catalog.sku import BFLOAT16_SINCE, Gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The NVIDIA compute capability that something takes."""

    least: float
    native: float | None = None
    """From which the GPU computes in it; below, the engine converts. None where there is no
    difference."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNeeds:
    """What a release of an engine needs."""

    engine: str
    version: str
    itself: Need
    dtypes: Mapping[str, Need] = field(default_factory=dict)
    """By the data type it computes in."""
    quantizations: Mapping[str, Need] = field(default_factory=dict)
    """By method or format of quantised weights, as a model's config.json names it, lower case."""
    architectures: Mapping[str, Need] = field(default_factory=dict)
    """By what a model's config.json names under architectures, where one needs more than others."""
    date: datetime.date
    """The day of the release."""

    def __str__(self) -> str:
        return f"{self.engine} {self.version}"


def _layers(module: str, least: float, native: float | None = None) -> Need:
    """What a module of vLLM 0.25.1 checks in get_min_capability."""
    where = f"vllm 0.25.1, vllm/model_executor/layers/quantization/{module}.py"
    return Need(least=least, native=native, source=where)


_SPARSE = Need(
    # Each backend of sparse latent attention is for some generations alone: FLASHMLA_SPARSE for 9
    # and 10, FLASHINFER_MLA_SPARSE for 10 and, since 0.24.0 (pull request 43477), for 12. None was
    # for 8 as late as v0.29.1rc0 of 2026-09-18; issues 40851, 50576 and 57144 ask for it.
    least=9.0,
    source="vllm, supports_compute_capability in vllm/v1/attention/backends/mla/*_sparse.py",
)

_SCHEMES = "compressed_tensors/schemes/compressed_tensors"

VLLM = EngineNeeds(
    engine="vLLM",
    version="0.25.1",
    date=datetime.date(2026, 7, 13),
    itself=Need(
        # 7.0 up to 0.19, which was built with PyTorch 2.10. From 0.20.0 on it is PyTorch 2.11, and
        # CUDA 13 by default (pull request 39878), which have no code for less.
        least=7.5,
        source="docs.vllm.ai, Installation, GPU, NVIDIA CUDA, Requirements",
    ),
    dtypes={
        "bfloat16": Need(
            least=BFLOAT16_SINCE, source="vllm 0.25.1, vllm/platforms/cuda.py, supported_dtypes"
        ),
    },
    quantizations={
        "awq": _layers("auto_awq", 7.5),
        "gptq": _layers("auto_gptq", 6.0),
        "bitsandbytes": _layers("bitsandbytes", 7.0),
        "fp8": _layers("fp8", 7.5, 8.9),
        "float-quantized": _layers(f"{_SCHEMES}_w8a16_fp8", 7.5, 8.9),
        "int-quantized": _layers(f"{_SCHEMES}_w8a8_int8", 7.5),
        "pack-quantized": _layers(f"{_SCHEMES}_wNa16", 7.5),
        "nvfp4-pack-quantized": _layers(f"{_SCHEMES}_w4a4_nvfp4", 7.5, 10.0),
        "mxfp4-pack-quantized": _layers(f"{_SCHEMES}_w4a4_mxfp4", 8.0, 10.0),
        "mxfp4": _layers("mxfp4", 8.0, 10.0),
        # NVIDIA ModelOpt: by its algorithm.
        "modelopt": _layers("modelopt", 8.9),
        "modelopt_fp4": _layers("modelopt", 7.5, 10.0),
        "mixed_precision": _layers("modelopt", 7.5, 10.0),
    },
    architectures={
        "DeepseekV32ForCausalLM": _SPARSE,
        "DeepseekV4ForCausalLM": _SPARSE,
        "GlmMoeDsaForCausalLM": _SPARSE,
    },
)

_FINE_GRAINED = "transformers 5.14.1, transformers/quantizers/quantizer_finegrained_fp8.py"
_BITSANDBYTES = "huggingface.co/docs/bitsandbytes/v0.50.0/installation, NVIDIA CUDA"

TRANSFORMERS = EngineNeeds(
    engine="transformers",
    version="5.14.1",
    date=datetime.date(2026, 7, 16),
    itself=Need(
        least=7.5,
        source="PyTorch 2.11, builds for CUDA 12.8 and 13.0: github.com/pytorch/pytorch issue "
        "172352",
    ),
    quantizations={
        # Below, the whole model is widened to bfloat16 when it is loaded, which nobody sized.
        "fp8": Need(least=8.9, source=_FINE_GRAINED),
        "mxfp4": Need(
            least=7.5,
            native=10.0,
            source="transformers 5.14.1, transformers/quantizers/quantizer_mxfp4.py",
        ),
        "bitsandbytes": Need(least=6.0, source=_BITSANDBYTES),
    },
)

ENGINES: Mapping[str, EngineNeeds] = {"vllm": VLLM, "transformers": TRANSFORMERS}
"""By the name that annotation kaito.sh/runtime gives."""


def objection(
    engine: EngineNeeds,
    gpus: Gpus,
    *,
    quantization: str | None = None,
    dtype: str | None = None,
    architecture: str | None = None,
) -> str | None:
    """What these GPUs lack for the engine to run there, in one sentence; None when nothing does.

    The sentence begins with a name that is written with a capital, so that it may also follow a
    colon. Nothing is held against GPUs whose capability is not known, nor against a quantisation, a
    data type or an architecture whose need is not known.
    """
    if gpus.vendor != "nvidia":
        return f"KAITO runs {engine.engine} on NVIDIA GPUs, and these are {gpus.product}."
    for what, need in _needs(engine, quantization, dtype, architecture):
        if gpus.compute_capability is not None and gpus.compute_capability < need.least:
            return (
                f"{gpus.product} has compute capability {gpus.compute_capability:.1f}, and "
                f"{engine}{what} needs {need.least:.1f}."
            )
    return None


def caveat(engine: EngineNeeds, gpus: Gpus, *, quantization: str | None = None) -> str | None:
    """What the engine makes up for on GPUs that it runs on, in one sentence like those of
    `objection`; None when nothing."""
    for what, need in _needs(engine, quantization):
        capability = gpus.compute_capability
        if need.native is not None and capability is not None and capability < need.native:
            return (
                f"{gpus.product} has compute capability {capability:.1f}, and arithmetic in so few "
                f"bits takes {need.native:.1f}: {engine}{what} widens them to 16 bits to compute."
            )
    return None


def _needs(
    engine: EngineNeeds,
    quantization: str | None,
    dtype: str | None = None,
    architecture: str | None = None,
) -> list[tuple[str, Need]]:
    """What is needed, and the words for it: the most fundamental first."""
    found = [("", engine.itself)]
    if quantization is not None and quantization.lower() in engine.quantizations:
        weights = engine.quantizations[quantization.lower()]
        found.append((f" with {quantization.lower()} weights", weights))
    if architecture is not None and architecture in engine.architectures:
        found.append((f" with {architecture}", engine.architectures[architecture]))
    if dtype is not None and dtype in engine.dtypes:
        found.append((f" in {dtype}", engine.dtypes[dtype]))
    return found
