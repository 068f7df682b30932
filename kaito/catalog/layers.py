"""Which layers of a model remember what, from its configuration.

Models write the pattern of their layers in a dozen ways; this module reads those that Hugging Face
transformers 5.14.1 and vLLM 0.25.1 read (configuration_*.py of each model; mamba_utils.py for the
sizes of states) and refuses to guess: a pattern that it does not know is told as not known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias

from kaito.catalog.cache import Cache
from kaito.catalog.config import Config, Unreadable

Layer: TypeAlias = Literal["full", "sliding", "chunked", "state", "none"]

LAYERS: dict[str, Layer] = {
    **dict.fromkeys(("full_attention", "attention", "deepseek_sparse_attention", "*"), "full"),
    "sliding_attention": "sliding",
    "chunked_attention": "chunked",
    **dict.fromkeys(("linear_attention", "mamba", "conv", "M"), "state"),
    **dict.fromkeys(("moe", "mlp", "E", "-"), "none"),
}
"""What layer_types, layers_block_type and hybrid_override_pattern call a layer."""

EVERY: dict[str, tuple[int, Layer]] = {
    "cohere2": (4, "sliding"),
    "gemma2": (2, "sliding"),
    "gemma3": (6, "sliding"),
    "gemma3_text": (6, "sliding"),
    "gemma3n": (5, "sliding"),
    "gemma3n_text": (5, "sliding"),
    "gemma4": (6, "sliding"),
    "gemma4_text": (6, "sliding"),
    "gemma4_unified": (6, "sliding"),
    "gemma4_unified_text": (6, "sliding"),
    "gpt_oss": (2, "sliding"),
    "llama4": (4, "chunked"),
    "llama4_text": (4, "chunked"),
    "olmo3": (4, "sliding"),
    "qwen3_5": (4, "state"),
    "qwen3_5_moe": (4, "state"),
    "qwen3_5_moe_text": (4, "state"),
    "qwen3_5_text": (4, "state"),
    "qwen3_next": (4, "state"),
}
"""By model_type: each n-th layer is full and the others are like this, unless it says otherwise."""

UNREAD = ("block_configs", "hybrid_layer_pattern", "linear_attn_config")
"""Patterns that some models tell under these names and this module does not read."""

LONGEST_NAME = 40  # characters of a layer's type that a reason repeats
SCALE_BLOCK = 128  # values of an indexer's key that share one 4-byte scale (vLLM, deepseek_v2.py)
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2, "float8_e4m3fn": 1}  # bytes
SPARSE_STRIDE = 4  # DeepSeek V4: layers that compress by this choose among entries by an indexer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of one layer's attention."""

    layers: int
    kv_heads: int
    head_dim: int
    context: int | None
    latent: int | None
    """Values of a latent cache, per token and layer; None where there is none."""


class Untold(Exception):
    """The configuration does not tell what some layers remember; inside this module alone."""


def caches(config: Config, shape: Shape) -> tuple[tuple[Cache, ...], str | None]:
    """The groups, none where all layers are alike; and what is not known of them, if anything.

    Raises Unreadable when the pattern contradicts the number of layers.
    """
    try:
        if config.is_list("compress_ratios"):
            return _compressed(config, shape), None
        groups = [*_groups(config, shape, _pattern(config, shape)), *_indexer(config, shape)]
    except Untold as reason:
        return (), str(reason)
    return () if groups == [_full(Config(config.owner), shape, shape.layers)] else tuple(
        groups
    ), None


def _pattern(config: Config, shape: Shape) -> list[Layer]:
    """What each layer is."""
    for key in UNREAD:
        if config.fields.get(key):
            raise Untold(f"what the layers remember that {key} tells of")
    names = config.texts("layer_types") or config.texts("layers_block_type")
    if names is None and config.is_text("hybrid_override_pattern"):
        names = list(config.text("hybrid_override_pattern") or "")
    if names is not None:
        return _fitting(config, shape, [_called(name) for name in names])
    for read in (_listed, _spaced, _windowed):
        pattern = read(config, shape)
        if pattern is not None:
            return pattern
    return ["full"] * shape.layers


def _called(name: str) -> Layer:
    if name not in LAYERS:
        raise Untold(f"what a layer of type {name[:LONGEST_NAME]} remembers")
    return LAYERS[name]


