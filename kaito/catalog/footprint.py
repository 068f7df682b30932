"""What training takes of each GPU: the account of memory for LoRA and QLoRA.

Each GPU holds the whole model and trains it on examples of its own. Weights, adapter, gradients and
the optimizer's averages follow from counts of parameters. Activations are what autograd keeps of
transformers 5.23 with PEFT 0.21 under autocast: the formulas below were told tensor by tensor, on a
CPU, and test/engine/test_footprint.py measures them again; the loss is TRL's. Nothing is measured
here. Units are GiB unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaito.catalog.memory import COMMUNICATION, GIB, visible
from kaito.catalog.model import Model
from kaito.catalog.projection import LAYOUTS, Projection, adapted, projections, width
from kaito.catalog.sku import Gpus
from kaito.catalog.training import Training

WIDE = 4  # bytes of float32

# Weights of 4 bits share a scale by 64, and with double quantisation 256 of these scales, of a byte
# each, share another (Dettmers et al., QLoRA, https://arxiv.org/abs/2305.14314, sections 2 and 3).
SCALED, DOUBLED = 64, 256

# The loss is computed from so many tokens and so many words of the vocabulary at a time, and the
# logits of all of them are never there together (ChunkedLogProbFunction, TRL 1.16).
TILE = (4096, 32768)
# Bytes of a logit where they are: the logarithm of the softmax, its gradient and what follows for
# the logit itself, in float32 (ForCausalLMLoss, transformers).
WHOLE_LOGIT = 3 * WIDE

# CUDA's context, its libraries and their workspaces: fitted like the next.
OUTSIDE = 1.0
# What the caching allocator holds of what comes and goes, by what is in it: fitted to the published
# figures in docs/estimator.md.
FRAGMENTED = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The memory of one GPU while it trains, GiB; all GPUs of a node are alike."""

    usable: float
    """What CUDA sees."""
    weights: float
    """The frozen model."""
    adapter: float
    """The numbers that are trained, in their own type and as they are computed with."""
    gradients: float
    """Of the adapter; twice where GPUs exchange them."""
    optimizer: float
    """What it keeps of each trained number."""
    activations: float
    """What is kept for the backward pass of the layers, and what that works with."""
    logits: float
    """What the loss takes beyond that."""
    outside: float
    """What does not pass through PyTorch."""

    @property
    def needed(self) -> float:
        """All of it."""
        return (
            self.weights
            + self.adapter
            + self.gradients
            + self.optimizer
            + self.activations
            + self.logits
            + self.outside
        )

    @property
    def fits(self) -> bool:
        """Whether the GPU has that much."""
        return self.needed <= self.usable


def footprint(model: Model, gpus: Gpus, training: Training) -> Footprint | None:
    """The account; None where the shape or the parameters of the model are not known, or the memory
    of the GPUs."""
    layers = projections(model)
    if layers is None or not _told(model) or not gpus.memory_gib:
        return None
    trained = _trained(model, training)
    copies = 2 if gpus.count > 1 else 1  # DistributedDataParallel's buckets
    kept, passing = activations(model, training)
    logits = _logits(model, training)
    return Footprint(
        usable=visible(gpus),
        weights=_weights(model, layers, training) / GIB,
        # Autocast keeps a copy of what it narrows until the step is over.
        adapter=trained * (training.trained_bytes + _copied(training)) / GIB,
        gradients=trained * training.trained_bytes * copies / GIB,
        optimizer=trained * training.kept_bytes / GIB,
        activations=FRAGMENTED * (kept + passing) / GIB,
        logits=FRAGMENTED * max(0.0, logits - passing) / GIB,
        outside=OUTSIDE + (COMMUNICATION if gpus.count > 1 else 0.0),
    )


def weight_bytes(weights: int, training: Training) -> float:
    """What so many weights of layers take in memory as they are quantised for a training."""
    match training.bits:
        case 16:
            return weights * training.value_bytes
        case 8:
            return weights  # and a scale a row (LLM.int8(), https://arxiv.org/abs/2208.07339)
        case 4:
            scale = (1 + WIDE / DOUBLED) if training.double else WIDE
            return weights * (0.5 + scale / SCALED)


