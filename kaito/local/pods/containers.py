"""The state of a container as a value, and how containers make up the status of a pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    passed: bool = True
    """Whether its startup probe has succeeded; without one that is so from the start."""
    last: ContainerState | None = None
    """How its previous run ended."""

    @property
    def done(self) -> bool:
        return self.is_ == "terminated"

    @property
    def failed(self) -> bool:
        return self.done and self.exit_code != 0

    @property
    def up(self) -> bool:
        """Whether it runs and has started: a sidecar lets those after it begin then."""
        return self.is_ == "running" and self.passed


CREATING = ContainerState(is_="waiting", reason="ContainerCreating")
INITIALIZING = ContainerState(is_="waiting", reason="PodInitializing")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What the kubelet knows beyond the containers. `started` is seconds since the epoch."""

    host_ip: str
    pod_ip: str
    started: float
    now: float
    mounted: bool = True
    """Whether its volumes are there."""
    ended: bool = False
    """Whether the kubelet has ended it, so that it is over whatever its containers had done."""


def pod_status(pod: Object, states: Mapping[str, ContainerState], facts: PodFacts) -> Object:
    """The status that a kubelet would report; times move only where something changed.

    `states` has every container of the pod by name, init containers included.
    """
    before = pod.get("status", {})
    spec = pod["spec"]
    inits = spec.get("initContainers") or []
    sidecars = [each for each in inits if is_sidecar(each)]
    main = [states[container["name"]] for container in spec["containers"]]
    phase = pod_phase(spec, states)
    if facts.ended and phase not in ("Succeeded", "Failed"):
        phase = "Failed"
    over = phase in ("Succeeded", "Failed")
    unready = [
        each["name"] for each in [*sidecars, *spec["containers"]] if not states[each["name"]].ready
    ]
    contained = _containers_ready(unready, phase)
    conditions: list[Object] = list(before.get("conditions", []))
    generation = pod["metadata"].get("generation")
    for type_, verdict in (
        ("PodReadyToStartContainers", Verdict(facts.mounted and not over)),
        ("Initialized", _initialized(inits, main, states, phase)),
        ("Ready", _ready(spec, conditions, contained)),
        ("ContainersReady", contained),
    ):
        conditions = _with_condition(conditions, type_, verdict, generation, facts.now)
    status: Object = {
        **before,
        "phase": phase,
        "conditions": conditions,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "podIP": facts.pod_ip,
        "podIPs": [{"ip": facts.pod_ip}],
        "startTime": before.get("startTime") or rfc3339(facts.started),
        "containerStatuses": [
            _container_status(each, states[each["name"]], pod) for each in spec["containers"]
        ],
    }
    if inits:
        status["initContainerStatuses"] = [
            _container_status(each, states[each["name"]], pod)
            | {"ready": states[each["name"]].ready or _is_through(each, states[each["name"]])}
            for each in inits
        ]
    if ephemeral := spec.get("ephemeralContainers"):
        status["ephemeralContainerStatuses"] = [
            _container_status(each, states[each["name"]], pod) for each in ephemeral
        ]
    if generation is not None:
        status["observedGeneration"] = generation
    return status


def cut_short(state: ContainerState, now: float) -> ContainerState:
    """What is told of a container once its pod has been ended. `now` is seconds since the epoch."""
    if state.is_ != "running":
        return state
    message = "The container could not be located when the pod was terminated"
    return replace(
        state,
        is_="terminated",
        reason="ContainerStatusUnknown",
        message=message,
        exit_code=137,
        ended=now,
        ready=False,
    )


def pod_phase(spec: Mapping[str, Any], states: Mapping[str, ContainerState]) -> str:
    """The phase that follows from the containers. Sidecars decide nothing once all have begun."""
    policy = spec.get("restartPolicy", "Always")
    for init in spec.get("initContainers") or ():
        state = states[init["name"]]
        if is_sidecar(init):
            continue
        if state.failed and policy == "Never":
            return "Failed"
        if not _is_through(init, state):
            return "Pending"
    main = [states[container["name"]] for container in spec["containers"]]
    if all(state.done for state in main) and policy != "Always":
        failed = any(state.failed for state in main)
        if policy == "Never" or not failed:
            return "Failed" if failed else "Succeeded"
    # One that was running under an earlier run of the cluster is about to be started again.
    if any(state.is_ == "waiting" and state.last is None and not state.restarts for state in main):
        return "Pending"
    return "Running"


