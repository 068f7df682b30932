"""A claim's way to readiness as conditions, each kind's in its own words.

A condition that is not True names the step that is missing, says why and what to do. A Machine's
Ready repeats the first of them; a NodeClaim's follows karpenter's arithmetic and lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from kaito.api.launch import Cause
from kaito.controllers.kinds import Node
from kaito.controllers.machine import launch
from kaito.controllers.machine.decision import Policy, SetStatus, Tell, Write
from kaito.provisioner.claim import NODECLAIM, Claim
from kaito.runtime import Object, Truth, find_condition, parse_rfc3339, set_condition

READY = "Ready"
DRAINED = "Drained"
INSTANCE_TERMINATING = "InstanceTerminating"

# Reasons of conditions that are not True; karpenter's where it has one. What stands in the way of a
# launch is a Cause of kaito.api.launch.
LAUNCHING = "Launching"
NODE_NOT_FOUND = "NodeNotFound"
MULTIPLE_NODES = "MultipleNodesFound"
WRONG_TYPE = "WrongInstanceType"
NODE_NOT_READY = "NodeNotReady"
STARTUP_TAINTS = "StartupTaintsExist"
EPHEMERAL_TAINTS = "KnownEphemeralTaintsExist"
RESOURCE_MISSING = "ResourceNotRegistered"
PLUGIN_MISSING = "DevicePluginMissing"
GPUS_UNHEALTHY = "GPUsUnhealthy"
TERMINATING = "Terminating"
DRAINING = "Draining"
DRAIN_ABANDONED = "TerminationGracePeriodElapsed"
# Of a NodeClaim's Ready.
UNHEALTHY = "UnhealthyDependents"
RECONCILING = "ReconcilingDependents"


@dataclass(frozen=True, slots=True)
class Step:
    """How far one step is."""

    truth: Truth
    reason: str = ""
    message: str = ""
    passing: bool = False
    """Whether what is missing comes by itself: a NodeClaim calls that Unknown, not False."""
    verdict: str = ""
    """The reason of the Event that tells of this step, "" when a condition is enough."""


DONE = Step("True")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a claim is."""

    launched: Step
    registered: Step
    initialized: Step
    terminating: Step | None = None
    """Given while the claim is being deleted; it takes the place of a Machine's Ready."""
    drained: Step | None = None
    """Given once the claim's Nodes are being emptied."""
    instance_terminating: bool = False
    """Whether the cloud has been told to remove the instance."""


def pending(reason: str, message: str) -> Step:
    """A step that waits for something that comes by itself."""
    return Step("False", reason, message, passing=True)


def refused(cause: Cause, message: str, *, passing: bool = False) -> Step:
    """A launch that the cloud did not let happen."""
    return Step("False", cause.value, message, passing=passing, verdict=cause.value)


def unlaunched(claim: Claim, launched: Step) -> Progress:
    """Nothing after the launch can begin before it is done."""
    said = f"The {claim.kind} has not been launched yet."
    waiting = pending(claim.dialect.not_launched, said)
    return Progress(launched=launched, registered=waiting, initialized=waiting)


def unregistered(claim: Claim, missing: Step) -> Progress:
    """Launched, and without its Node."""
    said = f"The {claim.kind}'s Node is not registered."
    waiting = pending(claim.dialect.not_registered, said)
    return Progress(launched=DONE, registered=missing, initialized=waiting)


def report(
    claim: Claim, progress: Progress, node: Node | None, now: float, policy: Policy
) -> list[Write]:
    """The claim's status, and an event for each step that has just been taken or has failed.

    Nothing when the status is so already. What the claim knew of its Node stays when the Node
    cannot be seen.
    """
    before = _wire(claim)
    known: list[Object] = before["conditions"]
    steps = _steps(claim, progress)
    conditions = known
    for type_, step in steps.items():
        conditions = _set(conditions, claim, type_, step, now)
    if claim.dialect is NODECLAIM:
        ready = _sum(claim, conditions)
        conditions = _in_order(_set(_observed(conditions, claim), claim, READY, ready, now))
        steps[READY] = ready
    after: Object = {**before, "conditions": conditions, **_about(claim, node, policy)}
    if after == before:
        return []
    return [SetStatus(after), *_news(claim, known, steps, node, now)]


def _wire(claim: Claim) -> Object:
    """The status as it was, without what nobody has set."""
    status: dict[str, Any] = msgspec.to_builtins(claim.status)
    kept = {name: value for name, value in status.items() if value}
    return {**kept, "conditions": list(claim.status.conditions)}