def layer_bytes(model: Model, training: Training, projections: tuple[Projection, ...]) -> float:
    """What autograd keeps of one token in one layer, of which these projections are adapted.

    Both norms keep their input in float32, and a number that they divide by. Attention keeps
    queries, keys, values and its result, and a number in float32 for each head; it repeats keys and
    values for every head where examples of different lengths are in a batch. Of a joined projection
    the queries and keys are there once more, after their rotation, unless its values are copied.
    The feed-forward part keeps what opens, what that comes to, and what it opens. An adapted
    projection keeps its input, and that of the second of its own two matrices; with dropout also
    which values it dropped.
    """
    value = training.value_bytes
    hidden, heads, dim = model.hidden or 0, model.heads or 0, model.head_dim or 0
    query, key = heads * dim, (model.kv_heads or 0) * dim
    sides = LAYOUTS[model.architecture or ""].sides.values()
    joined = any("joined" in side for side in sides)
    norms = 2 * (WIDE * hidden + WIDE)
    shown = query if training.batch > 1 else key
    attention = value * (2 * query + 2 * shown) + WIDE * heads
    if joined and shown == key:
        attention += value * (query + key)
    feed = 3 * value * width(model)
    adapters = sum(value * (each.inputs + training.rank) for each in projections)
    if training.dropout:
        adapters += sum(each.inputs for each in projections)
    return norms + attention + feed + adapters


def _logits(model: Model, training: Training) -> float:
    """Bytes at the peak of the loss: a tile of logits, the last hidden states, and their gradient
    in float32 and as it is handed back."""
    if training.whole_logits:
        return WHOLE_LOGIT * training.tokens * (model.vocabulary or 0)
    value = training.value_bytes
    tile = min(training.tokens, TILE[0]) * min(model.vocabulary or 0, TILE[1])
    return value * tile + (2 * value + WIDE) * training.tokens * (model.hidden or 0)


def _told(model: Model) -> bool:
    return bool(model.parameters_b and model.layers and model.vocabulary)


def _trained(model: Model, training: Training) -> int:
    each = sum(one.adapter(training.rank) for one in adapted(model, training.targets))
    return each * (model.layers or 0)


def _copied(training: Training) -> int:
    """Bytes of autocast's copy of a trained number."""
    return 0 if training.wide or training.bits != 16 else training.value_bytes


def _weights(model: Model, layers: tuple[Projection, ...], training: Training) -> float:
    """Bytes: projections as they are quantised, and the rest (vocabulary, norms) as it is."""
    value, whole = training.value_bytes, (model.parameters_b or 0.0) * 1e9
    projected = sum(each.weights for each in layers) * (model.layers or 0)
    rest = max(0.0, whole - projected)
    widened = value * max(each.weights for each in layers) if training.bits != 16 else 0
    # One matrix at a time is widened to compute with it (bitsandbytes, MatMul4Bit).
    return weight_bytes(projected, training) + rest * value + widened


def activations(model: Model, training: Training) -> tuple[float, float]:
    """Bytes that are kept until the backward pass, and that it works with in one layer.

    With checkpointing only the input of each layer is kept, and one layer is computed again (Chen
    et al., Training Deep Nets with Sublinear Memory Cost, https://arxiv.org/abs/1604.06174).
    """
    value, tokens = training.value_bytes, training.tokens
    layers, hidden = model.layers or 0, model.hidden or 0
    own = layer_bytes(model, training, adapted(model, training.targets))
    # The gradients of the feed-forward part, of the residual, and of what the layer returns.
    working = value * (3 * width(model) + 2 * hidden)
    mask = 0.0
    if training.batch > 1:
        working += 2 * value * (model.heads or 0) * (model.head_dim or 0)
        mask = value * training.length  # for each token, which others it sees
    layer = (own + mask) * tokens
    if not training.checkpointing:
        return layers * layer, working * tokens
    return (layers * value + WIDE) * hidden * tokens, layer + working * tokens