def _fitting(config: Config, shape: Shape, pattern: list[Layer]) -> list[Layer]:
    if len(pattern) < shape.layers:
        raise Unreadable(
            f"The configuration of {config.owner} tells the types of {len(pattern)} layers and has "
            f"{shape.layers}: correct it, or name another model."
        )
    return pattern[: shape.layers]


def _listed(config: Config, shape: Shape) -> list[Layer] | None:
    """Hybrids that list their attention layers (LFM2), or each layer's window (Mistral)."""
    full = config.numbers("full_attn_idxs") or config.numbers("attn_layer_indices")
    if full is not None:
        return ["full" if i in full else "state" for i in range(shape.layers)]
    kinds = config.numbers("attn_type_list")  # MiniMax: 1 is full, 0 lightning attention
    if kinds:
        if not all(kinds):
            raise Untold("what its layers of lightning attention remember")
        return ["full"] * shape.layers
    if config.is_list("sliding_window"):
        windows = config.numbers("sliding_window") or [None]
        return ["sliding" if windows[i % len(windows)] else "full" for i in range(shape.layers)]
    return None


def _spaced(config: Config, shape: Shape) -> list[Layer] | None:
    """Models of which each n-th layer is full."""
    others: Layer
    period = config.number("attn_layer_period")
    if period is not None:
        offset = config.number("attn_layer_offset", least=0) or 0
        return ["full" if i % period == offset else "state" for i in range(shape.layers)]
    if config.is_text("sliding_window_pattern"):
        letters = config.text("sliding_window_pattern") or "G"
        every, others = len(letters), "sliding"
    elif (interval := config.number("full_attention_interval")) is not None:
        every, others = interval, "state"
    elif (
        interval := config.number("sliding_window_pattern", "_sliding_window_pattern")
    ) is not None:
        every, others = interval, "sliding"
    elif (told := EVERY.get(config.text("model_type") or "")) is not None:
        every, others = told
    else:
        return None
    return ["full" if (i + 1) % every == 0 else others for i in range(shape.layers)]


def _windowed(config: Config, shape: Shape) -> list[Layer] | None:
    """Models of which every layer slides, or every one from some layer on (Qwen2)."""
    window = config.number("sliding_window")
    if window is None or config.flag("use_sliding_window") is False:
        return None
    if shape.context is not None and window >= shape.context:
        return None  # it never forgets anything
    first = config.number("max_window_layers", least=0) or 0
    if not config.flag("use_sliding_window"):
        first = 0
    return ["full" if i < first else "sliding" for i in range(shape.layers)]


def _groups(config: Config, shape: Shape, pattern: list[Layer]) -> list[Cache]:
    """Like layers together, in the order in which they first appear."""
    # The last layers of some models read the cache of an earlier layer of their kind (Gemma 3n, 4).
    own = shape.layers - (config.number("num_kv_shared_layers", least=0) or 0)
    counts = Counter(pattern[: max(own, 0)])
    del counts["none"]
    groups = []
    for layer, count in counts.items():
        match layer:
            case "full":
                groups.append(_full(config, shape, count))
            case "sliding" | "chunked":
                groups.append(_sliding(config, shape, count, layer))
            case "state":
                groups.append(Cache(kind="state", layers=count, bytes=_state_bytes(config, shape)))
    return groups


def _full(config: Config, shape: Shape, count: int) -> Cache:
    if shape.latent is not None:
        return Cache(kind="latent", layers=count, rank=shape.latent)
    # Gemma 4's full layers have heads of their own, fewer and wider than its sliding layers.
    heads = config.number("num_global_key_value_heads") if config.flag("attention_k_eq_v") else None
    return Cache(
        kind="full",
        layers=count,
        kv_heads=heads or shape.kv_heads,
        head_dim=config.number("global_head_dim") or shape.head_dim,
    )


def _sliding(config: Config, shape: Shape, count: int, layer: Layer) -> Cache:
    if layer == "chunked":
        window = config.number("attention_chunk_size")
    elif config.is_list("sliding_window"):
        window = max((w for w in config.numbers("sliding_window") or () if w), default=None)
    else:
        window = config.number("sliding_window")
    if window is None:
        raise Untold("the window of its sliding layers")
    return Cache(
        kind="sliding",
        layers=count,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        window=window,
    )


