"""What a Workspace would take and cost, before any money is spent: one answer with everything.

All of it follows from the controller's own decisions (see rehearsal.py) and from the catalogue.
Pure; `kaito plan` gathers what it is asked about and prints the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from pydantic import ValidationError

from kaito.api import conditions
from kaito.api.rules import Problem
from kaito.api.workspace import Workspace
from kaito.catalog.capability import ENGINES, EngineNeeds
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import DEFAULT_CONTEXT, Estimate, estimate
from kaito.catalog.model import Model
from kaito.catalog.offer import Offer, alone, sizes_of
from kaito.catalog.sku import Price, Sku
from kaito.catalog.timing import Known, Phase, time_to_ready
from kaito.controllers.kinds import MACHINES
from kaito.controllers.workspace.crew import made_nodes, muster
from kaito.controllers.workspace.decide import plan_of
from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.parameters import context_asked
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.presets import preset_of
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object, find_condition

HOURS_A_MONTH = 730  # 365 * 24 / 12, as clouds count
NEAREST = 5  # sizes that are named instead
WITHOUT_NEW_NODES = ("arc",)  # sizes of one's own data centre, whose nodes are there
SMALLER = 3  # models that are named instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the cloud lists for the nodes that are brought up."""

    nodes: int
    each: Price

    @property
    def hour(self) -> float:
        """US dollars an hour."""
        return self.nodes * self.each.usd_per_hour

    @property
    def month(self) -> float:
        """US dollars a month of 730 hours."""
        return self.hour * HOURS_A_MONTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The model and the size that are asked for, and what would do instead."""

    workspace: Workspace
    model: Model | None
    """None for templates and names that are not known."""
    sku: Sku | None
    """None for nodes that are there and sizes that are not known."""
    context: int | None
    catalog: Catalog
    cloud: str

    @property
    def estimate(self) -> Estimate | None:
        """How the model lies on that size, where that can be told."""
        if self.model is None or self.sku is None or not self.sku.gpus.memory_gib:
            return None
        found = estimate(self.model, self.sku.gpus, context=self._context)
        return found if isinstance(found, Estimate) else None

    def sizes(self) -> tuple[Offer, ...]:
        """Sizes that run the model on one node, the cheapest first, when the one asked for does
        not."""
        if self.model is None or self._runs or not self.workspace.resource.instance_type:
            return ()
        found = sizes_of(
            self.model,
            self.catalog,
            cloud=self.cloud,
            engine=self._engine,
            context=self._context,
        )
        return tuple(islice(found, NEAREST))

    def models(self) -> tuple[Offer, ...]:
        """Models that run on one node of the size, the largest first, when the one asked for does
        not."""
        if self.sku is None or self._runs or preset_of(self.workspace) is None:
            return ()
        known = {model.name: model for model in self.catalog.models.values()}.values()
        usable = [model for model in known if model.weights_gib and model.access == "open"]
        largest = sorted(usable, key=lambda model: (-(model.weights_gib or 0), model.name))
        found = (self._alone(model, self.sku) for model in largest)
        return tuple(islice(filter(None, found), SMALLER))

    @property
    def _runs(self) -> bool:
        """Whether nothing is to be said against the model on that size."""
        return bool(self.model and self.sku and self._alone(self.model, self.sku))

    def _alone(self, model: Model, sku: Sku) -> Offer | None:
        return alone(model, sku, engine=self._engine, context=self._context)

    @property
    def _engine(self) -> EngineNeeds:
        return ENGINES[runtime_of(self.workspace)]

    @property
    def _context(self) -> int:
        return self.context or DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The answer."""

    problems: tuple[Problem, ...] = ()
    """What keeps it from being done; when there are none it is done as `plan` says."""
    warnings: tuple[str, ...] = ()
    """What its author should know, a sentence each."""
    asked: Asked | None = None
    """None where it is not understood."""
    plan: Plan | None = None
    """None where there are problems."""
    estimate: Estimate | None = None
    """How the model lies on its GPUs; also of one that is refused, where that can be told."""
    cost: Cost | None = None
    """None where no nodes are brought up, or their price is not known."""
    phases: tuple[Phase, ...] = ()
    """What is left until it answers; empty for templates, of which nothing is known."""
    objects: tuple[Object, ...] = ()
    """What would be applied."""
    waits: str = ""
    """What it will wait for although all goes well, a sentence; "" when it will be ready."""
    sizes: tuple[Offer, ...] = ()
    """Sizes that run the model, the cheapest first, where the one asked for does not."""
    models: tuple[Offer, ...] = ()
    """Models that run on the size asked for, the largest first, where the one asked for does
    not."""

    @property
    def possible(self) -> bool:
        """Whether it would be done."""
        return not self.problems


def quote(
    observation: Observation, old: Object | None, *, catalog: Catalog, settings: Settings
) -> Quote:
    """What comes of a Workspace as it is seen; `old` is what the cluster has of it now."""
    workspace, config = observation.workspace, observation.config
    judged = judge(workspace, old, catalog=catalog, settings=settings, config=config)
    planned = plan_of(observation, catalog, settings)
    problems = judged.problems
    if isinstance(planned, Refusal) and not problems:
        problems = (Problem(path=planned.path, message=planned.message),)
    asked = _asked(workspace, context_asked(config), catalog, settings)
    if isinstance(planned, Refusal) or problems:
        return Quote(
            problems=problems,
            warnings=judged.warnings,
            asked=asked,
            estimate=asked.estimate if asked else None,
            sizes=asked.sizes() if asked else (),
            models=asked.models() if asked else (),
        )
    rehearsal = rehearse(observation, catalog, settings)
    made = sum(each["kind"] == MACHINES.kind for each in rehearsal.objects)
    price = planned.sku.price if planned.sku else None
    return Quote(
        warnings=judged.warnings,
        asked=asked,
        plan=planned,
        estimate=planned.estimate,
        cost=Cost(nodes=made, each=price) if made and price else None,
        phases=_phases(planned, observation, settings),
        objects=rehearsal.objects,
        waits=_waits(planned, rehearsal.last),
        sizes=asked.sizes() if asked else (),
    )


def _waits(planned: Plan, last: Decision) -> str:
    if planned.model is not None and planned.gpus is None and planned.brings_up_nodes:
        return (
            f"What GPUs {planned.instance_type} has is not known before its first node is there: "
            "the model is split over them then."
        )
    ready = find_condition((last.status or {}).get("conditions", ()), conditions.WORKSPACE_READY)
    return "" if ready is None or ready["status"] == "True" else ready["message"]


def _asked(
    workspace: Object, context: int | None, catalog: Catalog, settings: Settings
) -> Asked | None:
    try:
        read = Workspace.model_validate(workspace)
    except ValidationError:
        return None
    preset = preset_of(read)
    return Asked(
        workspace=read,
        model=catalog.find_model(preset.name) if preset else None,
        sku=catalog.find_sku(read.resource.instance_type, cloud=settings.cloud),
        context=context,
        catalog=catalog,
        cloud=settings.cloud,
    )


def _phases(planned: Plan, observation: Observation, settings: Settings) -> tuple[Phase, ...]:
    if planned.model is None:
        return ()
    crew = muster(planned, observation)
    there = [*made_nodes(observation), *crew.brought]
    if not planned.brings_up_nodes or settings.cloud in WITHOUT_NEW_NODES:
        known = Known(node="ready")
    elif crew.missing or crew.blocked or len(there) < planned.nodes:
        known = Known()
    elif all(node.ready and node.has_gpus for node in there):
        known = Known(node="ready")
    else:
        known = Known(node="registered")
    return time_to_ready(planned.model, known)
