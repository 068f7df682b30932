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
from kaito.catalog.estimate import Estimate, Misfit
from kaito.catalog.model import Model
from kaito.catalog.offer import Offer, sizes_of
from kaito.catalog.replacement import ARCHITECTURE
from kaito.catalog.sku import PROFILES, Gpus, Sku
from kaito.controllers.workspace.presets import model_of, preset_of
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.told import (
    Told,
    estimated,
    nodes_for,
    on_nodes,
    sound,
    split_problems,
)

EXAMPLES = 3  # sizes that a message lists
# Azure's sizes with GPUs, and those that a Pod template may ask for, though we do not know them.
UNLISTED_GPU_SIZES = ("standard_n",)
UNLISTED_SIZES = (*UNLISTED_GPU_SIZES, "standard_d")


def size_of(workspace: Workspace, catalog: Catalog, settings: Settings) -> Sku | None:
    """The size of its nodes; None for nodes that are there and for sizes that nobody knows."""
    asked = workspace.resource.instance_type
    return catalog.find_sku(asked, cloud=settings.cloud) if asked else None


def size_objections(
    workspace: Workspace, catalog: Catalog, settings: Settings, told: Told
) -> Iterator[Refusal]:
    """Why there can be no nodes of its size, or none for what is to run on them; `told` is what
    the engine is told."""
    asked, sku = workspace.resource.instance_type, size_of(workspace, catalog, settings)
    preset, model = preset_of(workspace), model_of(workspace, catalog)

    def better() -> str:
        return sizes_that_do(workspace, model, catalog, settings, told) if model else ""

    if sku is None:
        if asked and not _unlisted(workspace, settings):
            sizes = [known.name for known in catalog.skus.values() if known.cloud == settings.cloud]
            yield _size(
                f"resource.instanceType is {shown(asked)}, which is no GPU size of "
                f"{settings.cloud} that KAITO knows"
                f"{instead(catalog.skus_like(asked, cloud=settings.cloud), sizes)}."
            )
    elif sku.architecture != ARCHITECTURE:
        yield _size(
            f"resource.instanceType is {sku.name}, whose processors are {sku.architecture}, and "
            f"KAITO asks for nodes with {ARCHITECTURE}{better()}."
        )
    elif preset is not None and sku.gpus.vendor != "nvidia":
        yield _size(
            f"resource.instanceType is {sku.name}, which has {sku.gpus.product}: presets "
            f"run on NVIDIA GPUs{better()}."
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
    workspace: Workspace, catalog: Catalog, settings: Settings, told: Told
) -> Iterator[Advice]:
    """What should be known of its size; `told` is what the engine is told."""
    asked, sku = workspace.resource.instance_type, size_of(workspace, catalog, settings)
    if asked and sku is None and _unlisted(workspace, settings):
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
        where = f"resource.instanceType {sku.name}"
        yield from gpus_advice(workspace, model, sku.gpus, where, catalog, settings, told)


def gpus_advice(
    workspace: Workspace,
    model: Model,
    gpus: Gpus,
    where: str,
    catalog: Catalog,
    settings: Settings,
    told: Told,
) -> Iterator[Advice]:
    """What should be known of a model on these GPUs; `where` begins the sentence."""
    engine = ENGINES[runtime_of(workspace)]
    how = {"quantization": model.quantization}
    answer = estimated(model, gpus, told) if gpus.memory_gib else on_nodes(model, gpus, 1, told)
    lacking = objection(engine, gpus, architecture=model.architecture, **how)
    said = [lacking.removesuffix(".")] if lacking else []
    said += answer.problems if isinstance(answer, Estimate) else ()
    if said:
        better = next(sizes_instead(workspace, model, catalog, settings, told), None)
        yield Advice(
            reason=conditions.INSTANCE_TYPE_UNSUITED,
            message=f"{where}: {'; '.join(said)}"
            f"{clause('the cheapest size that runs it is', [better.sku.name] if better else [])}.",
        )
    if not gpus.memory_gib:
        yield Advice(
            reason=conditions.INSTANCE_TYPE_UNLISTED,
            message=f"{where} has no label {labels.GPU_MEMORY}, so nobody can tell whether "
            f"{model.name} fits: NVIDIA's GPU feature discovery writes it.",
        )
    count = workspace.resource.count
    if count > 1 and gpus.memory_gib and isinstance(answer, Estimate) and answer.nodes != count:
        yield Advice(
            reason=conditions.COUNT_IGNORED,
            message=f"resource.count is {count}, and how many nodes a preset gets follows from its "
            f"model: {answer.nodes} here.",
        )
    converts = None if lacking else caveat(engine, gpus, **how)
    if converts is not None:
        yield Advice(reason=conditions.WEIGHTS_CONVERTED, message=converts)