def _indexer(config: Config, shape: Shape) -> list[Cache]:
    """The keys by which sparse attention chooses among latent entries (DeepSeek V3.2, GLM 5)."""
    keys = config.number("index_head_dim")
    if keys is None or shape.latent is None:
        return []
    # Layers that share the choice of an earlier one keep no keys.
    modes = config.texts("indexer_types") or ["full"] * shape.layers
    own = sum(mode == "full" for mode in modes[: shape.layers])
    # One byte a value and the scales, whatever data type the rest has; counted in 16-bit values.
    rank = ceil((keys + 4 * ceil(keys / SCALE_BLOCK)) / 2)
    return [Cache(kind="latent", layers=own, rank=rank)] if own else []


def _compressed(config: Config, shape: Shape) -> tuple[Cache, ...]:
    """DeepSeek V4: each layer keeps a window, and most keep one entry for 4 or 128 tokens.

    Keys and values are one vector of `head_dim`. compress_ratios tells each layer's stride, 0 for a
    window alone; layers of stride 4 also keep an indexer's key for each entry.
    """
    window, keys = config.number("sliding_window"), config.number("index_head_dim")
    if window is None:
        raise Untold("the window of its sliding layers")
    ratios = config.numbers("compress_ratios") or []
    counts = Counter(ratio for ratio in ratios[: shape.layers] if ratio)
    groups = [Cache(kind="latent", layers=shape.layers, rank=shape.head_dim, window=window)]
    for stride, count in sorted(counts.items()):
        groups.append(Cache(kind="latent", layers=count, rank=shape.head_dim, stride=stride))
        if stride == SPARSE_STRIDE and keys is not None:
            groups.append(Cache(kind="latent", layers=count, rank=keys, stride=stride))
    return tuple(groups)


def _state_bytes(config: Config, shape: Shape) -> int:
    """What a recurrent layer keeps of one sequence: of its convolution, and its state."""
    # The convolution's inputs are kept as the model computes; the state may be kept more exactly.
    width = WIDTHS.get(config.text("torch_dtype", "dtype") or "", 2)
    told = config.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype")
    if told is None and config.number("mamba_num_heads") is not None:
        told = "float32"  # what Nemotron-H takes where it says nothing
    state_width = WIDTHS.get(told or "", width)
    for sizes in (_delta_net, _mamba2, _mamba1, _convolution):
        found = sizes(config)
        if found is not None:
            convolution, state = found
            return convolution * width + state * state_width
    raise Untold("the size of its recurrent layers' state")


def _delta_net(config: Config) -> tuple[int, int] | None:
    keys, key = config.number("linear_num_key_heads"), config.number("linear_key_head_dim")
    values, value = config.number("linear_num_value_heads"), config.number("linear_value_head_dim")
    kernel = config.number("linear_conv_kernel_dim")
    if keys is None or key is None or values is None or value is None or kernel is None:
        return None
    return (kernel - 1) * (2 * keys * key + values * value), values * value * key


def _mamba2(config: Config) -> tuple[int, int] | None:
    heads = config.number("mamba_num_heads", "mamba_n_heads")
    dim = config.number("mamba_head_dim", "mamba_d_head")
    groups = config.number("n_groups", "mamba_n_groups")
    size = config.number("ssm_state_size", "mamba_d_state")
    kernel = config.number("conv_kernel", "mamba_d_conv")
    if heads is None or dim is None or groups is None or size is None or kernel is None:
        return None
    return (kernel - 1) * (heads * dim + 2 * groups * size), heads * dim * size


def _mamba1(config: Config) -> tuple[int, int] | None:
    hidden, expand = config.number("hidden_size"), config.number("mamba_expand")
    size, kernel = config.number("mamba_d_state"), config.number("mamba_d_conv")
    if hidden is None or expand is None or size is None or kernel is None:
        return None
    return (kernel - 1) * expand * hidden, expand * hidden * size


def _convolution(config: Config) -> tuple[int, int] | None:
    """A short convolution alone (LFM2)."""
    width, kernel = config.number("conv_dim", "hidden_size"), config.number("conv_L_cache")
    if width is None or kernel is None or kernel == 1:
        return None
    return (kernel - 1) * width, 0
