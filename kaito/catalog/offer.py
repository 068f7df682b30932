"""A model on nodes of a size: what runs where, and at what price.

Which nodes those are is estimate.py's arithmetic; here the answers of many pairs are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaito.catalog.capability import VLLM, EngineNeeds, objection
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import DEFAULT_CONTEXT, Estimate, Misfit, estimate
from kaito.catalog.model import Model
from kaito.catalog.replacement import replacements
from kaito.catalog.sku import Sku


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that runs on nodes of a size."""

    model: Model
    sku: Sku
    estimate: Estimate

    @property
    def usd_per_hour(self) -> float | None:
        """List price of all its nodes; None where no price is known."""
        return self.estimate.nodes * self.sku.price.usd_per_hour if self.sku.price else None


def offer(
    model: Model,
    sku: Sku,
    *,
    engine: EngineNeeds = VLLM,
    context: int = DEFAULT_CONTEXT,
    max_nodes: int | None = None,
) -> Offer | Misfit:
    """The model on as many nodes of a size as it takes for `context` tokens, at most `max_nodes`.

    Misfit where the engine does not run on the GPUs or cannot read the weights there, where the
    memory of the GPUs is not known, and where no request has room.
    """
    refused = objection(
        engine, sku.gpus, quantization=model.quantization, architecture=model.architecture
    )
    if refused is not None:
        return Misfit(message=refused.removesuffix("."))
    if not sku.gpus.memory_gib:
        return Misfit(message=f"the memory of {sku.gpus.product} is not known")
    found = estimate(model, sku.gpus, context=context, max_nodes=max_nodes)
    if isinstance(found, Misfit):
        return found
    if found.max_context == 0:
        return Misfit(message="; ".join(found.problems))
    return Offer(model=model, sku=sku, estimate=found)


def alone(
    model: Model, sku: Sku, *, engine: EngineNeeds = VLLM, context: int = DEFAULT_CONTEXT
) -> Offer | None:
    """The model on one node of a size, with nothing to be said against it; None otherwise."""
    found = offer(model, sku, engine=engine, context=context, max_nodes=1)
    return found if isinstance(found, Offer) and not found.estimate.problems else None


def sizes_of(
    model: Model,
    catalog: Catalog,
    *,
    cloud: str,
    engine: EngineNeeds = VLLM,
    context: int = DEFAULT_CONTEXT,
) -> Iterator[Offer]:
    """The sizes of a cloud that run the model on one node with nothing to be said against it.

    One after the other, the cheapest first, so that who takes only that has it soon.
    """
    for sku in replacements(catalog, cloud=cloud, suits=lambda _: True):
        found = alone(model, sku, engine=engine, context=context)
        if found is not None:
            yield found


def models_on(
    sku: Sku,
    catalog: Catalog,
    *,
    engine: EngineNeeds = VLLM,
    context: int = DEFAULT_CONTEXT,
) -> list[Offer]:
    """The models that run on one node of a size with `context` tokens and nothing to be said
    against it, the largest first and presets of earlier releases last.

    Whether their makers ask for an account is for the reader to see: Model.access, which is None
    for many.
    """
    known = {model.name: model for model in catalog.models.values()}.values()
    able = [model for model in known if model.context is None or model.context >= context]
    found = [alone(model, sku, engine=engine, context=context) for model in able]
    return sorted(filter(None, found), key=lambda each: _largest_first(each.model))


def _largest_first(model: Model) -> tuple[bool, float, str]:
    return (model.historical, -(model.weights_gib or 0.0), model.name)
