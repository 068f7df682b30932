"""What a Workspace would take and cost, before any money is spent: one answer with everything.

All of it follows from the controller's own decisions (see rehearsal.py) and from the catalogue.
Pure; `kaito plan` gathers what it is asked about and prints the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kaito.api import conditions
from kaito.api.rules import Problem
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Estimate
from kaito.catalog.offer import Offer
from kaito.catalog.sku import Price
from kaito.catalog.throughput import Speed
from kaito.catalog.timing import Known, Phase, time_to_ready, time_to_train
from kaito.catalog.tuning import Tuning, TuningOffer
from kaito.controllers.workspace.alternatives import sized, sizes_of
from kaito.controllers.workspace.asked import Asked, asked
from kaito.controllers.workspace.crew import made_nodes, muster
from kaito.controllers.workspace.decide import plan_of
from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.needs import Needed, needed
from kaito.controllers.workspace.objections import advice
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.plan import Plan, later, plan
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import Unread
from kaito.controllers.workspace.unknown import unknown_fields
from kaito.controllers.workspace.ways import way_of
from kaito.controllers.workspace.weights import weights
from kaito.runtime import Object, find_condition

HOURS_A_MONTH = 730  # 365 * 24 / 12, as clouds count
OF_CONFIG = (conditions.CONFIG_NOT_FOUND, conditions.INVALID_CONFIG)
TOKEN = "presetOptions.modelAccessSecret"  # noqa: S105 - a field, no secret
TOKEN_TO_COME = "name-of-your-secret"  # noqa: S105 - what stands for the name that is missing
MEASURED_ON = "azure"
# What a cloud and its network take, whatever the model.
OF_CLOUD = ("node", "device", "image", "download")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the cloud lists for the nodes that are brought up."""

    nodes: int
    new: int
    """Those of them that are not there yet."""
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
class Otherwise:
    """Nodes of another size, asked for when those before it cannot be had."""

    size: str
    nodes: int
    each: Price | None
    """None where the price is not known."""


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
    """None where there are problems other than a missing token."""
    estimate: Estimate | None = None
    """How the model lies on its GPUs; also of one that is refused, where that can be told."""
    tuned: Tuning | None = None
    """What training takes of its GPUs, likewise; None for a model that is served."""
    speed: Speed | None = None
    """How fast it trains there."""
    hindrance: str | None = None
    """Why the engine will not start although all is applied, or the training, a sentence without
    its full stop."""
    cost: Cost | None = None
    """None where no nodes are brought up, or their price is not known."""
    otherwise: tuple[Otherwise, ...] = ()
    """The other sizes that the Workspace names, in the order in which they are tried."""
    phases: tuple[Phase, ...] = ()
    """What is left until it answers, or until its training begins; empty for templates, of which
    nothing is known, and where the engine does not start."""
    objects: tuple[Object, ...] = ()
    """What would be applied; where only a token is missing, what would be with it."""
    status: Object | None = None
    """What the Workspace would say at the end; None where there are problems."""
    waits: str = ""
    """What it will wait for although all goes well, a sentence; "" when it will be ready."""
    gap: str = ""
    """What users of what runs now miss while it is rolled out, a sentence; "" for nothing."""
    now: Object | None = None
    """The condition that says how it is now; None where it does not say."""
    sizes: tuple[Offer | TuningOffer, ...] = ()
    """Sizes that run the model, or train it, the cheapest first, where the one asked for does
    not."""
    models: tuple[Offer, ...] = ()
    """Models that run on the size asked for, the largest first, where the one asked for does
    not."""

    @property
    def possible(self) -> bool:
        """Whether it would be done."""
        return not self.problems

    @property
    def foreseen(self) -> bool:
        """Whether it would be done and what it takes can be told: of a size that is in no
        catalogue nobody knows the GPUs nor the price, though it may be asked for."""
        asked = self.asked
        unlisted = asked and asked.sku is None and asked.workspace.resource.instance_type
        return self.possible and not unlisted

    @property
    def runs(self) -> bool | None:
        """Whether the engine would start, or the training; None where that cannot be told."""
        if self.problems or self.hindrance is not None:
            return False
        if self.tuned is not None:
            return None if self.tuned.footprint is None else True
        return None if self.estimate is None or self.estimate.memory is None else True

    @property
    def made(self) -> int:
        """How many nodes are brought up for it, those that are there among them."""
        return sum(each.nodes for each in _asking(self.objects))

    @property
    def needs(self) -> tuple[Needed, ...]:
        """Secrets that its Pods read and claims that they mount."""
        found = needed(self.objects)
        return tuple(each for each in found if each.object.name != TOKEN_TO_COME)


def quote(
    observation: Observation, old: Object | None, *, catalog: Catalog, settings: Settings
) -> Quote:
    """What comes of a Workspace as it is seen; `old` is what the cluster has of it now."""
    workspace, config = observation.workspace, observation.config
    judged = judge(workspace, old, catalog=catalog, settings=settings, config=config)
    planned = plan_of(observation, catalog, settings)
    what = asked(observation, catalog, settings)
    to_come = [*later(what.workspace)] if what else []
    problems = tuple(_problems(to_come, judged.problems, planned, observation.unread))
    warnings = judged.warnings
    if what is not None:
        # The rules are silent about what has not changed; who asks is told.
        said = advice(what.workspace, catalog=catalog, settings=settings, config=config)
        warnings = (*(each.message for each in said), *what.warnings())
    base = Quote(
        problems=problems,
        warnings=tuple(dict.fromkeys((*unknown_fields(workspace), *warnings))),
        asked=what,
        estimate=what.estimate if what else None,
        tuned=what.tuned if what else None,
        speed=what.speed if what else None,
        now=find_condition(
            Subject(workspace).status.get("conditions", ()), conditions.WORKSPACE_READY
        ),
        sizes=what.sizes() if what else (),
        models=what.models() if what else (),
    )
    if problems and all(each.path.endswith(TOKEN) for each in problems):
        observation = _with_token(observation)
        planned = plan_of(observation, catalog, settings)
    elif problems:
        # Another size would change nothing about these.
        config_is_wrong = isinstance(planned, Refusal) and planned.reason in OF_CONFIG
        return replace(base, sizes=(), models=()) if to_come or config_is_wrong else base
    if isinstance(planned, Refusal):
        return base
    return _carried_out(base, planned, observation, catalog, settings)


