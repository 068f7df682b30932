"""What vLLM takes of each GPU to serve a model, and what that leaves for requests.

vLLM measures this when it starts: weights, the peak of a trial run and what lies outside PyTorch
are taken from the share that it may use, and the rest is the KV cache (determine_available_memory,
vllm/v1/worker/gpu_worker.py). Here the same account is made from sizes alone. vLLM means v0.25.1;
figures that no source file tells are fitted to published logs, which docs/estimator.md lists.
Units are GiB unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import assert_never

from kaito.catalog.cache import Cache
from kaito.catalog.model import Model
from kaito.catalog.parallel import Split, stages
from kaito.catalog.precision import CacheType, cache_type, precision
from kaito.catalog.sku import Gpus

GIB = 1024**3
BLOCK = 16  # tokens; vllm/config/cache.py

# What the driver leaves of the printed size: fitted to logs from T4 to H200.
PRINTED = 0.995
DRIVER = 0.45
# GDDR5 and GDDR6 keep their check bits in the memory itself.
ERROR_CORRECTION = 15 / 16
CORRECTED = frozenset(
    f"NVIDIA {name}" for name in ("A10G", "A16", "A2", "L4", "L40S", "M60", "P40", "T4", "T4G")
)

# get_batch_defaults, vllm/engine/arg_utils.py
LARGE_GPU = 70.0
SMALL_BATCH, LARGE_BATCH = 2048, 8192  # tokens
FEW_REQUESTS, MANY_REQUESTS = 256, 1024

# Bytes of a value in a latent vector of 8 bits with its scales and its wider part: 656 for 576, 584
# for 512 (MLAAttentionSpec, vllm/v1/kv_cache_interface.py).
NARROW_LATENT = 1.14
LOADED = 1.005  # weights in memory against weights in files
LOGITS_COPIES = 3.75  # of float32 logits at the peak of sampling
FLOAT32 = 4  # bytes
EXPERTS = 8  # that a token passes through, where there are experts
WIDEST = 8  # no feed-forward layer is wider than this many times the model
BUFFERS = 0.15  # inputs, positions and the like
ENCODER = 0.25  # a trial image
UNKNOWN_ACTIVATIONS = 1.7  # kaito.md 4.4, for models whose vocabulary or width is not known
GRAPHS, GRAPHS_PER_LAYER = 0.2, 0.01
OUTSIDE = 0.25  # CUDA context and kernels
COMMUNICATION = 0.3  # buffers of GPUs that share layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How vLLM is started, as far as memory depends on it."""

    utilization: float
    """The share of each GPU that it may use (--gpu-memory-utilization)."""
    batch_tokens: int
    """Tokens of one step (--max-num-batched-tokens)."""
    requests: int
    """Requests of one step (--max-num-seqs)."""
    value_bytes: int
    """Of what is neither a weight nor cached."""
    cached_bytes: int
    """Of one value in the KV cache (--kv-cache-dtype)."""


