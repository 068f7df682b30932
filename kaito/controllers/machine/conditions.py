"""A Machine's three steps to readiness as conditions, and Ready, which sums them up.

A condition that is not True names the step that is missing and says why; Ready repeats the first
of them, so that one line tells the whole story.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaito.api.machine import INITIALIZED, LAUNCHED, READY, REGISTERED, Machine
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine.decision import SetStatus, Tell, Write
from kaito.runtime import Object, Truth, find_condition, set_condition

MAX_MESSAGE = 800  # characters; the limit that gpu-provisioner gave to these messages

# Reasons of conditions that are not True. The first eight are karpenter's for Machines.
LAUNCH_FAILED = "LaunchFailed"
NOT_LAUNCHED = "MachineNotLaunched"
NODE_NOT_FOUND = "NodeNotFound"
MULTIPLE_NODES = "MultipleNodesFound"
NODE_NOT_READY = "NodeNotReady"
STARTUP_TAINTS = "StartupTaintsExist"
EPHEMERAL_TAINTS = "KnownEphemeralTaintsExist"
RESOURCE_MISSING = "ResourceNotRegistered"
NOT_REGISTERED = "MachineNotRegistered"
LAUNCHING = "Launching"
TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Step:
    """How far one step is."""

    truth: Truth
    reason: str = ""
    message: str = ""


DONE = Step("True")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a Machine is."""

    launched: Step
    registered: Step
    initialized: Step
    terminating: Step | None = None
    """Given while the Machine is being deleted; it takes the place of Ready."""

    @property
    def ready(self) -> Step:
        """The first step that is not done, or DONE."""
        steps = (self.launched, self.registered, self.initialized)
        return self.terminating or next((step for step in steps if step.truth != "True"), DONE)


def unlaunched(launched: Step) -> Progress:
    """Nothing after the launch can begin before it is done."""
    waiting = Step("False", NOT_LAUNCHED, "The Machine has not been launched yet.")
    return Progress(launched=launched, registered=waiting, initialized=waiting)


def report(machine: Machine, progress: Progress, node: Node | None, now: float) -> list[Write]:
    """The Machine's status, and an event for each step that has just been taken or has failed.

    Nothing when the status is so already. What the Machine knew of its Node stays when the Node
    cannot be seen.
    """
    before = machine.status.wire()
    conditions: list[Object] = list(before.get("conditions", []))
    steps = {
        LAUNCHED: progress.launched,
        REGISTERED: progress.registered,
        INITIALIZED: progress.initialized,
        READY: progress.ready,
    }
    for type_, step in steps.items():
        conditions = set_condition(
            conditions,
            type_,
            step.truth,
            step.reason or type_,
            shortened(step.message),
            generation=machine.metadata.generation,
            now=now,
        )
    after: Object = {**before, "conditions": conditions}
    if node is not None:
        after |= {
            "nodeName": node.name,
            "providerID": node.spec.provider_id,
            "capacity": node.status.capacity,
            "allocatable": node.status.allocatable,
        }
    if after == before:
        return []
    return [SetStatus(after), *_news(before.get("conditions", []), steps)]


def shortened(message: str) -> str:
    """At most MAX_MESSAGE characters."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."


def _news(known: list[Object], steps: dict[str, Step]) -> list[Tell]:
    """An event for each step done just now, and for a launch that failed for a new reason."""
    news = []
    for type_, step in steps.items():
        before = find_condition(known, type_) or {}
        changed = before.get("status") != step.truth
        message = shortened(step.message)
        if step.truth == "True" and changed:
            news.append(Tell("Normal", type_, message or f"{type_} is True."))
        elif (type_, step.reason) == (LAUNCHED, LAUNCH_FAILED) and (
            changed or before.get("message") != message
        ):
            news.append(Tell("Warning", LAUNCH_FAILED, message))
    return news
