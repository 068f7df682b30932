"""From what a user wrote to what it takes: model, GPUs, number of nodes, or why it cannot be.

A refusal is final until somebody changes the Workspace (or, for nodes that users bring, the
nodes), so it names the field, its value and what is accepted. Pure; `kaito plan` asks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pydantic import ValidationError

from kaito.api import conditions, labels
from kaito.api.rules import Problem, explain
from kaito.api.workspace import Resource, Workspace
from kaito.api.workspace_rules import problems
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Estimate, Misfit, estimate, sizes_for
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.template import unusable
from kaito.controllers.workspace.words import one_line, shown
from kaito.runtime import Object

OWN_RUNTIME = "vllm"
IMAGE_FAMILIES = ("ubuntu", "azurelinux")  # operating systems of nodes
PROBLEM_LENGTH = 500  # characters; a path in it may be as long as its author likes
EXAMPLES = 3  # names that a message lists
# Azure sizes with GPUs or without that a Pod template may ask for though we do not know them.
UNLISTED_SIZES = ("standard_n", "standard_d")
# What every node of ours is; a selector that says otherwise can never be satisfied.
NODE_IS = {labels.ARCH: "amd64", labels.OS: "linux"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It cannot be: one sentence for the author."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the workload takes."""

    workspace: Workspace
    selector: Mapping[str, str]
    """Labels that its nodes carry, without those that say whose a node is."""
    instance_type: str
    """The size of its nodes as the cloud spells it; "" to use nodes that are there."""
    nodes: int
    sku: Sku | None = None
    gpus: Gpus | None = None
    """The GPUs of a node; None when a template brings its own idea of them, or nobody knows yet."""
    model: Model | None = None
    estimate: Estimate | None = None
    """How the model is split; None until the GPUs are known, and for templates."""

    @property
    def brings_up_nodes(self) -> bool:
        """Whether nodes may be made for it."""
        return self.instance_type != ""

    @property
    def disk_gib(self) -> int:
        """OS disk that a new node needs, 0 for the cloud's default."""
        return self.model.disk if self.model else 0


def plan(workspace: Object, *, catalog: Catalog, settings: Settings) -> Plan | Refusal:
    """What a Workspace takes, or why it cannot be.

    For a model on nodes that its author brings, the plan is without GPUs: see `on_gpus`.
    """
    try:
        read = Workspace.model_validate(workspace)
    except ValidationError as error:
        return _invalid(next(explain(error)))
    for problem in problems(workspace):
        return _invalid(problem)
    refused = _unsupported(read) or _odd_family(read)
    if refused:
        return refused
    selector = equality(read.resource)
    if isinstance(selector, Refusal):
        return selector
    if read.inference is not None and read.inference.template is not None:
        return _for_template(read, selector, catalog, settings)
    return _for_preset(read, selector, catalog, settings)


def _invalid(problem: Problem) -> Refusal:
    message = one_line(problem.message, PROBLEM_LENGTH)
    return Refusal(reason=conditions.INVALID_SPEC, message=message)


def equality(resource: Resource) -> dict[str, str] | Refusal:
    """The labels that the selector asks for; a Refusal when no node can have them all."""
    wanted = dict(resource.label_selector.match_labels)
    for expression in resource.label_selector.match_expressions:
        (value,) = expression.values
        if wanted.setdefault(expression.key, value) != value:
            return Refusal(
                reason=conditions.INVALID_SPEC,
                message=f"resource.labelSelector asks for two values of {expression.key}, "
                f"{wanted[expression.key]} and {value}: keep one.",
            )
    for key, value in {**NODE_IS, labels.INSTANCE_TYPE: resource.instance_type}.items():
        if resource.instance_type and wanted.get(key, value).lower() != value.lower():
            return Refusal(
                reason=conditions.INVALID_SPEC,
                message=f"resource.labelSelector asks for nodes with {key}={wanted[key]}, but "
                f"nodes for this Workspace have {key}={value}: leave that label out.",
            )
    return {k: v for k, v in sorted(wanted.items()) if k not in labels.RESERVED}


def _unsupported(workspace: Workspace) -> Refusal | None:
    """What the API has and this release does not do yet. Better said than half done."""
    if workspace.tuning is not None:
        return Refusal(
            reason=conditions.TUNING_NOT_SUPPORTED,
            message="tuning arrives in a later release; nothing has been provisioned.",
        )
    later = next(_later(workspace), "")
    return Refusal(reason=conditions.NOT_SUPPORTED, message=later) if later else None


def _odd_family(workspace: Workspace) -> Refusal | None:
    family = workspace.metadata.annotations.get(labels.NODE_IMAGE_FAMILY, "")
    if not family or family.lower() in IMAGE_FAMILIES:
        return None
    return Refusal(
        reason=conditions.INVALID_SPEC,
        message=f"Annotation {labels.NODE_IMAGE_FAMILY} is {shown(family)}: write "
        f"{' or '.join(IMAGE_FAMILIES)}, or remove it.",
    )