def may_begin(spec: Mapping[str, Any], states: Mapping[str, ContainerState]) -> list[str]:
    """The names of the containers that may begin by now, or may have begun: init containers one
    after the other, a sidecar's successors once it is up, and then all others."""
    allowed = []
    for init in spec.get("initContainers") or ():
        state = states[init["name"]]
        allowed.append(init["name"])
        if is_sidecar(init):
            if not state.up and state.last is None:
                return allowed
        elif not _is_through(init, state):
            return allowed
    rest = [*spec["containers"], *(spec.get("ephemeralContainers") or ())]
    return allowed + [container["name"] for container in rest]


def _is_through(init: Mapping[str, Any], state: ContainerState) -> bool:
    """Whether those after an init container need wait for it no longer."""
    return state.up if is_sidecar(init) else state.done and not state.failed


def is_sidecar(init: Mapping[str, Any]) -> bool:
    """Whether an init container runs beside the others instead of before them."""
    return init.get("restartPolicy") == "Always"


def all_containers(pod: Object) -> list[Mapping[str, Any]]:
    """Init containers, the others and those added to look at them, in the order of their start."""
    spec = pod["spec"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container for kind in kinds for container in spec.get(kind) or ()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition shall say."""

    holds: bool
    reason: str = ""
    message: str = ""


def _containers_ready(unready: Sequence[str], phase: str) -> Verdict:
    if phase in ("Succeeded", "Failed"):
        return Verdict(False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return Verdict(False, "ContainersNotReady", message)
    return Verdict(True)


def _ready(spec: Mapping[str, Any], conditions: Sequence[Object], contained: Verdict) -> Verdict:
    if not contained.holds:
        return contained
    lacking = []
    for gate in spec.get("readinessGates") or ():
        type_ = gate["conditionType"]
        found = find_condition(conditions, type_)
        if found is None:
            lacking.append(
                f'corresponding condition of pod readiness gate "{type_}" does not exist.'
            )
        elif found["status"] != "True":
            lacking.append(
                f'the status of pod readiness gate "{type_}" is not "True", but {found["status"]}'
            )
    return Verdict(not lacking, "ReadinessGatesNotReady" if lacking else "", ", ".join(lacking))


def _initialized(
    inits: Sequence[Mapping[str, Any]],
    main: Sequence[ContainerState],
    states: Mapping[str, ContainerState],
    phase: str,
) -> Verdict:
    if phase == "Succeeded":
        return Verdict(True, "PodCompleted")
    if any(state.is_ != "waiting" or state.last is not None for state in main):
        # Sidecars may be started again later on.
        return Verdict(True)
    lacking = [each["name"] for each in inits if not _is_through(each, states[each["name"]])]
    if not lacking:
        return Verdict(True)
    message = f"containers with incomplete status: [{' '.join(lacking)}]"
    return Verdict(False, "ContainersNotInitialized", message)


def _container_status(container: Mapping[str, Any], state: ContainerState, pod: Object) -> Object:
    place = f"kaito-local://{pod['metadata']['uid']}/{container['name']}"
    identity = f"{place}/{state.restarts}"
    waiting, last = state.is_ == "waiting", state.last
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "" if waiting and not state.restarts else f"local/{container.get('image', '')}",
        "containerID": "" if waiting and not state.restarts else identity,
        "ready": state.ready,
        "started": state.up,
        "restartCount": state.restarts,
        "state": _state(state, identity),
        "lastState": _state(last, f"{place}/{last.restarts}") if last is not None else {},
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


def _with_condition(
    conditions: Sequence[Object],
    type_: str,
    verdict: Verdict,
    generation: int | None,
    now: float,
) -> list[Object]:
    """The conditions of a pod with this one set (pods leave empty fields out)."""
    found = find_condition(conditions, type_)
    status = "True" if verdict.holds else "False"
    moved = found is None or found["status"] != status
    condition: Object = {
        "type": type_,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now) if moved else (found or {}).get("lastTransitionTime"),
    }
    if generation is not None:
        condition["observedGeneration"] = generation
    if verdict.reason:
        condition["reason"] = verdict.reason
    if verdict.message:
        condition["message"] = verdict.message
    if found is None:
        return [*conditions, condition]
    return [condition if other is found else other for other in conditions]


def is_simulated(node: Object | None) -> bool:
    """Whether a Node is one of ours, so that its pods are ours to run."""
    return node is not None and SIMULATED in (node["metadata"].get("annotations") or {})
