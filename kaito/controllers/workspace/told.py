"""What a ConfigMap tells the engine that its memory depends on, and what comes of it there. Pure.

The engine takes the last of two values of a flag, and the ConfigMap's come last. Nothing here puts
a value of a ConfigMap into a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kaito.catalog.capability import EngineNeeds, objection
from kaito.catalog.estimate import DEFAULT_CONTEXT, Estimate, Misfit, estimate, placed
from kaito.catalog.model import Model
from kaito.catalog.parallel import Split, divides, sharing
from kaito.catalog.precision import CacheType
from kaito.catalog.sku import Gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Flags of the engine; None where it is told nothing that can be understood."""

    context: int | None = None
    """Tokens (max-model-len)."""
    utilization: float | None = None
    """The share of each GPU's memory (gpu-memory-utilization)."""
    cached: CacheType | None = None
    """What the KV cache is kept in (kv-cache-dtype)."""
    tensor: int | None = None
    pipeline: int | None = None
    data: int | None = None
    staged: bool = False
    """Whether the engine lays the layers over all GPUs, one after the other, as transformers does;
    then nothing of the above is told."""

    def wanted(self, model: Model) -> int | None:
        """Tokens that are asked for and must have room; None where nobody asks. More than the model
        takes is a fault of the ConfigMap, and none of the GPUs."""
        if self.context is None or model.context is None:
            return self.context
        return min(self.context, model.context)

    def least_context(self, model: Model) -> int:
        """How many tokens must fit: upstream's default where nobody says more."""
        return self.wanted(model) or DEFAULT_CONTEXT

    def spread(self, model: Model, gpus: Gpus, nodes: int) -> Split | None:
        """The split over the GPUs of these nodes: what is not told follows from what is. None when
        nothing is told."""
        if self.staged:
            return Split(pipeline_parallel=gpus.count * nodes)
        if self.tensor is None and self.pipeline is None and self.data is None:
            return None
        data = self.data or 1
        if nodes > 1:
            tensor = self.tensor or sharing(model, gpus.count)
            pipeline = self.pipeline or max(1, gpus.count * nodes // (tensor * data))
        else:
            pipeline = self.pipeline or 1
            left = max(1, gpus.count // (pipeline * data))
            tensor = self.tensor or sharing(model, left)
        return Split(tensor_parallel=tensor, pipeline_parallel=pipeline, data_parallel=data)


def estimated(model: Model, gpus: Gpus, told: Told) -> Estimate | Misfit:
    """A model on as many nodes with these GPUs as it takes."""
    found = estimate(model, gpus, context=told.least_context(model))
    if isinstance(found, Misfit):
        if told.context is None or isinstance(estimate(model, gpus), Misfit):
            return found
        return Misfit(
            message=f"the cache for max-model-len of its ConfigMap leaves no room for the weights "
            f"on {gpus}"
        )
    return on_nodes(model, gpus, found.nodes, told)


def nodes_for(model: Model, gpus: Gpus, told: Told, count: int) -> int:
    """How many nodes a model gets: what is asked for, `count`, where nobody can tell or it fits on
    none."""
    if not gpus.memory_gib:
        return count
    found = estimate(model, gpus, context=told.least_context(model))
    return count if isinstance(found, Misfit) else found.nodes


def on_nodes(model: Model, gpus: Gpus, nodes: int, told: Told) -> Estimate:
    """A model on so many nodes with these GPUs, whether or not it fits."""
    spread = told.spread(model, gpus, nodes)
    found = placed(
        model, gpus, nodes, utilization=told.utilization, cached=told.cached, spread=spread
    )
    if spread is not None and _used(spread) < gpus.count * nodes:
        idle = (
            f"the split that its ConfigMap tells leaves some of the {gpus.count * nodes} GPUs idle"
        )
        found = replace(found, advice=(idle, *found.advice))
    longest = found.max_context
    if longest == 0 and placed(model, gpus, nodes).max_context:
        said = f"what its ConfigMap tells the engine leaves no room for requests on {gpus}"
        return replace(found, problems=(said, *found.problems[1:]))
    if longest and longest < (told.wanted(model) or 1):
        said = (
            f"{gpus} has room for {longest:,} tokens of context of {model.name}, which is less "
            "than max-model-len of its ConfigMap"
        )
        return replace(found, problems=(said, *found.problems))
    return found


def hindrance(
    engine: EngineNeeds, model: Model, gpus: Gpus, found: Estimate, told: Told
) -> str | None:
    """Why the engine does not start with the model on these GPUs, a sentence without its full stop;
    None when nothing keeps it."""
    lacking = objection(
        engine, gpus, quantization=model.quantization, architecture=model.architecture
    )
    if lacking is not None:
        return lacking.removesuffix(".")
    longest = found.max_context
    if longest is not None and longest < (told.wanted(model) or 1):
        return found.problems[0]
    return None


def sound(engine: EngineNeeds, model: Model, gpus: Gpus, told: Told) -> bool:
    """Whether one node with these GPUs runs a model as the engine is told, with nothing to be said
    against it."""
    if any(split_problems(model, gpus, told)):
        return False
    found = estimated(model, gpus, told)
    return (
        isinstance(found, Estimate)
        and found.nodes == 1
        and not found.problems
        and hindrance(engine, model, gpus, found, told) is None
    )


def split_problems(model: Model, gpus: Gpus, told: Told, nodes: int = 1) -> Iterator[str]:
    """Why the engine cannot split a model as it is told on nodes with these GPUs, sentences
    without their full stops."""
    found = told.spread(model, gpus, nodes)
    if found is None:
        return
    if _used(found) > gpus.count * nodes:
        where = "a node" if nodes == 1 else f"{nodes} nodes"
        yield (
            "tensor-parallel-size, pipeline-parallel-size and data-parallel-size multiplied are "
            f"more than the GPUs of {where}, {gpus.count * nodes} of {gpus.product}"
        )
    if nodes > 1 and found.tensor_parallel > gpus.count:
        yield (
            "vllm.tensor-parallel-size is more than the GPUs of a node, "
            f"{gpus.count} of {gpus.product}: nodes share the layers, which pipeline-parallel-size "
            "says"
        )
    if nodes > 1 and found.data_parallel > 1:
        yield (
            "vllm.data-parallel-size asks for copies of the model, and it takes "
            f"{nodes} nodes to hold one"
        )
    if not divides(model, found.tensor_parallel):
        yield (
            f"so many GPUs as vllm.tensor-parallel-size says cannot share the {model.heads} "
            f"attention heads and {model.kv_heads} key-value heads of {model.name}; "
            f"{sharing(model, gpus.count)} can"
        )
    if model.layers is not None and found.pipeline_parallel > model.layers:
        yield (
            f"vllm.pipeline-parallel-size is more than the {model.layers} layers of {model.name}"
        )


def _used(split: Split) -> int:
    """GPUs that a split takes."""
    return split.tensor_parallel * split.pipeline_parallel * split.data_parallel
