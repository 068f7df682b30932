"""One place in a crew: an object that asks for nodes, as it is to be. Values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kaito.api import labels
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.plan import Plan
from kaito.runtime import Object

GPU_TAINT = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}
# Labels that only the cloud can give a node: a selector on them is a wish about the node itself.
ASKED_OF_CLOUD = (labels.ZONE, labels.CAPACITY_TYPE)
# Annotations of a Workspace that say what its nodes are to be made of.
PASSED_ON = (
    labels.NODE_IMAGE_FAMILY,
    labels.SPOT_MAX_PRICE,
    labels.GPU_DRIVER,
    labels.OS_DISK_TYPE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An object that asks for nodes, there already or to be made."""

    kind: str
    name: str
    nodes: int = 1
    order: Order | None = None
    """What is there of it."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Annotations that keep where the attempts stand."""


class Way(Protocol):
    """How nodes are asked for."""

    @property
    def kind(self) -> str:
        """The kind of the objects that ask; "" where nothing does."""

    def more(self, kept: Sequence[Ask], short: int, names: Iterator[str]) -> tuple[Ask, ...]:
        """What is to be asked besides, or instead of what is kept, for so many nodes more."""

    def written(self, plan: Plan, subject: Subject, ask: Ask) -> Object:
        """The object."""


def one_each(kind: str, short: int, names: Iterator[str]) -> tuple[Ask, ...]:
    """An object for each node."""
    return tuple(Ask(kind=kind, name=next(names)) for _ in range(short))


def annotated(plan: Plan, subject: Subject, ask: Ask) -> dict[str, str]:
    """What every object that asks for nodes is annotated with."""
    said = plan.workspace.metadata.annotations
    passed_on = {key: said[key].lower() for key in PASSED_ON if said.get(key)}
    return {labels.WORKSPACE_UID: subject.uid, **ask.notes, **passed_on}


def takes_gpus(plan: Plan) -> bool:
    """Whether its nodes have GPUs: all sizes that we know have, and Azure's N series."""
    return plan.sku is not None or plan.instance_type.lower().startswith("standard_n")


def asks_for_spot(plan: Plan) -> bool:
    """Whether its nodes may be taken away again for somebody who pays more."""
    priced = bool(plan.workspace.metadata.annotations.get(labels.SPOT_MAX_PRICE))
    return priced or plan.selector.get(labels.CAPACITY_TYPE) == "spot"


def of_cloud(plan: Plan) -> dict[str, str]:
    """What its selector asks of the cloud."""
    return {key: plan.selector[key] for key in ASKED_OF_CLOUD if key in plan.selector}


def storage(plan: Plan, order: Order | None) -> str:
    """The OS disk; a disk cannot grow, and a new estimate must not replace a node that runs."""
    made_with = order.spec.resources.requests if order and order.spec.resources else {}
    return str(made_with.get("storage") or (f"{plan.disk_gib}Gi" if plan.disk_gib else "0"))


def listed(requirements: Mapping[str, str]) -> list[Object]:
    """Requirements as karpenter writes them."""
    return [
        {"key": key, "operator": "In", "values": [value]} for key, value in requirements.items()
    ]
