"""What the layers of a model remember of the tokens before: the memory that grows with a sequence.

A model is a few groups of like layers. This module knows their sizes and no model, GPU or engine:
blocks, paging and what else an engine adds is not counted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias, assert_never

Kind: TypeAlias = Literal["full", "sliding", "latent", "state"]

NEEDS: dict[Kind, tuple[str, ...]] = {
    "full": ("kv_heads", "head_dim"),
    "sliding": ("kv_heads", "head_dim", "window"),
    "latent": ("rank",),
    "state": ("bytes",),
}
MAY: dict[Kind, tuple[str, ...]] = {"full": (), "sliding": (), "latent": ("window",), "state": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Layers that remember alike. A layer that reads the cache of another belongs to no group.

    ValueError when a size that its kind needs is missing or not positive, or one that it has no
    use for is there.
    """

    kind: Kind
    """full: keys and values of every token. sliding: those of the last `window` tokens. latent:
    `rank` values a token, from which keys and values are computed, perhaps of a `window` alone and
    perhaps one entry for each `stride` tokens. state: `bytes` a sequence, however long it is
    (Mamba, gated delta nets, short convolutions)."""
    layers: int
    kv_heads: int | None = None
    head_dim: int | None = None
    window: int | None = None
    """Tokens that a layer looks back at, itself included."""
    rank: int | None = None
    bytes: int | None = None
    stride: int = 1
    """Tokens that share one entry of a latent cache that is compressed."""

    def __post_init__(self) -> None:
        needs = NEEDS[self.kind]
        for size in ("kv_heads", "head_dim", "window", "rank", "bytes"):
            there = getattr(self, size) is not None
            if there != (size in needs) and not (there and size in MAY[self.kind]):
                raise ValueError(f"a {self.kind} cache is told by layers, {', '.join(needs)} alone")
        if self.stride != 1 and self.kind != "latent":
            raise ValueError(f"a {self.kind} cache has no stride")
        for size in ("layers", "kv_heads", "head_dim", "window", "rank", "bytes", "stride"):
            value = getattr(self, size)
            if value is not None and value < 1:
                raise ValueError(f"{size} of a cache is {value}, but must be at least 1")

    @property
    def values_per_entry(self) -> int:
        """What all its layers keep in one entry, in values; 0 for a state."""
        match self.kind:
            case "full" | "sliding":
                return 2 * self.layers * (self.kv_heads or 0) * (self.head_dim or 0)
            case "latent":
                return self.layers * (self.rank or 0)
            case "state":
                return 0
        assert_never(self.kind)

    def bytes_of(self, tokens: int, *, value_bytes: float) -> float:
        """What all its layers keep of one sequence this long; a state keeps its own data type."""
        if self.kind == "state":
            return float(self.layers * (self.bytes or 0))
        kept = tokens if self.window is None else min(tokens, self.window)
        return ceil(kept / self.stride) * self.values_per_entry * value_bytes
