"""Why a Workspace that is being deleted is still there. Pure."""

from __future__ import annotations

from kaito.api import conditions, labels, machine, nodeclaim
from kaito.api.launch import Cause
from kaito.controllers.machine import conditions as steps
from kaito.controllers.workspace.leaving import FOREGROUND
from kaito.controllers.workspace.order import Order
from kaito.why.chain import Finding, Fix, Verdict
from kaito.why.daemons import MANAGER, Life, life
from kaito.why.facts import facts
from kaito.why.remedies import fix
from kaito.why.rows import NODES
from kaito.why.scene import Scene, moment, said

# Where a claim says what its end waits for.
ENDS = (steps.DRAINED, steps.INSTANCE_TERMINATING, machine.READY)
OURS = (labels.FINALIZER, FOREGROUND)


def leaving(scene: Scene) -> Finding | None:
    """What a deletion waits for; None when the Workspace is to stay."""
    subject = scene.subject
    if not subject.deleting:
        return None
    since = moment(subject.metadata.get("deletionTimestamp"))
    told = scene.said(conditions.WORKSPACE_DELETING)
    cause = told.message if told else "The Workspace is being deleted."
    foreign = [each for each in subject.finalizers if each not in OURS]
    if foreign and not subject.held:
        return Finding(
            verdict=Verdict.NEEDS_YOU,
            reason="KeptByFinalizer",
            cause=f"All that KAITO made is gone; the finalizer {foreign[0]} of somebody else keeps "
            "the Workspace.",
            since=since,
            fix=Fix(
                what="Find out whose finalizer that is; if nobody's any more, take it off.",
                commands=(f"kubectl -n {subject.namespace} edit workspace {subject.name}",),
            ),
        )
    if life(scene, MANAGER) in (Life.ENDED, Life.ABSENT) and told is None:
        return None  # nobody lets go of it
    for order in scene.orders:
        refused = _refused(order)
        if refused is None:
            continue
        row = NODES[refused]
        verdict = Verdict.RETRYING if Cause(refused).passing else Verdict.NEEDS_YOU
        return Finding(
            verdict=verdict,
            reason=refused,
            cause=cause,
            since=since,
            fix=fix(row._replace(verdict=verdict), facts(scene, order=order), cause, ours=True),
        )
    return Finding(verdict=Verdict.PROGRESSING, reason=conditions.DELETED, cause=cause, since=since)


def _refused(order: Order) -> str | None:
    """The verdict of the cloud that a claim in deletion tells."""
    for type_ in (*ENDS, machine.LAUNCHED, nodeclaim.LAUNCHED):
        found = order.condition(type_)
        if found is not None and said(found.model_dump(by_alias=True)).reason in set(Cause):
            return found.reason
    return None