def _about(claim: Claim, node: Node | None, policy: Policy) -> Object:
    if node is None:
        return {}
    seen: Object = {
        "nodeName": node.name,
        "providerID": node.spec.provider_id,
        "capacity": node.status.capacity,
        "allocatable": node.status.allocatable,
    }
    if claim.dialect is NODECLAIM:
        seen["imageID"] = node.labels.get(policy.image_label, "")
    return {name: value for name, value in seen.items() if value}


def _steps(claim: Claim, progress: Progress) -> dict[str, Step]:
    dialect = claim.dialect
    steps = {
        dialect.launched: progress.launched,
        dialect.registered: progress.registered,
        dialect.initialized: progress.initialized,
    }
    if dialect is not NODECLAIM:
        first = next((step for step in steps.values() if step.truth != "True"), DONE)
        return {**steps, READY: progress.terminating or first}
    if progress.drained is not None:
        steps[DRAINED] = progress.drained
    end = progress.terminating
    if end is not None and progress.instance_terminating:
        steps[INSTANCE_TERMINATING] = replace(end, truth="True", reason=INSTANCE_TERMINATING)
    elif end is not None and end.verdict:
        # Karpenter has no condition for an end that cannot even begin.
        steps[INSTANCE_TERMINATING] = replace(end, truth="Unknown", reason=end.verdict)
    return steps


def _set(
    conditions: list[Object], claim: Claim, type_: str, step: Step, now: float
) -> list[Object]:
    return set_condition(
        conditions,
        type_,
        claim.dialect.pending if step.truth == "False" and step.passing else step.truth,
        step.reason or type_,
        launch.shortened(step.message),
        generation=claim.metadata.generation,
        now=now,
    )


def _sum(claim: Claim, conditions: Sequence[Object]) -> Step:
    """Karpenter's Ready: no better than the worst of the three, the newest named first."""
    dialect = claim.dialect
    living = (dialect.launched, dialect.registered, dialect.initialized)
    wrong = [c for c in conditions if c["type"] in living and c["status"] != "True"]
    if not wrong:
        return DONE
    newest = sorted(wrong, key=lambda c: parse_rfc3339(c["lastTransitionTime"]), reverse=True)
    said = ", ".join(f"{c['type']}={c['status']}" for c in newest)
    if any(c["status"] == "False" for c in wrong):
        return Step("False", UNHEALTHY, said)
    return Step("Unknown", RECONCILING, said)


def _observed(conditions: list[Object], claim: Claim) -> list[Object]:
    """On a claim that is being deleted every condition is of its last generation."""
    if not claim.metadata.deleting:
        return conditions
    return [{**c, "observedGeneration": claim.metadata.generation} for c in conditions]


def _in_order(conditions: list[Object]) -> list[Object]:
    """By the time of their last change, Ready last."""
    return sorted(
        conditions,
        key=lambda c: (c["type"] == READY, parse_rfc3339(c["lastTransitionTime"])),
    )


def _news(
    claim: Claim, known: list[Object], steps: dict[str, Step], node: Node | None, now: float
) -> list[Tell]:
    """An event for each step done just now, and one for each verdict that is new.

    When the next attempt is due is no news, nor is the same verdict on another step.
    """
    news: dict[tuple[str, str], Tell] = {}
    for type_, step in steps.items():
        before = find_condition(known, type_) or {}
        changed = before.get("status") != step.truth
        message = launch.shortened(step.message)
        if step.truth == "True" and changed:
            told = Tell("Normal", type_, message or _done(claim, type_, node, now))
        elif step.verdict and (
            (before.get("reason"), _verdict(before.get("message", "")))
            != (step.reason, _verdict(message))
        ):
            told = Tell("Warning", step.verdict, _verdict(message))
        else:
            continue
        news.setdefault((told.reason, told.message), told)
    return list(news.values())


def _done(claim: Claim, type_: str, node: Node | None, now: float) -> str:
    """That a step is done: of which Node, and how long after the claim's birth."""
    if node is None:
        return f"{type_} is True."
    size = f" ({node.instance_type})" if node.instance_type else ""
    seconds = max(0.0, now - claim.born)
    return (
        f"{type_} is True: Node {node.name}{size}, {seconds:.0f} seconds after the {claim.kind} "
        "was created."
    )


def _verdict(message: str) -> str:
    return message.partition(launch.AGAIN)[0]
