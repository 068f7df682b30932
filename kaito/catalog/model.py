"""A model: what is known of its weights and its shape, and what follows from that."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kaito.catalog.cache import Cache

DISK_OVERHEAD_GIB = 80  # image, caches and a second copy of the largest shard; upstream's figure
KV_VALUE_BYTES = 2  # the KV cache holds 16-bit values unless told otherwise

FACTS = (
    "weights_gib",
    "parameters_b",
    "context",
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "vocabulary",
    "architecture",
    "license",
    "access",
    "revision",
)
"""What there is to tell of every model."""

Access: TypeAlias = Literal["open", "gated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model in the catalogue. A figure that no source tells is None."""

    name: str
    """Its Hugging Face name, org/model."""
    aliases: tuple[str, ...] = ()
    """Short names that Workspaces may use, lower case."""
    weights_gib: float | None = None
    """All weight files together, as upstream counts them: nodes and disk follow from it."""
    loaded_gib: float | None = None
    """What the engine loads of them, where the files hold the weights twice; see `memory_gib`."""
    context: int | None = None
    """The longest context that it was made for, in tokens."""
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    intermediate: int | None = None
    """Features of a layer's feed-forward part, where all layers have one that is alike, as
    config.json tells; of models that can be tuned."""
    kv_lora_rank: int | None = None
    rope_head_dim: int | None = None
    architecture: str | None = None
    quantization: str | None = None
    quantization_bits: int | None = None
    mistral_format: bool = False
    """Weights, configuration and tokenizer are in Mistral's own format."""
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: str | None = None
    remote_code: bool = False
    """The engine must run Python code that comes with the weights."""
    access: Access | None = None
    """gated: the weights need a token of somebody who accepted the licence."""
    license: str | None = None
    """What it may be used under: an SPDX identifier, or the name that its makers gave it."""
    revision: str | None = None
    """The commit on Hugging Face that the figures describe."""
    parameters_b: float | None = None
    """Billions of parameters."""
    active_parameters_b: float | None = None
    """Billions that one token passes through, where that is not all: a mixture of experts."""
    dtype: str | None = None
    """Data type of the weights as they are stored; of quantised ones that which they were made to
    be computed in, None where nobody tells."""
    vocabulary: int | None = None
    """Tokens that it tells apart."""
    caches: tuple[Cache, ...] = ()
    """What its layers remember, where they are not all alike; see `cache_groups`."""
    historical: bool = False
    """A preset of earlier releases."""
    disk_gib: int | None = None
    """What the preset said; see `disk`."""
    source: str = ""
    """Where the figures can be read."""
    date: datetime.date | None = None
    """The day on which they were read there."""
    unknown: str | None = None
    """Why figures are None, where some are."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The facts that are None though every model has them; `unknown` says why."""
        coded = "quantization_bits" if self.quantization else "dtype"
        return tuple(fact for fact in (*FACTS, coded) if getattr(self, fact) is None)

    @property
    def memory_gib(self) -> float | None:
        """The weights that the engine loads."""
        return self.weights_gib if self.loaded_gib is None else self.loaded_gib

    @property
    def disk(self) -> int:
        """The OS disk that its node needs, GiB (kaito.md 4.2)."""
        if self.disk_gib is not None:
            return self.disk_gib
        return int((self.weights_gib or 0) + DISK_OVERHEAD_GIB)

    @property
    def attention(self) -> str | None:
        """MLA, MHA, MQA or GQA; None when the shape is not known."""
        if self.kv_lora_rank is not None:
            return "MLA"
        if self.kv_heads is None:
            return None
        if self.kv_heads == self.heads:
            return "MHA"
        return "MQA" if self.kv_heads == 1 else "GQA"

    @property
    def kv_bytes_per_token(self) -> int | None:
        """KV cache of one token over all layers, bytes; None when the shape is not known.

        Upstream's figure, which decides how many nodes there are (kaito.md 4.2): as if every layer
        were alike and remembered every token. `cache_groups` tells the layers apart.
        """
        if self.layers is None:
            return None
        if self.kv_lora_rank is not None:
            return KV_VALUE_BYTES * self.layers * (self.kv_lora_rank + (self.rope_head_dim or 0))
        if self.kv_heads is None or self.head_dim is None:
            return None
        return KV_VALUE_BYTES * self.layers * 2 * self.kv_heads * self.head_dim

    @property
    def cache_groups(self) -> tuple[Cache, ...] | None:
        """What its layers remember, group by group; None when the shape is not known."""
        if self.caches:
            return self.caches
        if self.layers is None:
            return None
        if self.kv_lora_rank is not None:
            rank = self.kv_lora_rank + (self.rope_head_dim or 0)
            return (Cache(kind="latent", layers=self.layers, rank=rank),)
        if self.kv_heads is None or self.head_dim is None:
            return None
        return (
            Cache(kind="full", layers=self.layers, kv_heads=self.kv_heads, head_dim=self.head_dim),
        )
