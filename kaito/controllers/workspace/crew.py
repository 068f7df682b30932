"""Who does the work: the nodes and Machines of a Workspace, and which Machines are missing.

Machines that exist are kept, whoever made them; then nodes that users bring are counted; only
what is still missing is asked for. So a node that comes back never costs a second one, and a
Workspace takes nodes of nobody else: a Machine must carry its labels, and a node too, or those of
nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from kaito.api import labels
from kaito.api.machine import READY, Machine
from kaito.api.meta import is_true
from kaito.catalog.sku import Gpus, gpus_of_node
from kaito.controllers.kinds import Node
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.plan import Plan

NAME_DIGITS = 9  # a pool name holds 12 characters, "ws" among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What serves a Workspace now, and what is missing."""

    machines: tuple[Machine, ...] = ()
    """Those that count, none of them being deleted."""
    leaving: tuple[Machine, ...] = ()
    """Those being deleted."""
    surplus: tuple[Machine, ...] = ()
    """Those that are too many."""
    missing: tuple[str, ...] = ()
    """Names of Machines to ask for now."""
    blocked: tuple[str, ...] = ()
    """Names of Machines to ask for as soon as those in deletion have gone."""
    brought: tuple[Node, ...] = ()
    """Nodes that the user brings and that count."""
    nodes: Mapping[str, Node]
    """The node of each Machine that has one, by the Machine's name."""
    lacking: int = 0
    """Nodes that the user has yet to bring."""


def muster(plan: Plan, observation: Observation) -> Crew:
    """Who does the work of this plan."""
    subject = Subject(observation.workspace)
    leaving = tuple(m for m in observation.machines if m.metadata.deleting)
    present = [m for m in observation.machines if not m.metadata.deleting]
    kept, surplus = _keep(plan, present)
    brought = _brought(plan, observation, plan.nodes - len(kept))
    short = plan.nodes - len(kept) - len(brought)
    wanted = short if plan.brings_up_nodes else 0
    in_use = {m.metadata.name for m in (*kept, *surplus)}
    going = {m.metadata.name for m in leaving}
    free = (machine_name(subject.uid, i) for i in count())
    names = tuple(islice((n for n in free if n not in in_use), wanted))
    return Crew(
        machines=tuple(kept),
        leaving=leaving,
        surplus=tuple(surplus),
        missing=tuple(n for n in names if n not in going),
        blocked=tuple(n for n in names if n in going),
        brought=brought,
        nodes=_nodes_of(kept, observation.nodes),
        lacking=short - wanted,
    )


def machine_name(uid: str, index: int) -> str:
    """The name of a Workspace's Machine: from nothing but its uid and an index, so that a decision
    made twice asks for the same node twice."""
    return "ws" + hashlib.sha256(f"{uid}/{index}".encode()).hexdigest()[:NAME_DIGITS]


def made_nodes(observation: Observation) -> list[Node]:
    """Nodes that were made for this Workspace and are there."""
    present = [m for m in observation.machines if not m.metadata.deleting]
    return list(_nodes_of(present, observation.nodes).values())


def gpus_of(node: Node) -> Gpus | None:
    """The GPUs of a node: what its labels tell, else how many its device plugin reports; None
    while neither says anything."""
    told = gpus_of_node(node.labels)
    count = node.status.allocatable.get(labels.GPU_RESOURCE, "0")
    if told is not None or not count.isdecimal() or int(count) == 0:
        return told
    return Gpus(
        product=node.labels.get(labels.GPU_PRODUCT, "NVIDIA GPU"), count=int(count), memory_gib=0
    )


def candidates(plan: Plan, observation: Observation) -> list[Node]:
    """Nodes that the user brings and this Workspace may count, the best first.

    One that it counts already stays a candidate when it is not ready, so that a node that falters
    is not replaced by one that costs money.
    """
    ours = set(Subject(observation.workspace).status.get("workerNodes") or ())
    preferred = plan.workspace.resource.preferred_nodes
    fitting = [
        node
        for node in observation.nodes
        if not labels.RESERVED & node.labels.keys()
        and node.name not in observation.taken
        and _carries(node, plan.selector)
        and (not plan.instance_type or node.instance_type.lower() == plan.instance_type.lower())
        and not node.deleting
        and (node.name in ours or (node.ready and not node.spec.unschedulable))
    ]
    return sorted(
        fitting,
        key=lambda n: (not n.has_gpus, n.name not in ours, n.name not in preferred, n.name),
    )


def _keep(plan: Plan, machines: Sequence[Machine]) -> tuple[list[Machine], list[Machine]]:
    """The Machines that count, ready ones first where there is a choice, and the others."""
    ranked = sorted(
        (m for m in machines if _asks_for(m, plan.instance_type)),
        key=lambda m: (not is_true(m.status.conditions, READY), m.metadata.name),
    )
    kept = sorted(ranked[: plan.nodes], key=lambda m: m.metadata.name)
    return kept, [m for m in machines if m not in kept]


def _asks_for(machine: Machine, instance_type: str) -> bool:
    return instance_type != "" and any(
        r.key == labels.INSTANCE_TYPE and instance_type.lower() in {v.lower() for v in r.values}
        for r in machine.spec.requirements
    )


def _brought(plan: Plan, observation: Observation, places: int) -> tuple[Node, ...]:
    chosen = candidates(plan, observation)[: max(0, places)]
    return tuple(sorted(chosen, key=lambda node: node.name))


def _nodes_of(machines: Sequence[Machine], nodes: Sequence[Node]) -> dict[str, Node]:
    by_name = {node.name: node for node in nodes}
    by_provider = {node.spec.provider_id: node for node in nodes if node.spec.provider_id}
    found = {
        m.metadata.name: by_name.get(m.status.node_name) or by_provider.get(m.status.provider_id)
        for m in machines
    }
    return {name: node for name, node in found.items() if node is not None}


def _carries(node: Node, wanted: Mapping[str, str]) -> bool:
    return all(node.labels.get(key) == value for key, value in wanted.items())
