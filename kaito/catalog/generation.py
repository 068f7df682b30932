"""What the transformers runtime takes of GPUs to generate text for a batch of requests.

It has no paged cache and no share of the memory to keep to: each layer's cache grows with the
batch, a prompt goes through the layers as a whole, and nothing is set aside beforehand, so what
does not fit ends a request and not the start. Figures are of transformers 5.14.1; units are GiB
unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaito.catalog.memory import FLOAT32, GIB, feed_forward, largest, loaded, visible
from kaito.catalog.model import Model
from kaito.catalog.precision import precision
from kaito.catalog.sku import Gpus

CONTEXT = 0.5  # CUDA context and libraries, each GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The account of one model and one batch, over all GPUs of a node."""

    usable: float
    weights: float
    cache: float
    """Keys and values of the whole batch, one layer of them twice while it grows."""
    activations: float

    @property
    def fits(self) -> bool:
        """Whether the batch can be answered."""
        return self.weights + self.cache + self.activations <= self.usable


def generation(model: Model, gpus: Gpus, *, context: int, batch: int = 1) -> Generation | None:
    """What `batch` requests of `context` tokens take; None when sizes are not known, and on GPUs
    without CUDA.

    Layers go to the GPUs one after the other (device_map="auto"), so that the GPUs add up, and no
    layer is shared.
    """
    groups = model.cache_groups
    if model.memory_gib is None or model.hidden is None or not groups or not gpus.memory_gib:
        return None
    if gpus.vendor != "nvidia":
        return None
    value = precision(model, gpus).bytes
    kept = [batch * group.bytes_of(context, value_bytes=value) for group in groups]
    # DynamicLayer.update in cache_utils.py: the new tensor is there before the old one is gone.
    growing = max(size / group.layers for size, group in zip(kept, groups, strict=True))
    prompt = batch * context * value * (3 * feed_forward(model) + 2 * model.hidden)
    # generate() asks for the logits of the last token alone, and computes in float32.
    logits = batch * (model.vocabulary or 0) * FLOAT32 * 2
    return Generation(
        usable=gpus.count * (visible(gpus) - CONTEXT),
        weights=loaded(model, value),
        cache=(sum(kept) + growing) / GIB,
        activations=(prompt + logits) / GIB,
    )


def longest(model: Model, gpus: Gpus, *, batch: int = 1) -> int | None:
    """The longest requests of which a batch can be answered, tokens, 0 for none; None when sizes
    are not known."""

    def fits(context: int) -> bool:
        found = generation(model, gpus, context=context, batch=batch)
        return found is not None and found.fits

    known = model.context is not None and generation(model, gpus, context=1) is not None
    return largest(model.context or 0, fits) if known else None
