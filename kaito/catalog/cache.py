"""What the layers of a model remember of the tokens before: the memory that grows with a sequence.

A model is a few groups of like layers. This module knows their sizes and no model, GPU or engine:
blocks, paging and what else an engine adds is not counted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

Kind: TypeAlias = Literal["full", "sliding", "latent", "state"]

NEEDS: dict[Kind, tuple[str, ...]] = {
    "full": ("kv_heads", "head_dim"),
    "sliding": ("kv_heads", "head_dim", "window"),
    "latent": ("rank",),
    "state": ("bytes",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Layers that remember alike. A layer that reads the cache of another belongs to no group.

    ValueError when a size that its kind needs is missing or not positive, or one that it has no
    use for is there.
    """

    kind: Kind
    """full: keys and values of every token. sliding: those of the last `window` tokens. latent:
    `rank` values a token, from which keys and values are computed. state: `bytes` a sequence,
    however long it is (Mamba, gated delta nets, short convolutions)."""
    layers: int
    kv_heads: int | None = None
    head_dim: int | None = None
    window: int | None = None
    """Tokens that a layer looks back at, itself included."""
    rank: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        for size in ("kv_heads", "head_dim", "window", "rank", "bytes"):
            value = getattr(self, size)
            if (size in NEEDS[self.kind]) != (value is not None):
                needs = ", ".join(NEEDS[self.kind])
                raise ValueError(f"a {self.kind} cache is told by layers, {needs} alone")
            if value is not None and value < 1:
                raise ValueError(f"{size} of a cache is {value}, but must be at least 1")
        if self.layers < 1:
            raise ValueError(f"layers of a cache is {self.layers}, but must be at least 1")

    @property
    def values_per_token(self) -> int:
        """What all its layers keep of one token, in values; 0 for a state."""
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
        return kept * self.values_per_token * value_bytes
