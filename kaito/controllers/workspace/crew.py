"""Who does the work: the nodes of a Workspace, what asks for them, and what is to be asked besides.

Orders that exist are kept, whoever made them and in whichever way; then nodes that users bring are
counted; only what is still missing is asked for, in the way that is chosen. So a node that comes
back never costs a second one, another way takes no node from anybody, and a Workspace takes nodes
of nobody else: an order must carry its labels, and a node too, or those of nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from kaito.api import labels, nodepool
from kaito.catalog.sku import Gpus, gpus_of_node
from kaito.controllers.kinds import Node
from kaito.controllers.workspace.ask import Ask, Way
from kaito.controllers.workspace.attempt import Choice, notes
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.order import NODE_POOL, Order
from kaito.controllers.workspace.plan import Plan

NAME_DIGITS = 9  # a pool name holds 12 characters, "ws" among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What serves a Workspace now, and what is missing."""

    kept: tuple[Ask, ...] = ()
    """What asks for nodes and counts, none of it being deleted."""
    leaving: tuple[Order, ...] = ()
    """Orders being deleted."""
    surplus: tuple[Order, ...] = ()
    """Those that are too many."""
    missing: tuple[Ask, ...] = ()
    """What to ask for now."""
    blocked: tuple[Ask, ...] = ()
    """What to ask for as soon as those in deletion have gone."""
    brought: tuple[Node, ...] = ()
    """Nodes that the user brings and that count."""
    unsure: tuple[str, ...] = ()
    """Names of those that are not known yet to be counted for this Workspace alone."""
    nodes: tuple[Node, ...] = ()
    """Nodes that were made and are there."""
    lacking: int = 0
    """Nodes that the user has yet to bring."""


def muster(plan: Plan, observation: Observation, way: Way, choice: Choice | None = None) -> Crew:
    """Who does the work of this plan."""
    subject = Subject(observation.workspace)
    choice = choice or Choice()
    own = [order for order in observation.orders if not order.pool]
    leaving = tuple(order for order in own if order.deleting)
    present = [order for order in own if not order.deleting]
    if choice.lost is not None:
        return _resting(choice, observation, present, leaving)
    kept = _keep(plan, present, way)
    held = sum(ask.nodes for ask in kept)
    brought = _brought(plan, observation, plan.nodes - held)
    short = plan.nodes - held - len(brought)
    names = _names(subject.uid, choice.attempt, in_use={order.name for order in present})
    noted = notes(choice)
    asked = (
        [replace(ask, notes=noted) for ask in way.more(kept, short, names)]
        if plan.brings_up_nodes
        else []
    )
    # A pool that is there is asked for more nodes, and not for a second pool.
    grown = {ask.name: ask for ask in asked if ask.order is not None}
    kept = tuple(
        replace(ask, nodes=grown[ask.name].nodes) if ask.name in grown else ask for ask in kept
    )
    going = {order.name for order in leaving}
    new = [ask for ask in asked if ask.order is None]
    got = sum(ask.nodes for ask in (*kept, *new))
    return Crew(
        kept=kept,
        leaving=leaving,
        surplus=tuple(o for o in present if o.name not in {ask.name for ask in kept}),
        missing=tuple(ask for ask in new if ask.name not in going),
        blocked=tuple(ask for ask in new if ask.name in going),
        brought=brought,
        unsure=_unsure(brought, observation),
        nodes=_nodes_of([ask.order for ask in kept if ask.order], observation),
        lacking=plan.nodes - got - len(brought),
    )


def order_name(uid: str, index: int, attempt: int = 0) -> str:
    """The name of what asks for a Workspace's node: from nothing but its uid, an index and which
    attempt it is, so that a decision made twice asks for the same node twice."""
    place = f"{uid}/{index}/{attempt}" if attempt else f"{uid}/{index}"
    return "ws" + hashlib.sha256(place.encode()).hexdigest()[:NAME_DIGITS]


def made_nodes(observation: Observation) -> list[Node]:
    """Nodes that were made for this Workspace and are there."""
    present = [order for order in observation.orders if not (order.pool or order.deleting)]
    return [*_nodes_of(present, observation)]


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


def _names(uid: str, attempt: int, in_use: set[str]) -> Iterator[str]:
    """Names that no order has, those of orders that are being deleted among them."""
    names = (order_name(uid, index, attempt) for index in count())
    return (name for name in names if name not in in_use)


def _resting(
    choice: Choice,
    observation: Observation,
    present: Sequence[Order],
    leaving: tuple[Order, ...],
) -> Crew:
    """Nothing is asked for: what cannot be had stays and tells so, the rest goes."""
    lost = choice.lost or {}
    kept = tuple(
        Ask(
            kind=order.kind,
            name=order.name,
            nodes=0 if order.kind == nodepool.KIND else 1,
            order=order,
        )
        for order in present
        if order.name in lost
    )
    return Crew(
        kept=kept,
        leaving=leaving,
        surplus=tuple(order for order in present if order.name not in lost),
        nodes=_nodes_of([ask.order for ask in kept if ask.order], observation),
    )


def _keep(plan: Plan, orders: Sequence[Order], way: Way) -> tuple[Ask, ...]:
    """The orders that count, as far as there are places: those of single nodes before
    pools, ready ones before others."""
    ranked = sorted(
        (order for order in orders if _asks_for(order, plan.instance_type)),
        key=lambda o: (o.kind == nodepool.KIND, not o.ready, o.kind != way.kind, o.name),
    )
    kept: list[Ask] = []
    places = plan.nodes
    for order in ranked:
        nodes = min(order.nodes, places)
        if nodes > 0:
            kept.append(Ask(kind=order.kind, name=order.name, nodes=nodes, order=order))
            places -= nodes
    return tuple(sorted(kept, key=lambda ask: ask.name))


def _asks_for(order: Order, instance_type: str) -> bool:
    return instance_type != "" and instance_type.lower() in {v.lower() for v in order.sizes}


def _brought(plan: Plan, observation: Observation, places: int) -> tuple[Node, ...]:
    chosen = candidates(plan, observation)[: max(0, places)]
    return tuple(sorted(chosen, key=lambda node: node.name))


def _unsure(brought: Sequence[Node], observation: Observation) -> tuple[str, ...]:
    """Those of the nodes that another Workspace may be about to use.

    A cache may lag, but what it shows is in order: who sees its own claim there sees every claim
    that was made before.
    """
    claimed = Subject(observation.workspace).status.get("workerNodes") or ()
    return tuple(
        node.name
        for node in brought
        if node.name not in claimed or node.name in observation.contested
    )


def _nodes_of(orders: Sequence[Order], observation: Observation) -> tuple[Node, ...]:
    by_name = {node.name: node for node in observation.nodes}
    by_provider = {n.spec.provider_id: n for n in observation.nodes if n.spec.provider_id}
    own = Subject(observation.workspace).identity.items()
    found: dict[str, Node] = {}
    for order in orders:
        if order.kind == nodepool.KIND:
            # A label that anybody may carry names no pool of ours without our own labels.
            of_pool = (n for n in observation.nodes if n.labels.get(NODE_POOL) == order.name)
            found |= {node.name: node for node in of_pool if own <= node.labels.items()}
            continue
        one = by_name.get(order.status.node_name) or by_provider.get(order.status.provider_id)
        if one is not None:
            found[one.name] = one
    return tuple(found.values())


def _carries(node: Node, wanted: Mapping[str, str]) -> bool:
    return all(node.labels.get(key) == value for key, value in wanted.items())
