"""How a model is spread over GPUs: copies of it, GPUs that share each layer, stages of layers.

What the engine can split, not what is fast; which memory that leaves is in memory.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus

# Below this share of a GPU's memory each GPU serves a copy of its own (kaito.md 3.6).
WHOLE_COPY = 0.5
VOCABULARY_PADDING = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py, v0.25.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A model on `data_parallel * tensor_parallel * pipeline_parallel` GPUs."""

    data_parallel: int = 1
    """Copies of the model, each on its own GPUs."""
    tensor_parallel: int = 1
    """GPUs of one node that share each layer."""
    pipeline_parallel: int = 1
    """Groups of such GPUs that share the layers, on one node or several."""

    def __str__(self) -> str:
        return f"{self.data_parallel}x{self.tensor_parallel}x{self.pipeline_parallel}"


def split(model: Model, gpus: Gpus, nodes: int) -> Split:
    """How a model is spread over the GPUs of these nodes, all of which are used.

    Upstream's rule (kaito.md 3.6): a copy on each GPU for a model that takes less than half of one;
    otherwise the GPUs of a node share each layer and the nodes share the layers. Where a node has
    more GPUs than the heads can be shared by, upstream's engine does not start; here the node has
    several groups of GPUs, with a copy each under the same rule or else with their share of the
    layers.
    """
    tensor = sharing(model, gpus.count)
    groups = gpus.count // tensor
    if nodes == 1 and model.memory_gib is not None:
        for shared in sorted({1, tensor}):
            if gpus.count > shared and model.memory_gib < WHOLE_COPY * shared * gpus.each_gib:
                return Split(data_parallel=gpus.count // shared, tensor_parallel=shared)
    return Split(tensor_parallel=tensor, pipeline_parallel=nodes * groups)


def sharing(model: Model, gpus: int) -> int:
    """The most of a node's GPUs that can share a layer evenly, leaving no GPU over."""
    return max(n for n in range(1, gpus + 1) if gpus % n == 0 and divides(model, n))


def divides(model: Model, n: int) -> bool:
    """Whether n GPUs can share each layer.

    vLLM v0.25.1 demands that they divide the attention heads (vllm/config/model.py), that they
    divide the key-value heads or are a multiple of them, in which case these are repeated
    (vllm/model_executor/models/llama.py), and that they divide the padded vocabulary. Latent
    attention has one key-value head, which every GPU holds.
    """
    if model.heads is not None and model.heads % n:
        return False
    kept = 1 if model.kv_lora_rank is not None else model.kv_heads
    if kept is not None and kept % n and n % kept:
        return False
    padded = ceil((model.vocabulary or 0) / VOCABULARY_PADDING) * VOCABULARY_PADDING
    return padded % n == 0


def stages(layers: int, count: int) -> tuple[int, ...]:
    """Layers of each pipeline stage, first to last (get_pp_indices, vllm/distributed/utils.py).

    What is left over goes to the stages before the last, which also holds the output.
    """
    least, over = divmod(layers, count)
    return tuple(least + (count - 1 - over <= stage < count - 1) for stage in range(count))
