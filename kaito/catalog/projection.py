"""The linear projections of a model's layers: what LoRA adapts and what is quantised for it.

By architecture, because each names and joins them in its own way (modeling_*.py of transformers
5.23). An architecture that is not listed here cannot be tuned: nobody could tell what is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kaito.catalog.memory import feed_forward
from kaito.catalog.model import Model

Side: TypeAlias = Literal["hidden", "query", "key", "joined", "feed", "gated"]
"""How wide one side of a projection is: the model, its query heads, its key (or value) heads, all
three together, the feed-forward part, and twice that."""

ALL_LINEAR = "all-linear"  # PEFT's word for every projection of the layers

_SPLIT: Mapping[str, tuple[Side, Side]] = {
    "q_proj": ("hidden", "query"),
    "k_proj": ("hidden", "key"),
    "v_proj": ("hidden", "key"),
    "o_proj": ("query", "hidden"),
    "gate_proj": ("hidden", "feed"),
    "up_proj": ("hidden", "feed"),
    "down_proj": ("feed", "hidden"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The projections of one layer of an architecture."""

    sides: Mapping[str, tuple[Side, Side]]
    """What goes in and what comes out, by name."""

    @property
    def gated(self) -> bool:
        """Whether the feed-forward part multiplies what it computes by a gate."""
        made = [out for _, out in self.sides.values()]
        return "gated" in made or made.count("feed") == 2


_LLAMA = Layout(sides=_SPLIT)

LAYOUTS: Mapping[str, Layout] = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
    "Qwen2ForCausalLM": _LLAMA,
    "Qwen3ForCausalLM": _LLAMA,
    "GraniteForCausalLM": _LLAMA,
    "Phi3ForCausalLM": Layout(
        sides={
            "qkv_proj": ("hidden", "joined"),
            "o_proj": ("query", "hidden"),
            "gate_up_proj": ("hidden", "gated"),
            "down_proj": ("feed", "hidden"),
        }
    ),
    "PhiForCausalLM": Layout(
        sides={
            "q_proj": ("hidden", "query"),
            "k_proj": ("hidden", "key"),
            "v_proj": ("hidden", "key"),
            "dense": ("query", "hidden"),
            "fc1": ("hidden", "feed"),
            "fc2": ("feed", "hidden"),
        }
    ),
    "FalconForCausalLM": Layout(
        sides={
            "query_key_value": ("hidden", "joined"),
            "dense": ("query", "hidden"),
            "dense_h_to_4h": ("hidden", "feed"),
            "dense_4h_to_h": ("feed", "hidden"),
        }
    ),
}
"""By what a model's config.json names under architectures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A matrix that every layer has."""

    name: str
    inputs: int
    outputs: int

    @property
    def weights(self) -> int:
        """Parameters of one."""
        return self.inputs * self.outputs

    def adapter(self, rank: int) -> int:
        """Parameters that a LoRA of this rank adds to one: A is rank x inputs, B outputs x rank
        (Hu et al., LoRA, https://arxiv.org/abs/2106.09685, 4.1)."""
        return rank * (self.inputs + self.outputs)


def projections(model: Model) -> tuple[Projection, ...] | None:
    """Those of one layer, in the order of the layer; None where architecture or shape are not
    known."""
    layout = LAYOUTS.get(model.architecture or "")
    hidden, heads, kv_heads, dim = model.hidden, model.heads, model.kv_heads, model.head_dim
    if layout is None or not hidden or not heads or not kv_heads or not dim:
        return None
    feed = width(model)
    sizes: Mapping[Side, int] = {
        "hidden": hidden,
        "query": heads * dim,
        "key": kv_heads * dim,
        "joined": (heads + 2 * kv_heads) * dim,
        "feed": feed,
        "gated": 2 * feed,
    }
    return tuple(
        Projection(name=name, inputs=sizes[into], outputs=sizes[out])
        for name, (into, out) in layout.sides.items()
    )


def width(model: Model) -> int:
    """Features of the feed-forward part of a layer; where its configuration does not tell, what is
    left of the layer's parameters, or four times the width of those that have no gate."""
    if model.intermediate is not None:
        return model.intermediate
    layout = LAYOUTS[model.architecture or ""]
    return round(feed_forward(model)) if layout.gated else 4 * (model.hidden or 0)


def adapted(model: Model, targets: Collection[str]) -> tuple[Projection, ...]:
    """The projections that LoRA adapts when it is told these targets.

    A target is ALL_LINEAR, or the end of a projection's path as PEFT compares it: q_proj, or
    self_attn.q_proj. Empty where none of them is in the model.
    """
    found = projections(model) or ()
    if ALL_LINEAR in targets:
        return found
    named = {target.rpartition(".")[2] for target in targets}
    return tuple(each for each in found if each.name in named)


def adapter_parameters(model: Model, targets: Collection[str], rank: int) -> int:
    """How many numbers are trained, over all layers."""
    each = sum(projection.adapter(rank) for projection in adapted(model, targets))
    return each * (model.layers or 0)
