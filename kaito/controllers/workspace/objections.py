"""What is wrong with a Workspace that only the catalogue and the settings can tell. Pure.

The rules of kaito.api come first; these presume that they hold. A refusal is final until somebody
changes the Workspace, so it names the field, its value and what is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kaito.api import conditions, labels
from kaito.api.words import shown
from kaito.api.workspace import Preset, Resource, Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import (
    DEFAULT_CONTEXT,
    Estimate,
    Misfit,
    estimate,
    placed,
    sizes_for,
)
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku
from kaito.controllers.workspace.parameters import (
    Config,
    Missing,
    context_asked,
    inference_problems,
    training_problems,
)
from kaito.controllers.workspace.runtimes import RUNTIMES
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.template import unusable

# What annotations may say, by their keys; compared without regard to case.
ANNOTATIONS = {
    labels.NODE_IMAGE_FAMILY: ("ubuntu", "azurelinux"),
    labels.RUNTIME: RUNTIMES,
    labels.PERFORMANCE_MODE: ("balanced", "interactivity", "throughput"),
    labels.USE_LOCAL_WEIGHTS: ("true", "false"),
    labels.ENABLE_LOAD_BALANCER: ("true", "false"),
}
EXAMPLES = 3  # names that a message lists
# Azure's sizes with GPUs, and those that a Pod template may ask for, though we do not know them.
UNLISTED_GPU_SIZES = ("standard_n",)
UNLISTED_SIZES = (*UNLISTED_GPU_SIZES, "standard_d")
# What every node of ours is; a selector that says otherwise can never be satisfied.
NODE_IS = {labels.ARCH: "amd64", labels.OS: "linux"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It cannot be: one sentence for the author."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """It can be, but its author should know."""

    reason: str
    message: str


def objections(
    workspace: Workspace, *, catalog: Catalog, settings: Settings, config: Config | None = None
) -> Iterator[Refusal]:
    """Everything that is wrong with it, each with its path.

    `config` is the ConfigMap that it names, None when it was not looked at.
    """
    yield from _odd_annotations(workspace)
    labels_wanted = equality(workspace.resource)
    if isinstance(labels_wanted, Refusal):
        yield labels_wanted
    template = workspace.inference.template if workspace.inference else None
    if template is not None:
        wrong = unusable(template)
        if wrong:
            yield Refusal(path="inference.template", reason=conditions.INVALID_SPEC, message=wrong)
    model = model_of(workspace, catalog) if template is None else None
    if isinstance(model, Refusal):
        yield model
    sku = size_of(workspace, catalog, settings)
    if isinstance(sku, Refusal):
        yield sku
    if config is not None:
        yield from _unusable_config(workspace, model if isinstance(model, Model) else None, config)
    if workspace.inference is None or not isinstance(model, Model) or not isinstance(sku, Sku):
        return
    context = context_asked(config)
    split = fit(workspace, model, sku.gpus, context=context, catalog=catalog, settings=settings)
    if isinstance(split, Refusal):
        yield split


def advice(workspace: Workspace, *, catalog: Catalog, settings: Settings) -> Iterator[Advice]:
    """What the author should know though it stops nothing."""
    asked = workspace.resource.instance_type
    sku = catalog.find_sku(asked, cloud=settings.cloud) if asked else None
    if sku is not None and sku.retired is not None:
        yield Advice(
            reason=conditions.INSTANCE_TYPE_RETIRED,
            message=f"{sku.name} was retired by {sku.cloud.capitalize()} on {sku.retired}: new "
            "nodes of this size may not be had any more.",
        )
    if asked and sku is None and unlisted(asked, settings, UNLISTED_SIZES):
        like = _listed("names like it are", catalog.skus_like(asked, cloud=settings.cloud))
        yield Advice(
            reason=conditions.INSTANCE_TYPE_UNLISTED,
            message=f"{asked} is no size that KAITO knows: as many nodes of it are asked for as "
            f"resource.count says{like}.",
        )
    reserved = sorted(labels.RESERVED & selected(workspace.resource).keys())
    if reserved:
        yield Advice(
            reason=conditions.LABELS_RESERVED,
            message=f"resource.labelSelector: {', '.join(reserved)} say whose a node is, and are "
            "left out of the selector.",
        )


def preset_of(workspace: Workspace) -> Preset | None:
    """The preset that is served or tuned."""
    if workspace.tuning is not None:
        return workspace.tuning.preset
    return workspace.inference.preset if workspace.inference else None


def selected(resource: Resource) -> dict[str, str]:
    """The labels that the selector asks for, in one notation; the last of two values holds."""
    expressions = {e.key: e.values[0] for e in resource.label_selector.match_expressions}
    return {**resource.label_selector.match_labels, **expressions}


def equality(resource: Resource) -> dict[str, str] | Refusal:
    """The labels that its nodes carry, without those that say whose a node is; a Refusal when no
    node can have them."""
    wanted = dict(resource.label_selector.match_labels)
    for expression in resource.label_selector.match_expressions:
        (value,) = expression.values
        if wanted.setdefault(expression.key, value) != value:
            return _selector(
                f"resource.labelSelector asks for two values of {expression.key}, "
                f"{wanted[expression.key]} and {value}: keep one."
            )
    for key, value in {**NODE_IS, labels.INSTANCE_TYPE: resource.instance_type}.items():
        if resource.instance_type and wanted.get(key, value).lower() != value.lower():
            return _selector(
                f"resource.labelSelector asks for nodes with {key}={wanted[key]}, but "
                f"nodes for this Workspace have {key}={value}: leave that label out."
            )
    ours = {k: v for k, v in sorted(wanted.items()) if k not in labels.RESERVED}
    if wanted and not ours:
        return _selector(
            f"resource.labelSelector asks only for {', '.join(sorted(wanted))}, which KAITO sets "
            "itself: select by a label of your own."
        )
    return ours


def _selector(message: str) -> Refusal:
    return Refusal(path="resource.labelSelector", reason=conditions.INVALID_SPEC, message=message)


def model_of(workspace: Workspace, catalog: Catalog) -> Model | Refusal | None:
    """The model of its preset; None when it has none, a Refusal when it cannot be had."""
    preset = preset_of(workspace)
    if preset is None:
        return None
    where = "tuning" if workspace.tuning is not None else "inference"
    model = catalog.find_model(preset.name)
    if model is None:
        return Refusal(
            path=f"{where}.preset.name",
            reason=conditions.UNKNOWN_PRESET,
            message=f"{where}.preset.name is {shown(preset.name)}, which is no model that KAITO "
            f"knows{_instead(catalog.models_like(preset.name), catalog.short_names)}.",
        )
    options = preset.preset_options
    if model.access == "gated" and not (options and options.model_access_secret):
        return Refusal(
            path=f"{where}.preset.presetOptions.modelAccessSecret",
            reason=conditions.INVALID_SPEC,
            message=f"{where}.preset.presetOptions.modelAccessSecret is not set, and "
            f"{model.name} is gated: create a Secret with a Hugging Face token under the key "
            "HF_TOKEN in this namespace and name it there.",
        )
    return model


def size_of(workspace: Workspace, catalog: Catalog, settings: Settings) -> Sku | Refusal | None:
    """The size of its nodes; None for nodes that are there and for sizes that only look like
    one."""
    asked = workspace.resource.instance_type
    if not asked:
        return None
    preset = preset_of(workspace)
    sku = catalog.find_sku(asked, cloud=settings.cloud)
    if sku is None:
        if unlisted(asked, settings, UNLISTED_GPU_SIZES if preset else UNLISTED_SIZES):
            return None
        sizes = [known.name for known in catalog.skus.values() if known.cloud == settings.cloud]
        return _size(
            f"resource.instanceType is {asked}, which is no GPU size of {settings.cloud} that "
            f"KAITO knows{_instead(catalog.skus_like(asked, cloud=settings.cloud), sizes)}. "
            "It cannot be changed: delete the Workspace and create it again."
        )
    if preset is not None and sku.gpus.vendor != "nvidia":
        model = catalog.find_model(preset.name)
        return _size(
            f"resource.instanceType is {sku.name}, which has {sku.gpus.product}: presets "
            f"run on NVIDIA GPUs{sizes_that_do(model, catalog, settings) if model else ''}."
        )
    return sku


def _size(message: str) -> Refusal:
    return Refusal(
        path="resource.instanceType", reason=conditions.UNKNOWN_INSTANCE_TYPE, message=message
    )


def unlisted(asked: str, settings: Settings, shapes: tuple[str, ...]) -> bool:
    """Whether a size that is in no catalogue has the shape of one."""
    return settings.cloud == "azure" and asked.lower().startswith(shapes)


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

    `context` is how many tokens must fit, None for upstream's default. GPUs whose memory nobody
    knows are taken at their user's word: as many nodes as it counts.
    """
    if not gpus.memory_gib:
        return placed(model, gpus, workspace.resource.count)
    asked = workspace.resource.instance_type
    where = f"on {asked}" if asked else "on the nodes selected"
    answer = estimate(model, gpus, context=context or DEFAULT_CONTEXT)
    unchecked = labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations
    if unchecked and (isinstance(answer, Misfit) or answer.nodes > 1):
        return placed(model, gpus, 1)
    preset = preset_of(workspace)
    name = preset.name if preset else model.name
    if isinstance(answer, Misfit):
        return _misfit(
            f"inference.preset.name {name} does not fit {where}: "
            f"{answer.message}{sizes_that_do(model, catalog, settings)}."
        )
    return answer