def fit(
    workspace: Workspace,
    model: Model,
    gpus: Gpus,
    *,
    told: Told,
    catalog: Catalog,
    settings: Settings,
) -> Estimate | Refusal:
    """How a model is split over nodes with these GPUs; a Refusal when it does not fit.

    `told` is what the engine is told. Users are taken at their word, which is resource.count, for
    GPUs whose memory nobody knows, and where an annotation says that a model which does not fit is
    theirs to answer for.
    """
    count = workspace.resource.count
    for problem in split_problems(model, gpus, told, nodes_for(model, gpus, told, count)):
        name = workspace.inference.config if workspace.inference else ""
        return Refusal(
            path="inference.config",
            reason=conditions.INVALID_CONFIG,
            message=f"ConfigMap {name} (inference.config): {problem}.",
        )
    if not gpus.memory_gib:
        return on_nodes(model, gpus, count, told)
    answer = estimated(model, gpus, told)
    if not isinstance(answer, Misfit):
        return answer
    if labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations:
        return on_nodes(model, gpus, count, told)
    asked, preset = workspace.resource.instance_type, preset_of(workspace)
    where = f"on {asked}" if asked else "on the nodes selected"
    return Refusal(
        path="inference.preset.name",
        reason=conditions.MODEL_DOES_NOT_FIT,
        message=f"inference.preset.name {preset.name if preset else model.name} does not fit "
        f"{where}: {answer.message}{sizes_that_do(workspace, model, catalog, settings, told)}.",
    )


def sizes_instead(
    workspace: Workspace, model: Model, catalog: Catalog, settings: Settings, told: Told
) -> Iterator[Offer]:
    """The sizes that run a model on one node with nothing to be said against it, the cheapest
    first: all that name sizes name these."""
    engine = ENGINES[runtime_of(workspace)]
    found = sizes_of(
        model, catalog, cloud=settings.cloud, engine=engine, context=told.least_context(model)
    )
    return (each for each in found if sound(engine, model, each.sku.gpus, told))


def sizes_that_do(
    workspace: Workspace, model: Model, catalog: Catalog, settings: Settings, told: Told
) -> str:
    """The end of a sentence: sizes to take instead, nothing where there are none."""
    found = islice(sizes_instead(workspace, model, catalog, settings, told), EXAMPLES)
    names = [each.sku.name for each in found]
    words = "sizes that do are" if len(names) > 1 else "the only size that does is"
    return clause(words, names)


def _unlisted(workspace: Workspace, settings: Settings) -> bool:
    """Whether a size that is in no catalogue has the shape of one that may run this."""
    shapes = UNLISTED_GPU_SIZES if preset_of(workspace) else UNLISTED_SIZES
    asked = workspace.resource.instance_type.lower()
    return settings.cloud == "azure" and asked.startswith(shapes)


def _size(message: str) -> Refusal:
    return Refusal(
        path="resource.instanceType", reason=conditions.UNKNOWN_INSTANCE_TYPE, message=message
    )