def _carried_out(
    base: Quote, planned: Plan, observation: Observation, catalog: Catalog, settings: Settings
) -> Quote:
    """The same with what would be done."""
    rehearsal = rehearse(observation, catalog, settings)
    made = sum(order.nodes for order in _asking(rehearsal.objects))
    there = {order.name: order.nodes for order in observation.orders}
    new = sum(o.nodes - there.get(o.name, 0) for o in _asking(rehearsal.objects))
    price = planned.sku.price if planned.sku else None
    what = base.asked
    hindrance = what.hindrance if what and planned.gpus is not None else None
    return replace(
        base,
        plan=planned,
        estimate=planned.estimate,
        hindrance=hindrance,
        cost=Cost(nodes=made, new=new, each=price) if made and price else None,
        otherwise=tuple(_otherwise(planned, observation, catalog, settings)) if made else (),
        phases=_phases(planned, observation, settings) if hindrance is None else (),
        objects=rehearsal.objects,
        status=None if base.problems else rehearsal.last.status,
        waits=_waits(planned, what, rehearsal.last),
        gap=rehearsal.gap,
        # A size that nobody knows yet may well do.
        sizes=base.sizes if planned.gpus is not None else (),
        models=() if base.possible else base.models,
    )


def _otherwise(
    planned: Plan, observation: Observation, catalog: Catalog, settings: Settings
) -> Iterator[Otherwise]:
    for size in sizes_of(observation.workspace):
        if size.lower() == planned.instance_type.lower():
            continue
        workspace = sized(observation.workspace, size)
        other = plan(workspace, catalog=catalog, settings=settings, config=observation.config)
        if isinstance(other, Plan):
            price = other.sku.price if other.sku else None
            yield Otherwise(size=other.instance_type, nodes=other.nodes, each=price)


def _asking(objects: Iterable[Object]) -> list[Order]:
    """Those of the objects that ask for nodes."""
    return [Order.model_validate(each) for each in objects if each["kind"] in ORDERS]


def _problems(
    to_come: Iterable[Refusal],
    judged: Iterable[Problem],
    planned: Plan | Refusal,
    unread: Unread | None,
) -> Iterator[Problem]:
    """What is wrong: first what no mending of the rest would change."""
    found = [*(Problem(path=each.path, message=each.message) for each in to_come), *judged]
    if isinstance(planned, Refusal) and not found:
        found = [Problem(path=planned.path, message=planned.message)]
    for each in found:
        unknown = unread is not None and each.path.endswith("preset.name")
        yield replace(each, message=unread.message) if unread and unknown else each


def _with_token(observation: Observation) -> Observation:
    """The same with the Secret that is missing named."""
    workspace = observation.workspace
    part = "tuning" if workspace.get("tuning") else "inference"
    preset = workspace[part]["preset"]
    options = {**(preset.get("presetOptions") or {}), "modelAccessSecret": TOKEN_TO_COME}
    named = {**workspace[part], "preset": {**preset, "presetOptions": options}}
    return replace(observation, workspace={**workspace, part: named})


def _waits(planned: Plan, what: Asked | None, last: Decision) -> str:
    if planned.model is not None and planned.gpus is None and planned.brings_up_nodes:
        return (
            f"What GPUs {planned.instance_type} has is not known before its first node is there: "
            "the model is split over them then."
        )
    if planned.model is not None and planned.gpus is None and what and what.own:
        return (
            f"Node {what.own.names[0]} says nothing of its GPUs: it needs NVIDIA's device plugin, "
            "and the labels nvidia.com/gpu.count and nvidia.com/gpu.memory of its GPU feature "
            "discovery."
        )
    ready = find_condition((last.status or {}).get("conditions", ()), conditions.WORKSPACE_READY)
    return "" if ready is None or ready["status"] == "True" else ready["message"]


def _phases(planned: Plan, observation: Observation, settings: Settings) -> tuple[Phase, ...]:
    if planned.model is None:
        return ()
    crew = muster(planned, observation, way_of(settings))
    there = [*made_nodes(observation), *crew.brought]
    there_already = weights(planned).origin == "host"
    if not planned.brings_up_nodes:
        known = Known(node="ready", weights=there_already)
    elif crew.missing or crew.blocked or len(there) < planned.nodes:
        known = Known(weights=there_already)
    elif all(node.ready and node.has_gpus for node in there):
        known = Known(node="ready", weights=there_already)
    else:
        known = Known(node="registered", weights=there_already)
    until = time_to_ready if planned.trial is None else time_to_train
    found = until(planned.model, known)
    return tuple(_elsewhere(phase, settings.cloud) for phase in found)


def _elsewhere(phase: Phase, cloud: str) -> Phase:
    """A phase as it is in another cloud than the one it was measured in."""
    if cloud == MEASURED_ON or phase.name not in OF_CLOUD:
        return phase
    if cloud == "arc" and phase.name == "node":
        source = "nobody measured it in data centres of one's own"
        return replace(phase, seconds=None, source=source)
    return replace(phase, source=f"assumed to be as on {MEASURED_ON.capitalize()}: {phase.source}")
