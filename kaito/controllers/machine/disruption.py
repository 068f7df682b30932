"""Whether a claim that serves well, or no longer, is to end by our own hand. Pure.

Both reasons are options. Of all claims only a few may be out of service at once for us to take
away another one: a fault of the network or the control plane looks like many broken nodes.
"""

from __future__ import annotations

from collections.abc import Iterable

from kaito.controllers.kinds import Node
from kaito.controllers.machine.decision import (
    Count,
    Decision,
    DeleteClaim,
    Fleet,
    Observation,
    PatchClaim,
    Policy,
    Tell,
)
from kaito.provisioner.claim import TERMINATION, Claim, duration
from kaito.provisioner.ownership import ours
from kaito.runtime import Object, parse_rfc3339, rfc3339


def fleet(claims: Iterable[Claim], nodes: Iterable[Node]) -> Fleet:
    """How the claims are doing that are ours to serve and have a Node."""
    launched = [claim for claim in claims if ours(claim) and claim.status.provider_id]
    ready = {node.spec.provider_id: node.ready for node in nodes}
    return Fleet(
        claims=len(launched),
        # A Node that is still starting is not a broken one.
        unhealthy=sum(
            claim.is_true(claim.dialect.initialized)
            and not ready.get(claim.status.provider_id, True)
            for claim in launched
        ),
        leaving=sum(claim.metadata.deleting for claim in launched),
    )


def expiry(claim: Claim, policy: Policy) -> float | None:
    """When the claim ends by itself, in seconds since the epoch; None when it does not."""
    lifetime = duration(claim.spec.expire_after) if policy.expire else None
    return None if lifetime is None else claim.born + lifetime


def beyond_repair(claim: Claim, node: Node, policy: Policy) -> float | None:
    """When the Node is given up, in seconds since the epoch; None while it is healthy.

    One that has never worked is not given up: its successor would work no better, for ever.
    """
    ready = node.condition("Ready")
    worked = claim.is_true(claim.dialect.initialized)
    if not policy.repair or not worked or ready is None or ready.status == "True":
        return None
    try:
        return parse_rfc3339(ready.last_transition_time or "") + policy.unhealthy_patience
    except ValueError:
        return None


def expire(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """The end of a claim whose time is up, when others are not ending at the same time."""
    if seen.fleet is None:
        return Decision(ask=Count())
    if seen.fleet.leaving >= seen.fleet.most:
        return Decision(again=policy.longest_pause)
    said = f"The {claim.kind} has reached its expireAfter of {claim.spec.expire_after}."
    return Decision(writes=(DeleteClaim(claim.metadata.uid), Tell("Normal", "Expired", said)))


def replace_node(claim: Claim, node: Node, seen: Observation, policy: Policy) -> Decision:
    """The end of a claim whose Node does not recover, when it is not one of many."""
    fleet = seen.fleet
    if fleet is None:
        return Decision(ask=Count())
    if fleet.unhealthy > fleet.most or fleet.leaving >= fleet.most:
        said = (
            f"Node {node.name} is not repaired: {fleet.unhealthy} of {fleet.claims} nodes are "
            f"unhealthy and {fleet.leaving} are being removed, and no more than {fleet.most} may "
            "be out of service at once. Look for a common cause, or delete what is broken."
        )
        return Decision(
            writes=(Tell("Warning", "NodeRepairBlocked", said),), again=policy.longest_pause
        )
    ready = node.condition("Ready")
    words = f": {ready.message}" if ready and ready.message else ""
    at_once = {TERMINATION: rfc3339(seen.now)}
    patch: Object = {"metadata": {"uid": claim.metadata.uid, "annotations": at_once}}
    said = f"Node {node.name} has not been ready for too long{words}; its {claim.kind} is deleted."
    return Decision(
        writes=(
            DeleteClaim(claim.metadata.uid),
            # Its Pods cannot be asked to leave: nobody there would hear it. Not before the
            # deletion: whoever deletes it later, should we die in between, wants them to.
            PatchClaim(patch),
            Tell("Warning", "NodeRepaired", said),
        )
    )
