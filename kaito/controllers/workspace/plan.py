"""From what a user wrote to what it takes: model, GPUs, number of nodes, or why it cannot be.

A refusal is final until somebody changes the Workspace (or, for nodes that users bring, the
nodes). Pure; `kaito plan` and the webhook ask the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from kaito.api import conditions, tuning
from kaito.api.rules import Problem, explain
from kaito.api.words import one_line
from kaito.api.workspace import Workspace
from kaito.api.workspace_rules import problems
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Estimate
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku
from kaito.catalog.tuning import Tuning
from kaito.controllers.workspace.objections import objections
from kaito.controllers.workspace.parameters import (
    Config,
    config_hash,
    reads_config,
    results_of,
    told_to,
)
from kaito.controllers.workspace.presets import model_of
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.selector import equality
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.sizes import fit, size_of
from kaito.controllers.workspace.together import together_objections
from kaito.controllers.workspace.told import Told
from kaito.controllers.workspace.training import trial_of
from kaito.controllers.workspace.tuned import Trial, fit_tuning
from kaito.runtime import Object

# What becomes of a refused part that cannot be changed once it is stored.
AGAIN = " It cannot be changed: delete the Workspace and create it again."
PROBLEM_LENGTH = 500  # characters; a path in it may be as long as its author likes


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
    stranger: bool = False
    """Whether the model is none of the catalogue that comes with KAITO."""
    told: Told = field(default_factory=Told)
    """What its ConfigMap tells the engine."""
    settings_hash: str = ""
    """Tells the settings in its ConfigMap from others; "" where the engine reads none."""
    estimate: Estimate | None = None
    """How the model is split; None until the GPUs are known, for templates, and for tuning."""
    trial: Trial | None = None
    """How its model is trained; None for one that is served."""
    tuned: Tuning | None = None
    """What that takes of a node; None until the GPUs are known."""
    results: str = tuning.RESULTS
    """Where a training puts its results."""

    @property
    def brings_up_nodes(self) -> bool:
        """Whether nodes may be made for it."""
        return self.instance_type != ""

    @property
    def disk_gib(self) -> int:
        """OS disk that a new node needs, 0 for the cloud's default."""
        if self.tuned is not None:
            return self.tuned.disk_gib
        return self.model.disk if self.model else 0


def plan(
    workspace: Object, *, catalog: Catalog, settings: Settings, config: Config | None = None
) -> Plan | Refusal:
    """What a Workspace takes, or why it cannot be; `config` is the ConfigMap that it names.

    For a model on nodes whose GPUs nobody knows yet, the plan is without them: see `on_gpus`.
    """
    try:
        read = Workspace.as_written(workspace)
    except ValidationError as error:
        return _invalid(next(explain(error)))
    for problem in problems(workspace):
        return _invalid(problem)
    for refusal in later(read):
        return refusal
    for refusal in objections(read, catalog=catalog, settings=settings, config=config):
        again = AGAIN if refusal.path.startswith("resource.") else ""
        return replace(refusal, message=refusal.message + again)
    selector = equality(read.resource)
    model, sku = model_of(read, catalog), size_of(read, catalog, settings)
    asked = read.resource.instance_type
    base = Plan(
        workspace=read,
        selector=selector,
        instance_type=sku.name if sku else asked,
        # A preset's number of nodes follows from its size, where we can tell.
        nodes=read.resource.count if model is None or (asked and sku is None) else 1,
        sku=sku,
        model=model,
        stranger=model is not None and model.name.lower() in catalog.strangers,
        told=told_to(read, config),
        settings_hash=config_hash(config) if reads_config(read) else "",
        trial=trial_of(read, model, config, catalog, settings),
        results=results_of(config) if read.tuning else tuning.RESULTS,
    )
    if sku is None or model is None:
        return base
    return on_gpus(base, sku.gpus, catalog=catalog, settings=settings)


def on_gpus(base: Plan, gpus: Gpus, *, catalog: Catalog, settings: Settings) -> Plan | Refusal:
    """The plan with its model split over nodes with these GPUs, or trained on one such node; a
    Refusal when it does not fit."""
    assert base.model is not None
    if base.trial is not None:
        tuned = fit_tuning(base.workspace, base.trial, gpus)
        if isinstance(tuned, Refusal):
            return tuned
        return replace(base, nodes=1, gpus=gpus, tuned=tuned)
    split = fit(
        base.workspace,
        base.model,
        gpus,
        told=base.told,
        catalog=catalog,
        settings=settings,
    )
    if isinstance(split, Refusal):
        return split
    for refusal in together_objections(
        base.workspace,
        base.model,
        gpus,
        split,
        told=base.told,
        catalog=catalog,
        settings=settings,
    ):
        return refusal
    return replace(base, nodes=split.nodes, gpus=gpus, estimate=split)


def _invalid(problem: Problem) -> Refusal:
    message = one_line(problem.message, PROBLEM_LENGTH)
    return Refusal(path=problem.path, reason=conditions.INVALID_SPEC, message=message)


def later(workspace: Workspace) -> Iterator[Refusal]:
    """What the API has and this release does not do yet. Better said than half done."""
    if workspace.resource.partition is not None:
        yield Refusal(
            path="resource.partition",
            reason=conditions.NOT_SUPPORTED,
            message="resource.partition: parts of GPUs arrive in a later release; create the "
            "Workspace without it to use whole nodes.",
        )
