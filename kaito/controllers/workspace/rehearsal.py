"""What would come of a Workspace if all went well: every decision, played to its end.

The controller's own decide is asked again and again over a world in which what asks for nodes
gets them at once and each rollout succeeds. So what is told before money is spent, and what is done
afterwards, cannot differ. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kaito.api import labels, machine, nodeclaim, nodepool
from kaito.catalog.catalog import Catalog
from kaito.controllers.kinds import NODES, Node
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.decision import Decision, Event, Finalizer
from kaito.controllers.workspace.kinds import (
    CHILDREN,
    CLAIMS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
    SERVICES,
    STATEFUL_SETS,
)
from kaito.controllers.workspace.observation import Observation, Obstacle, Subject, taken
from kaito.controllers.workspace.order import NODE_POOL, ORDERS, Order
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object

TURNS = 10  # more than any Workspace takes; a decision that never settles ends here

_GOOD = (*machine.LIVING, *nodeclaim.LIVING, machine.READY)
_COMPLETE = {"type": "Complete", "status": "True", "reason": "Rehearsed"}
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How it would go."""

    first: Decision
    """What would be done at once."""
    last: Decision
    """What is left to do when all has happened: a status."""
    objects: tuple[Object, ...]
    """Every object that would be applied, as it would be at the end, in the order of the first
    time."""
    events: tuple[Event, ...]
    """Every event, in order."""
    gap: str
    """What users miss meanwhile, as a sentence; "" when they miss nothing."""
    settled: bool
    """Whether it comes to an end; what is told of one that does not is only its beginning."""


def rehearse(observation: Observation, catalog: Catalog, settings: Settings) -> Rehearsal:
    """Play a Workspace to its end, from what is seen of it."""
    observation = replace(observation, obstacles=tuple(_foreign(observation)))
    decisions: list[Decision] = []
    objects: dict[tuple[str, Key], Object] = {}
    settled = False
    while not settled and len(decisions) < TURNS:
        decision = _possible(decide(observation, catalog, settings), observation)
        decisions.append(decision)
        objects |= {(each["kind"], Key.of(each)): each for each in decision.objects}
        following = _later(observation, decision, catalog, settings)
        settled = following == observation
        observation = following
    return Rehearsal(
        first=decisions[0],
        last=decisions[-1],
        objects=tuple(objects.values()),
        events=tuple(event for each in decisions for event in each.events),
        gap=next((each.gap for each in decisions if each.gap), ""),
        settled=settled,
    )


def _foreign(observation: Observation) -> Iterator[Obstacle]:
    """The objects of others that have the names of ours."""
    subject = Subject(observation.workspace)
    for child in observation.children:
        if not subject.owns(child.object):
            yield taken(child.resource.kind, child.metadata["name"])


def _possible(decision: Decision, observation: Observation) -> Decision:
    """A decision without what stands in its own way, as the writer would find out."""
    if observation.obstacles and decision.trial:
        return replace(decision, objects=(), trial=())
    blocked = {each.kind for each in observation.obstacles}
    left = tuple(each for each in decision.objects if each["kind"] not in blocked)
    return replace(decision, objects=left)


def _later(
    observation: Observation, decision: Decision, catalog: Catalog, settings: Settings
) -> Observation:
    """The world when this decision has been written and everybody has done their part."""
    subject = Subject(observation.workspace)
    workspace = dict(observation.workspace)
    if decision.finalizer is Finalizer.ADD:
        held = [*subject.finalizers, labels.FINALIZER]
        workspace["metadata"] = {**subject.metadata, "finalizers": held}
    if decision.status is not None:
        workspace["status"] = decision.status
    gone = {each.uid for each in decision.deletions}
    gone |= {each.metadata.uid for each in observation.orders if each.deleting}
    closed = {each.name for each in observation.orders if each.metadata.uid in gone}
    gone |= {each.metadata.uid for each in observation.orders if each.pool in closed}
    lost = {name for o in observation.orders if o.metadata.uid in gone for name in _names(o)}
    stay = tuple(node for node in observation.nodes if node.name not in lost)
    asked = {each["metadata"]["name"]: each for each in decision.objects if each["kind"] in ORDERS}
    left = [order for order in _merged(observation.orders, asked) if order.metadata.uid not in gone]
    orders = tuple(_ready(order) for order in (*left, *_claims(left)))
    there = {node.name for node in stay}
    children = _children(observation, decision, gone)
    brought_up = (
        _node(order, name, catalog, settings)
        for order in orders
        for name in _names(order)
        if name not in there
    )
    return replace(
        observation,
        workspace=workspace,
        orders=orders,
        nodes=(*stay, *brought_up),
        deployment=children.get((DEPLOYMENTS.kind, subject.name)),
        stateful_set=children.get((STATEFUL_SETS.kind, subject.name)),
        job=children.get((JOBS.kind, subject.name)),
        checkpoints=children.get((CLAIMS.kind, subject.checkpoints.name)),
        service=children.get((SERVICES.kind, subject.name)),
        headless=children.get((SERVICES.kind, subject.headless.name)),
        disruption_budget=children.get((DISRUPTION_BUDGETS.kind, subject.name)),
        network_policy=children.get((NETWORK_POLICIES.kind, subject.name)),
    )


