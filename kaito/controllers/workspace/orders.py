"""The objects that ask for a crew's nodes, and what is told when their size changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kaito.api import conditions, labels, nodepool
from kaito.controllers.workspace.ask import Ask
from kaito.controllers.workspace.attempt import Choice
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.decision import Event
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.ways import writer_of
from kaito.runtime import Object, rfc3339

# Annotations that an order keeps as long as it is there.
LASTING = (labels.ATTEMPT, labels.FAILED_SIZES, labels.SIZE_SETTLED, labels.GIVEN_UP)


def wanted(
    plan: Plan,
    crew: Crew,
    observation: Observation,
    settings: Settings,
    choice: Choice,
    *,
    whole: bool,
) -> list[Object]:
    """Everything that asks for nodes, as it is to be; `whole`: all nodes are there and ready."""
    subject = Subject(observation.workspace)
    settled = whole and len(choice.sizes) > 1
    asks = (
        *(replace(ask, notes=_notes(ask, choice, settled, observation.now)) for ask in crew.kept),
        *crew.missing,
    )
    return [writer_of(ask.kind, settings).written(plan, subject, ask) for ask in asks]


def changes(choice: Choice, observation: Observation) -> Iterator[Event]:
    """What is told when nodes of another size are asked for."""
    if choice.left is None or observation.obstacles:
        return
    left = choice.left
    yield Event(
        type="Warning",
        reason=conditions.INSTANCE_TYPE_CHANGED,
        message=f"{left.size} cannot be had: {left.sentence} Nodes of {choice.size} are asked for "
        "instead.",
    )


def _notes(ask: Ask, choice: Choice, settled: bool, now: float) -> dict[str, str]:
    there = ask.order.metadata.annotations if ask.order else {}
    found = {key: there[key] for key in LASTING if key in there}
    if settled:
        found.setdefault(labels.SIZE_SETTLED, "true")
    if choice.lost is not None and ask.kind == nodepool.KIND:
        # Its claims tell why, and go; when and why is then known of it alone.
        found.setdefault(labels.GIVEN_UP, f"{rfc3339(now)} {choice.lost[ask.name]}")
    return found
