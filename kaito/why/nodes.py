"""What keeps the nodes of a Workspace: its claims, what the cloud said of them, the Nodes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kaito.api import conditions, machine, nodeclaim, nodepool
from kaito.api.launch import INSUFFICIENT_CAPACITY, STOPPED, Cause, needs_somebody
from kaito.controllers.machine import conditions as steps
from kaito.controllers.workspace.order import Order
from kaito.runtime import Object
from kaito.why.chain import Finding, Verdict
from kaito.why.facts import facts
from kaito.why.remedies import Facts, fix
from kaito.why.rows import (
    CLAIM_UNSEEN,
    KIND_MISSING,
    NODE_LOST,
    NODES,
    NODES_LACKING,
    WORKSPACE,
    Row,
)
from kaito.why.scene import Happening, Said, Scene, said, said_of

# What comes by itself does so within a minute or two; after this somebody should look.
PATIENCE = 300.0
# Reasons that are waited for like this. Of a launch and of a Node that has not joined the
# provisioner itself says when it has lasted too long.
WAITED_FOR: Mapping[str, float] = dict.fromkeys(
    (
        steps.NODE_NOT_READY,
        steps.STARTUP_TAINTS,
        steps.EPHEMERAL_TAINTS,
        steps.RESOURCE_MISSING,
        steps.PLUGIN_MISSING,
        steps.GPUS_UNHEALTHY,
    ),
    PATIENCE,
)
TYPES = (*machine.LIVING, *nodeclaim.LIVING)


def of_nodes(scene: Scene, meant: Said) -> Finding:
    """Why its nodes are not there, as ResourceReady says."""
    waiting = [each for each in claims(scene) if not each.ready and not each.deleting]
    if waiting:
        # The one that the condition speaks of, if any.
        first = next((each for each in waiting if each.name in meant.message), waiting[0])
        return _of_claim(scene, first, meant)
    lost = next((each for each in scene.nodes if unfit(each)), None)
    if lost is not None:
        return _of_node(scene, lost, meant)
    lacking = scene.said(conditions.NODES_READY)
    if not scene.orders and not asks_by(scene) and lacking is not None and lacking.status != "True":
        return _finding(scene, NODES_LACKING, meant, reason=conditions.NODE_NOT_READY)
    # What asks for the nodes may not be read, or has yet to be made.
    row = CLAIM_UNSEEN if scene.failed else WORKSPACE.get(meant.reason, Row(Verdict.RETRYING))
    return _finding(scene, row, meant)


def claims(scene: Scene) -> tuple[Order, ...]:
    """What stands for one node each."""
    return tuple(each for each in scene.orders if each.kind != nodepool.KIND)


def step_of(order: Order) -> Said | None:
    """The first step of a claim that is not done; None when all are, or nobody took it up."""
    for type_ in TYPES:
        found = order.condition(type_)
        if found is not None and found.status != "True":
            return said(found.model_dump(by_alias=True))
    return None


def refusals(scene: Scene, order: Order) -> tuple[Happening, ...]:
    """What the cloud refused of a claim, in Events, the latest first."""
    about = {"metadata": {"uid": order.metadata.uid}}
    known = {*(cause.value for cause in Cause), STOPPED, INSUFFICIENT_CAPACITY}
    return tuple(each for each in scene.warnings(about) if each.reason in known)


def unfit(node: Object) -> Said | None:
    """What a Node says that is not ready; None of one that is."""
    ready = said_of(node, "Ready")
    if ready is None:
        return Said(type="Ready", status="", reason="", message="", since=None, generation=None)
    return None if ready.status == "True" else ready


def asks_by(scene: Scene) -> str:
    """The kind that its conditions speak of, "" where nothing is asked for."""
    if scene.said(conditions.MACHINE_READY):
        return machine.KIND
    if scene.said(conditions.NODE_CLAIM_READY):
        pools = any(each.kind == nodepool.KIND for each in scene.orders)
        return nodepool.KIND if pools else nodeclaim.KIND
    return ""


def _of_claim(scene: Scene, order: Order, meant: Said) -> Finding:
    step = step_of(order)
    if step is None:
        return _finding(scene, Row(Verdict.PROGRESSING), meant, order=order)
    before = next(iter(refusals(scene, order)), None)
    if step.reason == steps.LAUNCHING and before is not None:
        # It is being tried once more: why it had to be is only in the Event.
        again = replace(step, reason=before.reason, message=before.message, status="Unknown")
        told = Said(
            type=meant.type,
            status=meant.status,
            reason=before.reason,
            message=f"{order.kind} {order.name}: {before.message}",
            since=before.first,
            generation=None,
        )
        return _finding(scene, _row(scene, order, again), told, order=order, reason=before.reason)
    row = _row(scene, order, step)
    return _finding(scene, row, meant, order=order, reason=step.reason, since=step.since)


def _row(scene: Scene, order: Order, step: Said) -> Row:
    """What is known of a reason, and how serious it is by now."""
    row = NODES.get(step.reason, Row(Verdict.RETRYING))
    if step.status == "False" and step.type in (machine.LAUNCHED, nodeclaim.LAUNCHED):
        found = order.condition(step.type)
        final = found is not None and needs_somebody(found)
        hopeless = row.verdict is Verdict.HOPELESS
        verdict = Verdict.RETRYING
        if final:
            verdict = Verdict.HOPELESS if hopeless else Verdict.NEEDS_YOU
        return row._replace(verdict=verdict)
    if step.status == "Unknown" and row.verdict is Verdict.NEEDS_YOU:
        return row._replace(verdict=Verdict.RETRYING)
    patience = WAITED_FOR.get(step.reason)
    if patience is not None and step.since is not None and scene.now - step.since > patience:
        return row._replace(verdict=Verdict.NEEDS_YOU)
    return row


def _of_node(scene: Scene, node: Object, meant: Said) -> Finding:
    """A Node whose claim is fulfilled, or that its user brought, and that is not ready now."""
    name, ready = node["metadata"]["name"], unfit(node)
    order = next((each for each in scene.orders if each.status.node_name == name), None)
    since = ready.since if ready else None
    row = NODE_LOST
    if since is not None and scene.now - since > PATIENCE:
        row = row._replace(verdict=Verdict.NEEDS_YOU)
    reason = (ready.reason if ready else "") or conditions.NODE_NOT_READY
    return _finding(scene, row, meant, order=order, node=name, reason=reason, since=since)


def _finding(
    scene: Scene,
    row: Row,
    meant: Said,
    *,
    reason: str = "",
    order: Order | None = None,
    node: str = "",
    since: float | None = None,
) -> Finding:
    known = facts(scene, order=order, node=node, about=meant.message)
    return Finding(
        verdict=row.verdict,
        reason=reason or meant.reason,
        cause=meant.message,
        since=since or meant.since,
        fix=fix(row, known, meant.message, ours=True),
    )


def uninstalled(kind: str, meant: Said) -> Finding:
    """That the API server does not know what nodes are asked for by."""
    return Finding(
        verdict=Verdict.NEEDS_YOU,
        reason=conditions.KIND_NOT_SERVED,
        cause=f"Nodes are asked for by {kind}s, and the API server has no such kind: its "
        "definition is not installed any more.",
        since=meant.since,
        fix=fix(KIND_MISSING, Facts(), ""),
    )
