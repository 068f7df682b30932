"""What is wrong with a Workspace that only the catalogue and the settings can tell, and what its
author should know. Pure.

The rules of kaito.api tell the rest. Nothing here presumes that they hold: both are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaito.api import conditions, labels
from kaito.api.patterns import DECIMAL, matches
from kaito.api.words import shown
from kaito.api.workspace import Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.model import Model
from kaito.catalog.sku import Sku
from kaito.controllers.workspace.adapters import adapter_advice, adapter_objections
from kaito.controllers.workspace.alternatives import MOST, alternatives, with_size
from kaito.controllers.workspace.annotations import annotation_advice, annotation_objections
from kaito.controllers.workspace.parameters import (
    Config,
    Missing,
    inference_problems,
    inference_slips,
    reads_config,
    told_to,
    training_problems,
)
from kaito.controllers.workspace.presets import model_of, preset_advice, preset_objections
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.runtimes import OWN_RUNTIME, runtime_of
from kaito.controllers.workspace.selector import selector_advice, selector_objections
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.sizes import fit, size_advice, size_objections, size_of
from kaito.controllers.workspace.template import unusable
from kaito.controllers.workspace.together import together_objections
from kaito.controllers.workspace.told import Told
from kaito.controllers.workspace.training import trial_of
from kaito.controllers.workspace.tuned import fit_tuning, untuned

FULL_STRENGTH = 1.0


def objections(
    workspace: Workspace, *, catalog: Catalog, settings: Settings, config: Config | None = None
) -> Iterator[Refusal]:
    """Everything that is wrong with it, each with its path.

    `config` is the ConfigMap that it names, None when it was not looked at.
    """
    yield from annotation_objections(workspace.metadata.annotations, settings)
    yield from _strengths(workspace)
    yield from selector_objections(workspace.resource)
    template = workspace.inference.template if workspace.inference else None
    wrong_template = unusable(template) if template is not None else ""
    if wrong_template:
        yield Refusal(
            path="inference.template", reason=conditions.INVALID_SPEC, message=wrong_template
        )
    yield from preset_objections(workspace, catalog, settings)
    yield from adapter_objections(workspace)
    told = told_to(workspace, config)
    wrong_size = [*size_objections(workspace, catalog, settings, told)]
    yield from wrong_size
    model, sku = model_of(workspace, catalog), size_of(workspace, catalog, settings)
    if config is not None and reads_config(workspace):
        yield from _unusable_config(workspace, model, config)
    if model is not None:
        refused = [*untuned(workspace, model, catalog)]
        yield from refused
        if refused:
            return
    yield from _unusable_alternatives(workspace, catalog, settings, told, config)
    if model is None or sku is None or wrong_size:
        return
    yield from _unfit(workspace, model, sku, told, config, catalog, settings)


def advice(
    workspace: Workspace, *, catalog: Catalog, settings: Settings, config: Config | None = None
) -> Iterator[Advice]:
    """What the author should know though it stops nothing."""
    yield from annotation_advice(workspace.metadata.annotations)
    yield from selector_advice(workspace.resource)
    yield from preset_advice(workspace, catalog, settings)
    yield from adapter_advice(workspace)
    yield from _idle(workspace)
    read = config if workspace.inference is not None and reads_config(workspace) else None
    if read is not None and not isinstance(read, Missing):
        for slip in inference_slips(read):
            yield Advice(reason=conditions.FLAG_UNKNOWN, message=slip)
    yield from size_advice(workspace, catalog, settings, told_to(workspace, config))


def _unusable_alternatives(
    workspace: Workspace,
    catalog: Catalog,
    settings: Settings,
    told: Told,
    config: Config | None,
) -> Iterator[Refusal]:
    """Sizes to ask for instead that there are not, or that the model does not fit on."""
    named = [size for size in alternatives(workspace.metadata.annotations) if size][:MOST]
    if named and not workspace.resource.instance_type:
        yield _alternative(
            "lists sizes, and resource.instanceType is empty, so no nodes are brought up: remove "
            "the annotation, or create the Workspace with a size."
        )
        return
    known = {each.message for each in selector_objections(workspace.resource)}
    for size in named:
        if size.lower() == workspace.resource.instance_type.lower():
            continue
        other = with_size(workspace, size)
        wrong = [
            *(each for each in selector_objections(other.resource) if each.message not in known),
            *size_objections(other, catalog, settings, told),
        ]
        model, sku = model_of(other, catalog), size_of(other, catalog, settings)
        if not wrong and model is not None and sku is not None:
            found = _unfit(other, model, sku, told, config, catalog, settings)
            # What is wrong with the ConfigMap is told once.
            wrong = [each for each in found if each.path != "inference.config"]
        for each in wrong[:1]:
            said = each.message.removeprefix(f"resource.instanceType is {shown(size)}, ")
            joined = f", {said}" if said != each.message else f": {said}"
            yield _alternative(f"names {shown(size)}{joined}", reason=each.reason)


def _unfit(
    workspace: Workspace,
    model: Model,
    sku: Sku,
    told: Told,
    config: Config | None,
    catalog: Catalog,
    settings: Settings,
) -> Iterator[Refusal]:
    """Why a model cannot be served on nodes of a size, however many they are, or trained on one."""
    trial = trial_of(workspace, model, config, catalog, settings)
    if trial is not None:
        tuned = fit_tuning(workspace, trial, sku.gpus)
        if isinstance(tuned, Refusal):
            yield tuned
        return
    split = fit(workspace, model, sku.gpus, told=told, catalog=catalog, settings=settings)
    if isinstance(split, Refusal):
        yield split
    else:
        yield from together_objections(
            workspace, model, sku.gpus, split, told=told, catalog=catalog, settings=settings
        )


def _alternative(what: str, reason: str = conditions.INVALID_SPEC) -> Refusal:
    return Refusal(
        path=f"metadata.annotations[{labels.INSTANCE_TYPES}]",
        reason=reason,
        message=f"Annotation {labels.INSTANCE_TYPES} {what}",
    )


# What the author of a template says in it, and what vLLM alone understands.
OF_PRESETS = (labels.API_KEY_SECRET, labels.PERFORMANCE_MODE, labels.USE_LOCAL_WEIGHTS)
OF_VLLM = (labels.PERFORMANCE_MODE,)
OF_SERVING = (
    labels.ENABLE_LOAD_BALANCER,
    labels.RUNTIME,
    labels.PERFORMANCE_MODE,
    labels.API_KEY_SECRET,
    labels.NETWORK_POLICY,
    labels.PROGRESS_DEADLINE,
)
OF_TUNING = (labels.KEEP_NODES,)


def _idle(workspace: Workspace) -> Iterator[Advice]:
    """What is said to an engine that there is not, or that does not understand it; or to a trainer
    where a model is served, and the other way round."""
    inference, runtime = workspace.inference, runtime_of(workspace)
    idle, what = (OF_SERVING, "tuning") if inference is None else (OF_TUNING, "inference")
    for key in idle:
        if key in workspace.metadata.annotations:
            yield Advice(
                reason=conditions.ANNOTATION_WITHOUT_EFFECT,
                message=f"Annotation {key} has no effect with {what}.",
            )
    if inference is None:
        return
    templated = inference.template is not None
    if not templated and runtime == OWN_RUNTIME:
        return
    who = "inference.template" if templated else f"the runtime {runtime}"
    if inference.config:
        yield Advice(
            reason=conditions.CONFIG_WITHOUT_EFFECT,
            message=f"inference.config has no effect with {who}: it holds settings of "
            f"{OWN_RUNTIME}.",
        )
    for key in OF_PRESETS if templated else OF_VLLM:
        if key in workspace.metadata.annotations:
            yield Advice(
                reason=conditions.ANNOTATION_WITHOUT_EFFECT,
                message=f"Annotation {key} has no effect with {who}.",
            )


def _strengths(workspace: Workspace) -> Iterator[Refusal]:
    """Strengths that the engine asked for does not know; where none is, another is taken."""
    asked = workspace.metadata.annotations.get(labels.RUNTIME, "").lower()
    adapters = workspace.inference.adapters if workspace.inference else ()
    for place, adapter in enumerate(adapters if asked == OWN_RUNTIME else ()):
        if matches(DECIMAL, adapter.strength) and float(adapter.strength) != FULL_STRENGTH:
            path = f"inference.adapters[{place}].strength"
            yield Refusal(
                path=path,
                reason=conditions.INVALID_SPEC,
                message=f"{path} is {shown(adapter.strength)}, and {OWN_RUNTIME} (annotation "
                f"{labels.RUNTIME}) applies adapters at full strength: write 1.0, or remove the "
                "annotation.",
            )


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