def _unusable_config(
    workspace: Workspace, model: Model | None, config: Config
) -> Iterator[Refusal]:
    path = "inference.config" if workspace.tuning is None else "tuning.config"
    if isinstance(config, Missing):
        yield Refusal(
            path=path,
            reason=conditions.CONFIG_NOT_FOUND,
            message=f"{path} names the ConfigMap {config.name}, which is not in this namespace: "
            "create it first.",
        )
        return
    if workspace.tuning is not None:
        found = training_problems(config, method=workspace.tuning.method)
    else:
        found = inference_problems(config, context=model.context if model else None)
    for each in found:
        yield Refusal(path=path, reason=conditions.INVALID_CONFIG, message=each.message)


def _misfit(message: str) -> Refusal:
    return Refusal(
        path="inference.preset.name", reason=conditions.MODEL_DOES_NOT_FIT, message=message
    )


def _odd_annotations(workspace: Workspace) -> Iterator[Refusal]:
    for key, accepted in ANNOTATIONS.items():
        value = workspace.metadata.annotations.get(key, "")
        if value and value.lower() not in accepted:
            *most, last = accepted
            yield Refusal(
                path=f"metadata.annotations[{key}]",
                reason=conditions.INVALID_SPEC,
                message=f"Annotation {key} is {shown(value)}: write {', '.join(most)} or {last}, "
                "or remove it.",
            )


def sizes_that_do(model: Model, catalog: Catalog, settings: Settings) -> str:
    """The end of a sentence: sizes that run a model on one node, nothing where there are none."""
    names = [sku.name for sku in sizes_for(model, catalog, cloud=settings.cloud)[:EXAMPLES]]
    return _listed("sizes that do are", names)


def _instead(like: Sequence[str], known: Iterable[str]) -> str:
    """What to write instead: names like it, or a few that show what a name looks like."""
    if like:
        return _listed("names like it are", like)
    return _listed("names that it knows are, for example,", list(islice(known, EXAMPLES)))


def _listed(words: str, names: Sequence[str]) -> str:
    """`; <words> a, b and c`, or nothing when there are no names."""
    if not names:
        return ""
    *most, last = names
    return f"; {words} {', '.join(most)} and {last}" if most else f"; {words} {last}"
