"""The state of a container as a value, and how containers make up the status of a pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kaito.local.nodes.shape import SIMULATED
from kaito.runtime import Object, find_condition, rfc3339

REASON_COMPLETED = "Completed"
REASON_ERROR = "Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """Where a container stands. Times are seconds since the epoch."""

    is_: Literal["waiting", "running", "terminated"]
    reason: str = ""
    message: str = ""
    started: float = 0.0
    ended: float = 0.0
    exit_code: int = 0
    restarts: int = 0
    ready: bool = False
    last: ContainerState | None = None
    """How its previous run ended."""

    @property
    def done(self) -> bool:
        return self.is_ == "terminated"

    @property
    def failed(self) -> bool:
        return self.done and self.exit_code != 0


CREATING = ContainerState(is_="waiting", reason="ContainerCreating")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What the kubelet knows beyond the containers. `started` is seconds since the epoch."""

    host_ip: str
    pod_ip: str
    started: float
    now: float


def pod_status(pod: Object, states: Mapping[str, ContainerState], facts: PodFacts) -> Object:
    """The status that a kubelet would report; times move only where something changed.

    `states` has every container of the pod by name; init containers have completed.
    """
    before = pod.get("status", {})
    spec = pod["spec"]
    generation = pod["metadata"].get("generation")
    main = [states[container["name"]] for container in spec["containers"]]
    phase = pod_phase(main, spec.get("restartPolicy", "Always"))
    over = phase in ("Succeeded", "Failed")
    containers = [
        _container_status(container, states[container["name"]], pod)
        for container in spec["containers"]
    ]
    unready = [
        container["name"]
        for container, state in zip(spec["containers"], main, strict=True)
        if not state.ready
    ]
    started = any(state.is_ != "waiting" or state.restarts for state in main)
    ready = not unready and phase == "Running"
    lacking = "" if ready else _lacking(unready, over=over)
    conditions: list[Object] = list(before.get("conditions", []))
    for type_, holds, reason, message in (
        ("PodReadyToStartContainers", started and not over, "", ""),
        ("Initialized", True, "PodCompleted" if phase == "Succeeded" else "", ""),
        ("Ready", ready, _unready_reason(phase, ready), lacking),
        ("ContainersReady", ready, _unready_reason(phase, ready), lacking),
    ):
        conditions = _with_condition(
            conditions, type_, holds, reason, message, generation, facts.now
        )
    status: Object = {
        **before,
        "phase": phase,
        "conditions": conditions,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "podIP": facts.pod_ip,
        "podIPs": [{"ip": facts.pod_ip}],
        "startTime": before.get("startTime") or rfc3339(facts.started),
        "containerStatuses": containers,
    }
    inits = spec.get("initContainers")
    if inits:
        done = ContainerState(
            is_="terminated",
            reason=REASON_COMPLETED,
            started=facts.started,
            ended=facts.started,
            ready=True,
        )
        status["initContainerStatuses"] = before.get("initContainerStatuses") or [
            _container_status(init, done, pod) for init in inits
        ]
    if generation is not None:
        status["observedGeneration"] = generation
    return status


def pod_phase(states: Sequence[ContainerState], restart_policy: str) -> str:
    """The phase that follows from the containers."""
    if all(state.done for state in states) and restart_policy != "Always":
        failed = any(state.failed for state in states)
        if restart_policy == "Never" or not failed:
            return "Failed" if failed else "Succeeded"
    if any(state.is_ == "running" or state.done or state.restarts for state in states):
        return "Running"
    return "Pending"


def _container_status(container: Mapping[str, Any], state: ContainerState, pod: Object) -> Object:
    uid = pod["metadata"]["uid"]
    identity = f"kaito-local://{uid}/{container['name']}/{state.restarts}"
    waiting = state.is_ == "waiting"
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "" if waiting and not state.restarts else f"local/{container.get('image', '')}",
        "containerID": "" if waiting and not state.restarts else identity,
        "ready": state.ready,
        "started": state.is_ == "running",
        "restartCount": state.restarts,
        "state": _state(state, identity),
        "lastState": _state(state.last, identity) if state.last is not None else {},
    }


def _state(state: ContainerState, identity: str) -> Object:
    match state.is_:
        case "waiting":
            waiting = {"reason": state.reason, "message": state.message}
            return {"waiting": {name: text for name, text in waiting.items() if text}}
        case "running":
            return {"running": {"startedAt": rfc3339(state.started)}}
        case "terminated":
            ended: Object = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": rfc3339(state.started),
                "finishedAt": rfc3339(state.ended),
                "containerID": identity,
            }
            return {"terminated": ended | ({"message": state.message} if state.message else {})}


def _unready_reason(phase: str, ready: bool) -> str:
    if ready:
        return ""
    return {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")


def _lacking(unready: Sequence[str], *, over: bool) -> str:
    return "" if over else f"containers with unready status: [{' '.join(unready)}]"


def _with_condition(
    conditions: Sequence[Object],
    type_: str,
    holds: bool,
    reason: str,
    message: str,
    generation: int | None,
    now: float,
) -> list[Object]:
    """The conditions of a pod with this one set (pods leave empty fields out)."""
    found = find_condition(conditions, type_)
    status = "True" if holds else "False"
    moved = found is None or found["status"] != status
    condition: Object = {
        "type": type_,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now) if moved else (found or {}).get("lastTransitionTime"),
    }
    if generation is not None:
        condition["observedGeneration"] = generation
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    if found is None:
        return [*conditions, condition]
    return [condition if other is found else other for other in conditions]


def is_simulated(node: Object | None) -> bool:
    """Whether a Node is one of ours, so that its pods are ours to run."""
    return node is not None and SIMULATED in (node["metadata"].get("annotations") or {})
