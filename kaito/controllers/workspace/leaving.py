"""How a Workspace goes: what it was made into first, and itself once nothing costs money. Pure.

Nodes always go, and are waited for. So are its other children, for a Service may hold a load
balancer; they stay where whoever deletes the Workspace orphans them. What does not go is named
with what keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kaito.api import conditions, nodepool
from kaito.api.machine import FINALIZER, READY
from kaito.api.words import one_line
from kaito.controllers.workspace.decision import Decision, Deletion, Finalizer
from kaito.controllers.workspace.judgement import MESSAGE_LENGTH, Verdict
from kaito.controllers.workspace.observation import Child, Observation, Subject
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.status import events, state_after, status
from kaito.runtime import Key, Object, Resource

# The API server's own: how kubectl delete --cascade=orphan and =foreground are carried out.
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
# Where a claim tells how far its end has come; the first that says something.
PROGRESS = ("Drained", "InstanceTerminating", READY)


def leave(observation: Observation) -> Decision:
    """What is to be done about a Workspace that is being deleted."""
    subject = Subject(observation.workspace)
    if not subject.held:
        return Decision()
    orphaned = ORPHAN in subject.finalizers
    own = [] if orphaned else [c for c in observation.children if subject.owns(c.object)]
    if not observation.orders and not own:
        return Decision(finalizer=Finalizer.REMOVE)
    deletions = [] if orphaned else belongings(observation, ())
    deletions += order_deletions(observation.orders)
    told = ", ".join([*map(_of_order, observation.orders), *_of_children(own)])
    waits = Verdict(
        truth="True",
        reason=conditions.DELETED,
        message=one_line(f"Waiting until nothing is left that costs money: {told}", MESSAGE_LENGTH),
    )
    gone = Verdict(
        truth="False", reason=conditions.DELETED, message="The Workspace is being deleted."
    )
    said = status(
        observation,
        {
            conditions.RESOURCE_READY: gone,
            subject.work: gone,
            conditions.WORKSPACE_READY: gone,
            conditions.WORKSPACE_SUCCEEDED: gone,
            conditions.WORKSPACE_DELETING: waits,
        },
        state=state_after(subject.status.get("state", ""), gone),
    )
    if not subject.owns(observation.service):
        said.pop("endpoint", None)
    return Decision(deletions=tuple(deletions), status=said, events=events(observation, said))


def belongings(observation: Observation, kept: Iterable[Object]) -> list[Deletion]:
    """The deletions of all that is its own and not among what is kept, nodes apart."""
    subject = Subject(observation.workspace)
    stays = {(each["kind"], each["metadata"]["name"]) for each in kept}
    return [
        Deletion(
            resource=child.resource,
            key=Key(subject.namespace, child.metadata["name"]),
            uid=child.metadata["uid"],
        )
        for child in observation.children
        if (child.resource.kind, child.metadata["name"]) not in stays
        and subject.owns(child.object)
        and not child.metadata.get("deletionTimestamp")
    ]


def order_deletions(orders: Iterable[Order]) -> list[Deletion]:
    """The deletions of all that asks for nodes."""
    orders = [*orders]
    # Claims that a pool was made into go with it.
    pools = {order.name for order in orders if order.kind == nodepool.KIND}
    going = (order for order in orders if not order.deleting and order.pool not in pools)
    return [order_deletion(order) for order in going]


def order_deletion(order: Order) -> Deletion:
    """The deletion of this very order."""
    untyped: Resource[Object] = ORDERS[order.kind].read_as(dict)
    return Deletion(resource=untyped, key=Key("", order.name), uid=order.metadata.uid)


def _of_order(order: Order) -> str:
    name = f"{order.kind} {order.name}"
    if not order.deleting:
        return name
    held = _held([each for each in order.metadata.finalizers if each != FINALIZER])
    found = (order.condition(type_) for type_ in PROGRESS)
    said = next((c.message.rstrip(".") for c in found if c is not None and c.message), "")
    return f"{name}{held}{f' ({said})' if said else ''}"


def _of_children(own: Sequence[Child]) -> Iterator[str]:
    for child in own:
        keeping = [each for each in child.metadata.get("finalizers") or () if each != FOREGROUND]
        yield f"{child.resource.kind} {child.metadata['name']}{_held(keeping)}"


def _held(finalizers: Sequence[str]) -> str:
    return f", kept by the finalizer {finalizers[0]}" if finalizers else ""
