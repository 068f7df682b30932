"""Does the model fit, on how many nodes, and how is it split? The arithmetic of kaito.md 4.4.

An estimate is made from sizes alone, before anything runs; the engine measures for itself. Units
are GiB unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from kaito.catalog.catalog import Catalog
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku

GIB = 1024**3
WEIGHT_EXPANSION = 1.02  # weights in memory against weights in files
BASE_OVERHEAD = 2.3  # each GPU: 1.7 activations, 0.6 outside the framework
WEIGHT_OVERHEAD = 0.05  # each GPU: grows with the weights it holds
DEFAULT_CONTEXT = 2048  # tokens that must fit when nobody says more
WHOLE_COPY = 0.5  # below this share of one GPU's memory each GPU serves a copy of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The model fits like this."""

    nodes: int
    gpus_per_node: int
    data_parallel: int
    """Copies of the model, each on its own GPUs."""
    tensor_parallel: int
    """GPUs of one node that share each layer."""
    pipeline_parallel: int
    """Nodes that share the layers."""
    max_context: int | None
    """The longest context that fits, tokens; None when the model's shape is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The model cannot run there; the message says what is missing."""

    message: str


def estimate(
    model: Model, gpus: Gpus, *, context: int = DEFAULT_CONTEXT, max_nodes: int | None = None
) -> Estimate | Misfit:
    """How a model runs on nodes with these GPUs, with at least `context` tokens.

    `max_nodes` None: as many nodes as it takes. A model without known weights is compared by the
    GPU memory that its preset asks for.
    """
    share = _usable(model, gpus)
    if model.weights_gib is None:
        return _by_preset(model, gpus)
    usable = gpus.each_gib * gpus.memory_share
    cache = context * (model.kv_bytes_per_token or 0) / GIB
    fixed = BASE_OVERHEAD + cache / share
    if usable <= fixed:
        return Misfit(
            message=f"{gpus} leaves {usable:.1f} GiB of each GPU to {model.name}, which takes "
            f"{fixed:.1f} GiB for {context} tokens of context before any weights"
        )
    room = (usable - fixed) / (1 + WEIGHT_OVERHEAD)
    needed = int(model.weights_gib * WEIGHT_EXPANSION / room) + 1
    nodes = ceil(needed / share)
    if max_nodes is not None and nodes > max_nodes:
        return Misfit(
            message=f"{model.name} has {model.weights_gib:g} GiB of weights and needs {needed} "
            f"such GPUs, but {_places(max_nodes)} only provides {share * max_nodes} "
            f"({gpus} each)"
        )
    return _split(model, gpus, nodes, share)


def _by_preset(model: Model, gpus: Gpus) -> Estimate | Misfit:
    memory, count = model.gpu_memory_gib or 0.0, model.gpus or 1
    if gpus.memory_gib < memory or gpus.count < count:
        return Misfit(
            message=f"{model.name} needs {count} GPUs with {memory:g} GiB of memory in all, but "
            f"a node only provides {gpus}"
        )
    return _split(model, gpus, 1, gpus.count)


def _split(model: Model, gpus: Gpus, nodes: int, share: int) -> Estimate:
    weights = model.weights_gib
    copies = (
        nodes == 1
        and gpus.count > 1
        and weights is not None
        and weights < WHOLE_COPY * gpus.each_gib
    )
    tensor = 1 if copies else share
    return Estimate(
        nodes=nodes,
        gpus_per_node=gpus.count,
        data_parallel=gpus.count if copies else 1,
        tensor_parallel=tensor,
        pipeline_parallel=nodes,
        max_context=_max_context(model, gpus, nodes, tensor),
    )


def _max_context(model: Model, gpus: Gpus, nodes: int, tensor: int) -> int | None:
    per_token = model.kv_bytes_per_token
    if per_token is None or model.weights_gib is None or model.context is None:
        return None
    weights = model.weights_gib * WEIGHT_EXPANSION * (1 + WEIGHT_OVERHEAD) / (nodes * tensor)
    left = gpus.each_gib * gpus.memory_share - BASE_OVERHEAD - weights
    return max(0, min(model.context, int(left * GIB * tensor / per_token)))


def _usable(model: Model, gpus: Gpus) -> int:
    """How many GPUs of a node can share a layer: each takes the same number of attention heads."""
    if model.heads is None:
        return gpus.count
    return max(n for n in range(1, gpus.count + 1) if model.heads % n == gpus.count % n == 0)


def _places(nodes: int) -> str:
    return "one node" if nodes == 1 else f"{nodes} nodes"


def sizes_for(model: Model, catalog: Catalog, *, cloud: str) -> list[Sku]:
    """The node sizes of a cloud that run the model on one node, the smallest first.

    Retired sizes and accelerators that the engine does not run on are left out.
    """
    fitting = [
        sku
        for sku in catalog.skus.values()
        if sku.cloud == cloud
        and sku.retired is None
        and sku.gpus.vendor == "nvidia"
        and isinstance(estimate(model, sku.gpus, max_nodes=1), Estimate)
    ]
    return sorted(fitting, key=lambda sku: (sku.gpus.memory_gib, sku.gpus.count, sku.name))