def serving(
    model: Model,
    gpus: Gpus,
    *,
    utilization: float | None = None,
    cached: CacheType | None = None,
) -> Serving:
    """vLLM as we start it on these GPUs, with its own defaults for what we leave to it.

    None of a setting is what we tell it unless a user says more.
    """
    large = gpus.each_gib >= LARGE_GPU and "A100" not in gpus.product
    value = precision(model, gpus).bytes
    return Serving(
        utilization=gpus.memory_share if utilization is None else utilization,
        batch_tokens=LARGE_BATCH if large else SMALL_BATCH,
        requests=MANY_REQUESTS if large else FEW_REQUESTS,
        value_bytes=value,
        cached_bytes=1 if (cached or cache_type(model)) == "fp8" else value,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The memory of each GPU of one pipeline stage, GiB; all GPUs of a stage are alike."""

    usable: float
    weights: float
    activations: float
    graphs: float
    """CUDA graphs. vLLM sets them aside for mixtures of experts and layers with a state, and lets
    other models take them from what it may not use."""
    outside: float
    """What does not pass through PyTorch."""
    layers: tuple[int, ...]
    """How many of its layers belong to each group of the model's caches, at most."""

    @property
    def cache(self) -> float:
        """What is left for the KV cache, GiB; negative when the rest does not fit."""
        return self.usable - self.weights - self.activations - self.graphs - self.outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The account of one copy of a model, whose weights and shape are known."""

    model: Model
    split: Split
    how: Serving
    block: int
    """Tokens that the cache is handed out by."""
    stages: tuple[Stage, ...]
    max_context: int | None = field(init=False)
    """The longest request that fits, tokens: what --max-model-len=auto comes to, 0 for none; None
    where some fit and nobody knows the longest that the model was made for.

    vLLM searches like this (_estimate_max_model_len_from_groups, v1/core/kv_cache_utils.py).
    """

    def __post_init__(self) -> None:
        most = self.model.context
        longest = None if most is None and self.fits(1) else largest(most or 0, self.fits)
        object.__setattr__(self, "max_context", longest)  # frozen, and searched once

    @property
    def tightest(self) -> Stage:
        """The stage with the least room for the KV cache."""
        return min(self.stages, key=lambda stage: stage.cache)

    def fits(self, tokens: int, requests: int = 1) -> bool:
        """Whether one copy holds this many requests of this length at once."""
        return all(
            requests * self.stage_bytes(index, tokens) <= stage.cache * GIB
            for index, stage in enumerate(self.stages)
        )

    def requests(self, tokens: int) -> int:
        """How many requests of this length all copies answer at once, 0 for none."""
        most = largest(self.how.requests, lambda count: self.fits(tokens, count))
        return most * self.split.data_parallel

    def stage_bytes(self, index: int, tokens: int) -> float:
        """KV cache that one request of this length takes of each GPU of a stage."""
        return sum(
            layers * layer_bytes(group, tokens, split=self.split, how=self.how, block=self.block)
            for layers, group in zip(
                self.stages[index].layers, self.model.cache_groups or (), strict=True
            )
        )


def memory(model: Model, gpus: Gpus, split: Split, how: Serving) -> Memory | None:
    """The account of each GPU.

    None when the weights or the shape of the model or the memory of the GPUs are not known, and
    for GPUs that CUDA does not run on, of which this tells nothing.
    """
    groups, total = model.cache_groups, model.layers
    if model.memory_gib is None or total is None or not groups or not gpus.memory_gib:
        return None
    if gpus.vendor != "nvidia":
        return None
    count = split.pipeline_parallel
    return Memory(
        model=model,
        split=split,
        how=how,
        block=_block(groups, split, how),
        stages=tuple(
            Stage(
                usable=visible(gpus) * how.utilization,
                weights=_weights(model, split, how, part / total, _ends(index, count)),
                activations=_activations(model, split, how, last=index == count - 1),
                graphs=_graphs(part, how),
                outside=OUTSIDE + (COMMUNICATION if split.tensor_parallel > 1 else 0.0),
                layers=tuple(ceil(group.layers * part / total) for group in groups),
            )
            for index, part in enumerate(stages(total, count))
        ),
    )


def loaded(model: Model, value_bytes: int) -> float:
    """The weights in memory, GiB, when what is not quantised has values of this many bytes.

    Quantised weights stay as they are in the files: a GPU without their type computes from them in
    another (Marlin kernels, vllm/model_executor/layers/quantization), which takes no more memory.
    """
    if model.quantization is not None:
        return (model.memory_gib or 0.0) * LOADED
    stored = FLOAT32 if model.dtype == "float32" else 2
    return (model.memory_gib or 0.0) * LOADED * value_bytes / stored


def visible(gpus: Gpus) -> float:
    """What CUDA sees of the memory of one GPU; its printed size is never all there."""
    corrected = ERROR_CORRECTION if gpus.product in CORRECTED else 1.0
    return gpus.each_gib * PRINTED * corrected - DRIVER


def layer_bytes(
    cache: Cache, tokens: int, *, split: Split, how: Serving, block: int = BLOCK
) -> float:
    """What one layer keeps of a request on one GPU, in whole blocks.

    As vLLM counts it (max_memory_usage_bytes, vllm/v1/kv_cache_interface.py): key-value heads are
    divided among the GPUs that share the layer, and repeated where there are fewer of them; a
    latent vector is on each GPU; a window also holds the tokens of the step at hand, and begins
    within a block.
    """
    heads = max(1, (cache.kv_heads or 0) // split.tensor_parallel)
    values = 2 * heads * (cache.head_dim or 0)
    seen = tokens
    if cache.window is not None:
        seen = min(cache.window - 1 + how.batch_tokens, tokens) + block
    match cache.kind:
        case "full" | "sliding":
            return _whole(seen, block) * values * how.cached_bytes
        case "latent":
            entries = ceil(_whole(seen, block) / cache.stride) * (cache.rank or 0)
            return entries * (NARROW_LATENT if how.cached_bytes == 1 else how.cached_bytes)
        case "state":
            return (cache.bytes or 0) / split.tensor_parallel
    assert_never(cache.kind)


def _whole(tokens: int, block: int) -> int:
    return ceil(tokens / block) * block


def _block(groups: tuple[Cache, ...], split: Split, how: Serving) -> int:
    # Beside layers with a state a block is as long as makes it as large as one state.
    states = [group.bytes or 0 for group in groups if group.kind == "state"]
    growing = [
        layer_bytes(group, BLOCK, split=split, how=how) / BLOCK
        for group in groups
        if group.kind in ("full", "latent")
    ]
    if not states or not growing:
        return BLOCK
    return _whole(ceil(max(states) / split.tensor_parallel / min(growing)), BLOCK)


def _ends(index: int, count: int) -> int:
    """How many of the two ends, embedding and output, a stage has."""
    return (index == 0) + (index == count - 1)


def _weights(model: Model, split: Split, how: Serving, share: float, ends: int) -> float:
    total = loaded(model, how.value_bytes)
    tied = (model.architecture or "").startswith("Gemma")  # one matrix serves as both ends
    end = 0.0
    if split.pipeline_parallel > 1 and model.vocabulary and model.hidden:
        end = model.vocabulary * model.hidden * how.value_bytes / GIB
    body = total - end * (1 if tied else 2)
    return (body * share + end * ends) / split.tensor_parallel + share * _repeated(model, split)


def _repeated(model: Model, split: Split) -> float:
    """Projections to key-value heads that are on more GPUs than their share, GiB of each."""
    gpus, hidden = split.tensor_parallel, model.hidden or 0
    each = (model.memory_gib or 0.0) * GIB / (model.parameters_b * 1e9) if model.parameters_b else 2
    values = 0.0
    for group in model.cache_groups or ():
        if group.kind == "latent":
            values += group.layers * hidden * (group.rank or 0) * (1 - 1 / gpus)
        elif group.kv_heads is not None and group.kv_heads < gpus:
            over = 1 - group.kv_heads / gpus
            values += 2 * group.layers * hidden * (group.head_dim or 0) * over
    return values * each / GIB


def _activations(model: Model, split: Split, how: Serving, *, last: bool) -> float:
    """The peak of vLLM's trial run (profile_run, v1/worker/gpu_model_runner.py).

    The widest layer for a full batch, or the choice of the next token for every request, whichever
    is more: the logits are gathered on every GPU, so tensor parallelism does not make them less.
    """
    if model.vocabulary is None or model.hidden is None:
        return UNKNOWN_ACTIVATIONS
    batch = how.batch_tokens * how.value_bytes
    width = feed_forward(model) / split.tensor_parallel
    layer = batch * (3 * width + 2 * model.hidden) + BUFFERS * GIB
    if split.pipeline_parallel > 1:
        layer += 2 * batch * model.hidden  # what the stages pass on
    choice = LOGITS_COPIES * how.requests * model.vocabulary * FLOAT32 + batch * model.hidden
    peak = max(layer, choice if last else 0.0)
    if model.active_parameters_b is not None:
        peak += batch * (EXPERTS * model.hidden + 2 * width)
    architecture = model.architecture or ""
    seeing = "ForConditionalGeneration" in architecture or "VL" in architecture
    return peak / GIB + (ENCODER if seeing else 0.0)


def feed_forward(model: Model) -> float:
    """Features that a token has in the feed-forward part of a layer, over all of its experts.

    What is left of a layer's parameters after attention, in three matrices.
    """
    hidden, layers = model.hidden or 0, model.layers or 1
    known = model.active_parameters_b or model.parameters_b
    parameters = known * 1e9 if known else (model.memory_gib or 0.0) * GIB / 2
    ends = 2 * (model.vocabulary or 0) * hidden
    heads = 2 * (model.heads or 0) + 2 * (model.kv_heads or 0)
    attention = hidden * (model.head_dim or 0) * heads
    width = ((parameters - ends) / layers - attention) / (3 * hidden)
    return min(max(width, hidden), WIDEST * hidden)


def _graphs(layers: int, how: Serving) -> float:
    sizes = 2 if how.requests >= MANY_REQUESTS else 1
    return GRAPHS + GRAPHS_PER_LAYER * layers * sizes


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `most` that fits, given that all smaller ones do; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
