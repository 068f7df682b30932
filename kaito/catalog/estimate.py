"""Does the model fit, on how many nodes, and how is it split?

How many nodes there are is upstream's arithmetic, to the letter (kaito.md 4.4), so that a Workspace
gets the nodes that it gets there. What really happens on them is memory.py's account, which never
changes that number: it tells the longest context and what is wrong. Nothing is measured: the engine
measures for itself. Units are GiB unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from kaito.catalog.memory import GIB, Memory, largest, memory, serving
from kaito.catalog.model import Model
from kaito.catalog.parallel import Split, sharing, split
from kaito.catalog.precision import CacheType, Precision, precision
from kaito.catalog.sku import Gpus

UTILIZATION = 0.84  # of each GPU, also of those of which the engine is given less
WEIGHT_EXPANSION = 1.02  # weights in memory against weights in files
BASE_OVERHEAD = 2.3  # each GPU: 1.7 activations, 0.6 outside the framework
WEIGHT_OVERHEAD = 0.05  # each GPU: grows with the weights it holds
DEFAULT_CONTEXT = 2048  # tokens that must fit when nobody says more


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A model on nodes."""

    nodes: int
    gpus_per_node: int
    split: Split
    precision: Precision
    """What it computes in there."""
    memory: Memory | None
    """What it takes of each GPU; None when its weights, its shape or the GPUs' memory are not
    known, and on GPUs without CUDA."""
    problems: tuple[str, ...] = ()
    """What is wrong although it may start, a sentence each without its full stop."""
    advice: tuple[str, ...] = ()
    """What is as it should be and yet worth knowing, likewise."""

    @property
    def max_context(self) -> int | None:
        """The longest context that fits, tokens; None when that is not known."""
        return self.memory.max_context if self.memory else None

    @property
    def data_parallel(self) -> int:
        """Copies of the model, each on its own GPUs."""
        return self.split.data_parallel

    @property
    def tensor_parallel(self) -> int:
        """GPUs of one node that share each layer."""
        return self.split.tensor_parallel

    @property
    def pipeline_parallel(self) -> int:
        """Groups of such GPUs that share the layers."""
        return self.split.pipeline_parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The model cannot run there; the message says what is missing."""

    message: str


def estimate(
    model: Model,
    gpus: Gpus,
    *,
    context: int = DEFAULT_CONTEXT,
    max_nodes: int | None = None,
    utilization: float | None = None,
    cached: CacheType | None = None,
    spread: Split | None = None,
) -> Estimate | Misfit:
    """How a model runs on nodes with these GPUs, with at least `context` tokens.

    `max_nodes` None: as many nodes as it takes. A model without known weights is compared by the
    GPU memory that its preset asks for. The last three are what the engine is told; they do not
    change the number of nodes.
    """
    found = _needed(model, gpus, context, max_nodes)
    if isinstance(found, Misfit):
        return found
    # Before the account is made: near the limit a few tokens more take a billion nodes.
    asked = spread or split(model, gpus, found)
    if model.layers is not None and asked.pipeline_parallel > model.layers:
        return Misfit(
            message=f"the {model.layers} layers of {model.name} cannot be split in "
            f"{asked.pipeline_parallel} stages, as many as {_places(found)} with {gpus} each "
            "would take: name a size with more memory on each GPU"
        )
    return placed(
        model,
        gpus,
        found,
        context=context,
        utilization=utilization,
        cached=cached,
        spread=asked,
    )


def placed(
    model: Model,
    gpus: Gpus,
    nodes: int,
    *,
    context: int = DEFAULT_CONTEXT,
    utilization: float | None = None,
    cached: CacheType | None = None,
    spread: Split | None = None,
) -> Estimate:
    """A model on this many nodes with these GPUs, whether or not it fits.

    `spread` None: as the engine is told unless a user says more.
    """
    spread = spread or split(model, gpus, nodes)
    how = serving(model, gpus, utilization=utilization, cached=cached)
    bare = Estimate(
        nodes=nodes,
        gpus_per_node=gpus.count,
        split=spread,
        precision=precision(model, gpus),
        memory=memory(model, gpus, spread, how),
    )
    return replace(
        bare,
        problems=tuple(_problems(bare, model, gpus, context)),
        advice=tuple(_advice(bare, model, gpus)),
    )


def _needed(model: Model, gpus: Gpus, context: int, max_nodes: int | None) -> int | Misfit:
    if model.weights_gib is None:
        return Misfit(
            message=f"the weights of {model.name} are not known, so nobody can tell where it fits: "
            "give the folder that holds them beside its configuration"
        )
    usable = gpus.each_gib * UTILIZATION
    cache = context * (model.kv_bytes_per_token or 0) / GIB
    fixed = BASE_OVERHEAD + cache / gpus.count
    if usable <= fixed:
        return Misfit(
            message=f"{gpus} leaves {usable:.1f} GiB of each GPU to {model.name}, which takes "
            f"{fixed:.1f} GiB for {context} tokens of context before any weights"
        )
    room = (usable - fixed) / (1 + WEIGHT_OVERHEAD)
    needed = int(model.weights_gib * WEIGHT_EXPANSION / room) + 1
    nodes = ceil(needed / gpus.count)
    if max_nodes is not None and nodes > max_nodes:
        return Misfit(
            message=f"the {model.weights_gib:g} GiB of weights of {model.name} need {needed} GPUs "
            f"of that kind, but {_places(max_nodes)} only provides {gpus.count * max_nodes} "
            f"({gpus} each)"
        )
    return nodes


def _problems(found: Estimate, model: Model, gpus: Gpus, context: int) -> Iterator[str]:
    if found.memory is not None:
        yield from _room(model, gpus, found.memory, context)
    if found.precision.danger is not None:
        yield found.precision.danger


def _advice(found: Estimate, model: Model, gpus: Gpus) -> Iterator[str]:
    spread = found.split
    if spread.tensor_parallel not in (1, gpus.count):
        groups = (
            f"{spread.data_parallel} copies run"
            if spread.data_parallel > 1
            else f"the layers are split in {spread.pipeline_parallel} stages"
        )
        yield (
            f"{model.heads} attention heads and {model.kv_heads} key-value heads of {model.name} "
            f"cannot be shared by {gpus.count} GPUs, so {spread.tensor_parallel} share each layer "
            f"and {groups}"
        )
    if found.memory is not None:
        yield from _copies(model, gpus, found.memory)


def _room(model: Model, gpus: Gpus, account: Memory, context: int) -> Iterator[str]:
    tight, longest = account.tightest, account.max_context
    if longest == 0:
        rest = tight.activations + tight.graphs + tight.outside
        yield (
            f"there is no room for requests of {model.name} on {gpus}: the engine may use "
            f"{tight.usable:.1f} GiB of each GPU, and takes {tight.weights:.1f} for weights and "
            f"{rest:.1f} for itself"
        )
    elif not account.fits(asked := min(context, model.context or context)):
        yield (
            f"there is room for {largest(asked, account.fits):,} tokens of context of {model.name} "
            f"on {gpus} and not for {context:,}: set max-model-len to less, or take GPUs with more "
            "memory"
        )


def _copies(model: Model, gpus: Gpus, account: Memory) -> Iterator[str]:
    copies, tensor = account.split.data_parallel, sharing(model, gpus.count)
    if copies == 1 or tensor <= account.split.tensor_parallel:
        return
    longest = account.max_context
    if longest is None or longest == model.context:
        return
    together = memory(model, gpus, Split(tensor_parallel=tensor), account.how)
    if together is not None and (together.max_context or 0) > longest:
        yield (
            f"each of the {copies} copies of {model.name} has room for {longest:,} tokens of "
            f"context, and one that {tensor} GPUs share for {together.max_context:,}: for that, "
            f"set tensor-parallel-size to {tensor} and data-parallel-size to "
            f"{gpus.count // tensor} in the ConfigMap that inference.config names"
        )


def _places(nodes: int) -> str:
    return "one node" if nodes == 1 else f"{nodes} nodes"