def _later(workspace: Workspace) -> Iterator[str]:
    inference = workspace.inference
    assert inference is not None  # a rule says so
    if inference.adapters:
        yield (
            "inference.adapters: adapters arrive in a later release; remove them to serve the "
            "model alone."
        )
    if workspace.resource.partition is not None:
        yield (
            "resource.partition: parts of GPUs arrive in a later release; create the Workspace "
            "without it to use whole nodes."
        )
    runtime = workspace.metadata.annotations.get(labels.RUNTIME, OWN_RUNTIME)
    if runtime != OWN_RUNTIME:
        yield (
            f"Annotation {labels.RUNTIME} is {shown(runtime)}: this release runs {OWN_RUNTIME} "
            "only; remove the annotation."
        )
    if inference.preset is not None and inference.preset.access_mode == "private":
        yield (
            "inference.preset.accessMode is private: images of private models are not run; use "
            "presetOptions.modelAccessSecret, or inference.template."
        )


def _for_template(
    workspace: Workspace, selector: Mapping[str, str], catalog: Catalog, settings: Settings
) -> Plan | Refusal:
    assert workspace.inference is not None
    assert workspace.inference.template is not None
    wrong = unusable(workspace.inference.template)
    if wrong:
        return Refusal(reason=conditions.INVALID_SPEC, message=wrong)
    asked = workspace.resource.instance_type
    sku = catalog.find_sku(asked, cloud=settings.cloud)
    unlisted = settings.cloud == "azure" and asked.lower().startswith(UNLISTED_SIZES)
    if asked and sku is None and not unlisted:
        return _unknown_size(asked, catalog, settings)
    return Plan(
        workspace=workspace,
        selector=selector,
        instance_type=sku.name if sku else asked,
        nodes=workspace.resource.count,
        sku=sku,
    )


def _for_preset(
    workspace: Workspace,
    selector: Mapping[str, str],
    catalog: Catalog,
    settings: Settings,
) -> Plan | Refusal:
    model = _model(workspace, catalog)
    if isinstance(model, Refusal):
        return model
    asked = workspace.resource.instance_type
    sku = catalog.find_sku(asked, cloud=settings.cloud) if asked else None
    if asked and sku is None:
        return _unknown_size(asked, catalog, settings)
    if sku is not None and sku.gpus.vendor != "nvidia":
        return Refusal(
            reason=conditions.UNKNOWN_INSTANCE_TYPE,
            message=f"resource.instanceType is {sku.name}, which has {sku.gpus.product}: presets "
            f"run on NVIDIA GPUs{_sizes(model, catalog, settings)}.",
        )
    base = Plan(
        workspace=workspace,
        selector=selector,
        instance_type=sku.name if sku else "",
        nodes=1,
        sku=sku,
        model=model,
    )
    return on_gpus(base, sku.gpus, catalog=catalog, settings=settings) if sku else base


def on_gpus(base: Plan, gpus: Gpus, *, catalog: Catalog, settings: Settings) -> Plan | Refusal:
    """The plan with its model split over nodes with these GPUs; a Refusal when it does not fit."""
    model, workspace = base.model, base.workspace
    assert model is not None
    where = f"on {base.instance_type}" if base.instance_type else "on the nodes selected"
    answer = estimate(model, gpus)
    unchecked = labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations
    if unchecked and (isinstance(answer, Misfit) or answer.nodes > 1):
        answer = Estimate(
            nodes=1,
            gpus_per_node=gpus.count,
            data_parallel=1,
            tensor_parallel=gpus.count,
            pipeline_parallel=1,
            max_context=None,
        )
    if isinstance(answer, Misfit):
        return Refusal(
            reason=conditions.MODEL_DOES_NOT_FIT,
            message=f"inference.preset.name {_asked(workspace)} does not fit {where}: "
            f"{answer.message}{_sizes(model, catalog, settings)}.",
        )
    if answer.nodes > 1:
        return Refusal(
            reason=conditions.MODEL_DOES_NOT_FIT,
            message=f"inference.preset.name {_asked(workspace)} needs {answer.nodes} nodes {where} "
            f"({gpus} each), and this release serves a model from one node"
            f"{_sizes(model, catalog, settings)}.",
        )
    return replace(base, nodes=answer.nodes, gpus=gpus, estimate=answer)


def _model(workspace: Workspace, catalog: Catalog) -> Model | Refusal:
    name = _asked(workspace)
    model = catalog.find_model(name)
    if model is None:
        return Refusal(
            reason=conditions.UNKNOWN_PRESET,
            message=f"inference.preset.name is {shown(name)}, which is no model that KAITO knows"
            f"{_instead(catalog.models_like(name), catalog.models)}.",
        )
    preset = workspace.inference.preset if workspace.inference else None
    options = preset.preset_options if preset else None
    if model.gated and not (options and options.model_access_secret):
        return Refusal(
            reason=conditions.INVALID_SPEC,
            message="inference.preset.presetOptions.modelAccessSecret is not set, and "
            f"{model.name} is gated: create a Secret with a Hugging Face token under the key "
            "HF_TOKEN in this namespace and name it there.",
        )
    return model


def _asked(workspace: Workspace) -> str:
    assert workspace.inference is not None
    assert workspace.inference.preset is not None
    return workspace.inference.preset.name


def _unknown_size(asked: str, catalog: Catalog, settings: Settings) -> Refusal:
    sizes = [sku.name for sku in catalog.skus.values() if sku.cloud == settings.cloud]
    return Refusal(
        reason=conditions.UNKNOWN_INSTANCE_TYPE,
        message=f"resource.instanceType is {asked}, which is no GPU size of {settings.cloud} that "
        f"KAITO knows{_instead(catalog.skus_like(asked, cloud=settings.cloud), sizes)}. "
        "It cannot be changed: delete the Workspace and create it again.",
    )


def _sizes(model: Model, catalog: Catalog, settings: Settings) -> str:
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
