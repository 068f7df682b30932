"""How fast a model is tuned: tokens a second, as a range, and how long so many tokens take.

From the arithmetic that a token takes and the share of the GPUs' peak that others reached. The
share is the whole uncertainty: what is published spans a factor of two to four, and none of it was
measured here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from kaito.catalog.gpu import Product
from kaito.catalog.model import Model
from kaito.catalog.projection import projections
from kaito.catalog.sku import Gpus
from kaito.catalog.timing import Range
from kaito.catalog.training import Training

TERA = 1e12
MILLION = 10**6  # tokens that times are told for

# What one A100 reached of its 312 TFLOPS in transformers with PEFT and gradient checkpointing, by
# tokens of a step: the least and the most of models of 7, 14 and 72 billion parameters, and what
# one of 1.8 billion did, which keeps no GPU busy (times from the table in the README of
# QwenLM/Qwen, operations by `token_operations`). Weights of few bits are widened for every use.
TOKENS = (256, 512, 1024, 2048, 4096, 8192)
LEAST = {
    16: (0.23, 0.38, 0.41, 0.45, 0.49, 0.50),
    4: (0.09, 0.17, 0.26, 0.34, 0.42, 0.48),
}
MOST = {
    16: (0.33, 0.44, 0.49, 0.52, 0.54, 0.55),
    4: (0.10, 0.19, 0.33, 0.39, 0.48, 0.55),
}
SMALL_MODEL = {
    16: (0.06, 0.12, 0.23, 0.31, 0.34, 0.38),
    4: (0.04, 0.09, 0.18, 0.26, 0.33, 0.40),
}
SMALL = 7.0  # billions of parameters; less is small
SHORTER = 4  # the longest example is at most so many times the average one
SOURCE = "shares of the GPU's peak from the README of github.com/QwenLM/Qwen, measured on A100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """All GPUs of a node together."""

    slow: float
    """Tokens a second."""
    fast: float

    def seconds(self, tokens: float) -> Range:
        """How long so many tokens take."""
        return Range(low=tokens / self.fast, high=tokens / self.slow)


def speed(
    model: Model, gpus: Gpus, training: Training, products: Iterable[Product]
) -> Speed | None:
    """How fast these GPUs train; None where the peak of the GPUs or the model's shape is not
    known."""
    operations, peak = token_operations(model, training), peak_tflops(gpus, products)
    if operations is None or peak is None:
        return None
    low, high = shares(model, training)
    whole = gpus.count * peak * TERA / operations
    return Speed(slow=low * whole, fast=high * whole)


def shares(model: Model, training: Training) -> tuple[float, float]:
    """The least and the most of a GPU's peak that the training may reach."""
    bits = 16 if training.bits == 16 else 4
    small = (model.parameters_b or 0.0) < SMALL
    low = (SMALL_MODEL if small else LEAST)[bits]
    shortest, longest = training.tokens // SHORTER, training.tokens
    return (
        low[max(0, bisect_right(TOKENS, shortest) - 1)],
        MOST[bits][min(len(TOKENS) - 1, bisect_left(TOKENS, longest))],
    )


def token_operations(model: Model, training: Training) -> float | None:
    """Floating-point operations for one token; None where the model's shape is not known.

    A multiplication and an addition for each weight on the way forward, and again on the way back
    for the gradient of what came in; frozen weights have none of their own. With checkpointing the
    way forward is gone twice (Kaplan et al., https://arxiv.org/abs/2001.08361, table 1; Korthikanti
    et al., https://arxiv.org/abs/2205.05198, appendix A). Attention multiplies each token with half
    of the others, twice as much on the way back.
    """
    layers = projections(model)
    if layers is None or not model.layers or not model.vocabulary:
        return None
    projected = sum(each.weights for each in layers) * model.layers
    head = model.vocabulary * (model.hidden or 0)
    ways = 3 if training.checkpointing else 2
    attention = 2 * training.length * (model.heads or 0) * (model.head_dim or 0) * model.layers
    return 2.0 * ways * (projected + head) + (ways + 1) * attention


def peak_tflops(gpus: Gpus, products: Iterable[Product]) -> float | None:
    """What one of these GPUs computes a second in 16 bits, by its maker, in 10^12 operations; None
    for GPUs that are not known.

    A node's own words for its GPU, such as NVIDIA-A100-SXM4-80GB, are those of its product and
    others.
    """
    said = gpus.product.replace("-", " ").upper().split()
    for product in products:
        if product.tflops and set(product.name.upper().split()) <= set(said):
            sizes = zip(product.memory_gib, product.tflops, strict=True)
            _, whole = min(sizes, key=lambda size: abs(size[0] * float(gpus.part) - gpus.each_gib))
            return whole * float(gpus.part)
    return None