def _children(
    observation: Observation, decision: Decision, gone: set[str]
) -> dict[tuple[str, str], Object]:
    """The children that are there afterwards, by kind and name."""
    found = {
        (child.resource.kind, child.metadata["name"]): child.object
        for child in observation.children
        if child.object is not None and child.metadata.get("uid") not in gone
    }
    written = (_settled(each) for each in decision.objects if each["kind"] in CHILDREN)
    return found | {(each["kind"], each["metadata"]["name"]): each for each in written}


def _merged(orders: Iterable[Order], asked: dict[str, Object]) -> list[Order]:
    """What was there, and what is asked for now; of a pool the latest number of nodes counts."""
    found = {order.name: order for order in orders}
    for name, obj in asked.items():
        known = found.get(name)
        if known is None or known.kind == nodepool.KIND:
            uid = known.metadata.uid if known else name
            found[name] = Order.model_validate({**obj, "metadata": {**obj["metadata"], "uid": uid}})
    return [found[name] for name in sorted(found)]


def _claims(orders: list[Order]) -> Iterator[Order]:
    """What pools are made into, as far as it is not there yet."""
    for pool in orders:
        if pool.kind != nodepool.KIND or pool.spec.template is None:
            continue
        carried = {**pool.spec.template.metadata.labels, NODE_POOL: pool.name}
        for place in range(sum(each.pool == pool.name for each in orders), pool.nodes):
            name = f"{pool.name}-{place}"
            metadata: Object = {"name": name, "uid": name, "labels": carried}
            metadata["ownerReferences"] = [
                {
                    "apiVersion": pool.api_version,
                    "kind": pool.kind,
                    "name": pool.name,
                    "uid": pool.metadata.uid,
                }
            ]
            yield Order.model_validate(
                {
                    "apiVersion": pool.api_version,
                    "kind": nodeclaim.KIND,
                    "metadata": metadata,
                    "spec": pool.spec.template.spec.wire(),
                }
            )


def _ready(order: Order) -> Order:
    conditions = [{"type": type_, "status": "True", "reason": "Rehearsed"} for type_ in _GOOD]
    status = {
        "nodeName": order.status.node_name or f"node-of-{order.name}",
        "providerID": order.status.provider_id or f"rehearsed://{order.name}",
        "conditions": conditions,
    }
    return Order.model_validate({**order.wire(), "status": status})


def _names(order: Order) -> list[str]:
    """The nodes that an order brings; those of a pool its claims bring."""
    return [] if order.kind == nodepool.KIND else [order.status.node_name]


def _node(order: Order, name: str, catalog: Catalog, settings: Settings) -> Node:
    """A node that an order would bring, with what its requirements and labels say.

    What GPUs a size has that is in no catalogue nobody knows before the node is there.
    """
    asked = {each.key: each.values[0] for each in order.wish.requirements if each.values}
    sku = catalog.find_sku(asked.get(labels.INSTANCE_TYPE, ""), cloud=settings.cloud)
    return NODES.decode(
        NODES.encode(
            {
                "metadata": {"name": name, "labels": {**asked, **order.metadata.labels}},
                "spec": {"providerID": order.status.provider_id},
                "status": {
                    "allocatable": {labels.GPU_RESOURCE: str(sku.gpus.count)} if sku else {},
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
        )
    )


def _settled(obj: Object) -> Object:
    """An object when its controller has done what it asks for."""
    name = f"{obj['kind']}-{obj['metadata']['name']}"
    metadata = {**obj["metadata"], "uid": f"uid-of-{name}", "generation": 1}
    if obj["kind"] == JOBS.kind:
        return {**obj, "metadata": metadata, "status": {"conditions": [_COMPLETE]}}
    replicas = obj["spec"].get("replicas", 0)
    status = {"observedGeneration": 1, **dict.fromkeys(_COUNTS, replicas)}
    return {**obj, "metadata": metadata, "status": status}
