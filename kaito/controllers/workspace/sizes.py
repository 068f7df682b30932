"""The size of a Workspace's nodes: whether there is one, and whether the model fits on it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice

from kaito.api import conditions, labels
from kaito.api.words import clause, instead, shown
from kaito.api.workspace import Workspace
from kaito.catalog.capability import ENGINES, caveat, objection
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import (
    DEFAULT_CONTEXT,
    Estimate,
    Misfit,
    estimate,
    placed,
)
from kaito.catalog.model import Model
from kaito.catalog.offer import sizes_of
from kaito.catalog.replacement import ARCHITECTURE
from kaito.catalog.sku import PROFILES, Gpus, Sku
from kaito.controllers.workspace.presets import model_of, preset_of
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.settings import Settings

EXAMPLES = 3  # sizes that a message lists
# Azure's sizes with GPUs, and those that a Pod template may ask for, though we do not know them.
UNLISTED_GPU_SIZES = ("standard_n",)
UNLISTED_SIZES = (*UNLISTED_GPU_SIZES, "standard_d")


def size_of(workspace: Workspace, catalog: Catalog, settings: Settings) -> Sku | None:
    """The size of its nodes; None for nodes that are there and for sizes that nobody knows."""
    asked = workspace.resource.instance_type
    return catalog.find_sku(asked, cloud=settings.cloud) if asked else None


def size_objections(
    workspace: Workspace, catalog: Catalog, settings: Settings
) -> Iterator[Refusal]:
    """Why there can be no nodes of its size, or none for what is to run on them."""
    asked, sku = workspace.resource.instance_type, size_of(workspace, catalog, settings)
    preset, model = preset_of(workspace), model_of(workspace, catalog)
    if sku is None:
        shapes = UNLISTED_GPU_SIZES if preset else UNLISTED_SIZES
        if asked and not _unlisted(asked, settings, shapes):
            sizes = [known.name for known in catalog.skus.values() if known.cloud == settings.cloud]
            yield _size(
                f"resource.instanceType is {shown(asked)}, which is no GPU size of "
                f"{settings.cloud} that KAITO knows"
                f"{instead(catalog.skus_like(asked, cloud=settings.cloud), sizes)}."
            )
    elif sku.architecture != ARCHITECTURE:
        yield _size(
            f"resource.instanceType is {sku.name}, whose processors are {sku.architecture}, and "
            f"KAITO asks for nodes with {ARCHITECTURE}{_others(model, catalog, settings)}."
        )
    elif preset is not None and sku.gpus.vendor != "nvidia":
        yield _size(
            f"resource.instanceType is {sku.name}, which has {sku.gpus.product}: presets "
            f"run on NVIDIA GPUs{_others(model, catalog, settings)}."
        )
    partition = workspace.resource.partition
    if partition is not None and partition.profile and partition.profile not in PROFILES:
        profiles = sorted(PROFILES)
        like = difflib.get_close_matches(partition.profile, profiles)
        yield Refusal(
            path="resource.partition.profile",
            reason=conditions.INVALID_SPEC,
            message=f"resource.partition.profile is {shown(partition.profile)}, which is no slice "
            f"of a GPU{instead(like, profiles)}.",
        )


def size_advice(
    workspace: Workspace, catalog: Catalog, settings: Settings, context: int | None
) -> Iterator[Advice]:
    """What should be known of its size; `context` is how many tokens must fit, None for
    upstream's default."""
    asked, sku = workspace.resource.instance_type, size_of(workspace, catalog, settings)
    if asked and sku is None and _unlisted(asked, settings, UNLISTED_SIZES):
        like = clause("names like it are", catalog.skus_like(asked, cloud=settings.cloud))
        yield Advice(
            reason=conditions.INSTANCE_TYPE_UNLISTED,
            message=f"{shown(asked)} is no size that KAITO knows: as many nodes of it are asked "
            f"for as resource.count says{like}.",
        )
    if sku is None:
        return
    if sku.retired is not None:
        yield Advice(
            reason=conditions.INSTANCE_TYPE_RETIRED,
            message=f"{sku.name} was retired by {sku.cloud.capitalize()} on {sku.retired}: new "
            "nodes of this size may not be had any more.",
        )
    model = model_of(workspace, catalog) if workspace.inference else None
    if model is not None and sku.gpus.vendor == "nvidia":
        yield from _engine_advice(workspace, model, sku, catalog, context or DEFAULT_CONTEXT)


def _engine_advice(
    workspace: Workspace, model: Model, sku: Sku, catalog: Catalog, context: int
) -> Iterator[Advice]:
    engine = ENGINES[runtime_of(workspace)]
    how = {"quantization": model.quantization}
    answer = estimate(model, sku.gpus, context=context)
    lacking = objection(engine, sku.gpus, **how)
    said = [lacking.removesuffix(".")] if lacking else []
    said += answer.problems if isinstance(answer, Estimate) else ()
    if said:
        does = sizes_of(model, catalog, cloud=sku.cloud, engine=engine, context=context)
        better = next(does, None)
        yield Advice(
            reason=conditions.INSTANCE_TYPE_UNSUITED,
            message=f"resource.instanceType {sku.name}: {'; '.join(said)}"
            f"{clause('the cheapest size that does is', [better.sku.name] if better else [])}.",
        )
    converts = None if lacking else caveat(engine, sku.gpus, **how)
    if converts is not None:
        yield Advice(reason=conditions.WEIGHTS_CONVERTED, message=converts)


def fit(
    workspace: Workspace,
    model: Model,
    gpus: Gpus,
    *,
    context: int | None,
    catalog: Catalog,
    settings: Settings,
) -> Estimate | Refusal:
    """How a model is split over nodes with these GPUs; a Refusal when it does not fit.

    `context` is how many tokens must fit, None for upstream's default. Users are taken at their
    word, which is resource.count, for GPUs whose memory nobody knows, and where an annotation says
    that a model which does not fit is theirs to answer for.
    """
    count = workspace.resource.count
    if not gpus.memory_gib:
        return placed(model, gpus, count)
    answer = estimate(model, gpus, context=context or DEFAULT_CONTEXT)
    if not isinstance(answer, Misfit):
        return answer
    if labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations:
        return placed(model, gpus, count)
    asked, preset = workspace.resource.instance_type, preset_of(workspace)
    where = f"on {asked}" if asked else "on the nodes selected"
    return Refusal(
        path="inference.preset.name",
        reason=conditions.MODEL_DOES_NOT_FIT,
        message=f"inference.preset.name {preset.name if preset else model.name} does not fit "
        f"{where}: {answer.message}{sizes_that_do(model, catalog, settings)}.",
    )


def sizes_that_do(model: Model, catalog: Catalog, settings: Settings) -> str:
    """The end of a sentence: sizes that run a model on one node, nothing where there are none."""
    offers = islice(sizes_of(model, catalog, cloud=settings.cloud), EXAMPLES)
    return clause("sizes that do are", [each.sku.name for each in offers])


def _others(model: Model | None, catalog: Catalog, settings: Settings) -> str:
    return sizes_that_do(model, catalog, settings) if model else ""


def _unlisted(asked: str, settings: Settings, shapes: tuple[str, ...]) -> bool:
    """Whether a size that is in no catalogue has the shape of one."""
    return settings.cloud == "azure" and asked.lower().startswith(shapes)


def _size(message: str) -> Refusal:
    return Refusal(
        path="resource.instanceType", reason=conditions.UNKNOWN_INSTANCE_TYPE, message=message
    )
