"""How long until a model answers: the phases of a start, each with a range and where it is from.

Ranges and no averages: what was published spans a factor of four, and none of it was measured
here. The phases follow one another; nodes come side by side, so their number changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kaito.catalog.model import Model

PhaseName: TypeAlias = Literal["node", "device", "image", "framework", "download", "load", "engine"]

# Measured by upstream on AKS: one A100, Qwen3.8-27B, vLLM 0.25.1.
COLD_START = "https://github.com/kaito-project/kaito/issues/2325"
# Upstream's own account of a start from nothing.
MIRROR = "kaito-project/kaito docs/proposals/20260520-model-mirror.md"

IMAGE_GIB = 5.2  # kaito-base 0.5.0, compressed: 5.60 GB (COLD_START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Seconds."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"no range of seconds: {self.low} to {self.high}")

    def __add__(self, other: Range) -> Range:
        return Range(low=self.low + other.low, high=self.high + other.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of a start."""

    name: PhaseName
    what: str
    """What happens in it, for people."""
    seconds: Range | None
    """None when it cannot be told."""
    source: str
    """Where the figures are from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is there already."""

    node: Literal["none", "registered", "ready"] = "none"
    """registered: the Node is there, its GPUs are not yet offered. ready: they are."""
    image: bool = False
    """The engine's image is on the node."""
    weights: bool = False
    """The weights are on the node's disk."""
    download_gib_per_s: float | None = None
    """How fast weights arrive, where somebody measured it."""


# Created, booted and joined. The range of MIRROR, 3 to 8 minutes; COLD_START measured 284 s.
NODE = Range(low=180, high=480)
# Driver and device plugin until the GPUs are offered. COLD_START measured 126 s; the rest of the
# 10 to 11 minutes until a new node is ready that Azure's support tells of is the other end
# (https://learn.microsoft.com/en-us/answers/a/12767836).
DEVICE = Range(low=60, high=300)
# GiB a second that arrive and unpack: COLD_START measured 101 s, MIRROR tells 1 to 2 minutes.
IMAGE_SPEED = (0.043, 0.087)
# From the container's start until the engine loads the model: imports, configuration, workers.
# COLD_START measured 98 s; 16 s in https://github.com/vllm-project/vllm/issues/44881.
FRAMEWORK = Range(low=15, high=105)
# GiB a second from Hugging Face. 61 GiB took 8 minutes in MIRROR; 51.75 GiB were downloaded and
# loaded in 62 s in COLD_START.
DOWNLOAD_SPEED = (0.1, 0.85)
# GiB a second from the disk to all GPUs together: 21.8 GiB in 18 s (vLLM issue 44881), 64.4 GiB in
# 9.7 s from memory (https://github.com/vllm-project/vllm/issues/33155).
LOAD_SPEED = (1.2, 6.6)
# Trial run, compilation, CUDA graphs, warm-up: 34 s (https://github.com/vllm-project/vllm/issues/
# 20264), 195 s (COLD_START), 253 s (vLLM issue 44881).
ENGINE = Range(low=30, high=260)


def time_to_ready(model: Model, known: Known | None = None) -> tuple[Phase, ...]:
    """The phases that are still to come, in their order; of a node that is there none."""
    engine = _phase("engine", "it compiles and captures graphs", ENGINE, COLD_START)
    return (*_time_to_loaded(model, known, "the engine starts"), engine)


def time_to_train(model: Model, known: Known | None = None) -> tuple[Phase, ...]:
    """The same until a training begins; how long its data takes to arrive nobody knows before it
    is there."""
    return _time_to_loaded(model, known, "the trainer starts")


def _time_to_loaded(model: Model, known: Known | None, starts: str) -> tuple[Phase, ...]:
    now = known or Known()
    phases: list[Phase] = []
    if now.node == "none":
        phases.append(_phase("node", "the cloud creates the node and it joins", NODE, MIRROR))
    if now.node != "ready":
        phases.append(_phase("device", "its driver and device plugin start", DEVICE, COLD_START))
    if not now.image:
        pull = _moved(IMAGE_GIB, IMAGE_SPEED)
        phases.append(_phase("image", "the engine's image is pulled", pull, COLD_START))
    phases.append(_phase("framework", starts, FRAMEWORK, COLD_START))
    size = model.weights_gib
    if not now.weights:
        speed, source = DOWNLOAD_SPEED, f"{MIRROR}; {COLD_START}"
        if now.download_gib_per_s is not None:
            speed, source = (now.download_gib_per_s, now.download_gib_per_s), "measured"
        what = f"{_size(size)} of weights are downloaded"
        phases.append(_phase("download", what, _moved(size, speed), source))
    phases.append(
        _phase(
            "load",
            "weights are loaded to the GPUs",
            _moved(size, LOAD_SPEED),
            "https://github.com/vllm-project/vllm/issues/44881",
        )
    )
    return tuple(phases)


def total(phases: tuple[Phase, ...]) -> Range | None:
    """All of them together; None when one of them cannot be told."""
    added = Range(low=0, high=0)
    for phase in phases:
        if phase.seconds is None:
            return None
        added += phase.seconds
    return added


def _phase(name: PhaseName, what: str, seconds: Range | None, source: str) -> Phase:
    return Phase(name=name, what=what, seconds=seconds, source=source)


def _moved(gib: float | None, speed: tuple[float, float]) -> Range | None:
    if gib is None:
        return None
    slow, fast = speed
    return Range(low=gib / fast, high=gib / slow)


def _size(gib: float | None) -> str:
    return "an unknown size" if gib is None else f"{gib:g} GiB"
