"""The nodes of a Workspace at one moment: who asks for them, what they come to, what is to be done
about them. Pure. Serving and training ask the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaito.api import conditions
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace import judgement
from kaito.controllers.workspace.attempt import Choice, choose, told, until
from kaito.controllers.workspace.crew import Crew, muster
from kaito.controllers.workspace.decision import Deletion, Event
from kaito.controllers.workspace.judgement import Verdict
from kaito.controllers.workspace.leaving import order_deletion
from kaito.controllers.workspace.objections import advice
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.orders import changes, wanted
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.sizes import gpus_advice
from kaito.controllers.workspace.ways import way_of
from kaito.runtime import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Nodes, and what asks for them."""

    planned: Plan
    observation: Observation
    settings: Settings
    choice: Choice
    crew: Crew
    ordered: tuple[str, Verdict] | None
    """The condition of what asks for nodes; None where nothing does and nothing need."""
    nodes: Verdict
    resource: Verdict
    """Both together: may the workload start?"""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What the conditions about nodes are to say."""
        found = {conditions.NODES_READY: self.nodes, conditions.RESOURCE_READY: self.resource}
        return found | (dict([self.ordered]) if self.ordered else {})

    @property
    def objects(self) -> list[Object]:
        """Everything that asks for nodes, as it is to be."""
        return wanted(
            self.planned,
            self.crew,
            self.observation,
            self.settings,
            self.choice,
            whole=self.resource.good,
        )

    @property
    def deletions(self) -> tuple[Deletion, ...]:
        """Orders to delete; none while what replaces them cannot be written, for they tell what was
        tried before."""
        if self.observation.obstacles and self.crew.missing:
            return ()
        return tuple(order_deletion(order) for order in self.crew.surplus)

    @property
    def look_again(self) -> float | None:
        """Seconds until another size has to be asked for; None where that follows from changes."""
        return until(self.choice, self.observation)

    @property
    def worker_nodes(self) -> list[str]:
        """Ready nodes made for it, and nodes brought for it, ready or not: that is its claim."""
        made = [node.name for node in self.crew.nodes if node.ready]
        return sorted({*made, *(node.name for node in self.crew.brought)})

    def events(self, catalog: Catalog) -> Iterator[Event]:
        """What is told of them besides the conditions."""
        yield from changes(self.choice, self.observation)
        yield from self._replaced()
        yield from self._warnings(catalog)

    def _replaced(self) -> Iterator[Event]:
        for order in self.crew.surplus:
            node = order.status.node_name
            yield Event(
                type="Warning",
                reason=conditions.NODES_REPLACED,
                message=f"{order.kind} {order.name} is not needed any more and is deleted"
                f"{f' with node {node}' if node else ''}.",
            )

    def _warnings(self, catalog: Catalog) -> Iterator[Event]:
        """What the author should know though it stops nothing; told once: when nodes are asked for,
        and when it starts on nodes that its user brings."""
        planned, crew, observation = self.planned, self.crew, self.observation
        asks = crew.missing and not crew.kept
        starts = self.resource.good and observation.workload is None
        own = crew.brought[0] if starts and crew.brought and not crew.kept else None
        if observation.obstacles or not (asks or own):
            return
        said = [
            *advice(
                planned.workspace,
                catalog=catalog,
                settings=self.settings,
                config=observation.config,
            )
        ]
        served = planned.model is not None and planned.workspace.tuning is None
        if own and planned.sku is None and served and planned.gpus is not None:
            assert planned.model is not None
            said += gpus_advice(
                planned.workspace,
                planned.model,
                planned.gpus,
                f"Node {own.name}",
                catalog,
                self.settings,
                planned.told,
            )
        for each in said:
            yield Event(type="Warning", reason=each.reason, message=each.message)


def supply(observation: Observation, planned: Plan, settings: Settings) -> Supply:
    """The nodes of this plan."""
    choice = choose(observation)
    crew = muster(planned, observation, way_of(settings), choice)
    ordered = judgement.orders(planned, crew, observation, choice)
    nodes = judgement.with_leaving(judgement.nodes(planned, crew), crew)
    resource = judgement.resources(ordered[1] if ordered else None, nodes, told(choice))
    return Supply(
        planned=planned,
        observation=observation,
        settings=settings,
        choice=choice,
        crew=crew,
        ordered=ordered,
        nodes=nodes,
        resource=resource,
    )


def soonest(*seconds: float | None) -> float | None:
    """The first of these times that is known, None where none is."""
    known = [each for each in seconds if each is not None]
    return max(0.0, min(known)) if known else None
