"""What keeps the Pods of a Workspace from serving: conditions first, then what Pods and their
Events say that no condition does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kaito.api import conditions
from kaito.controllers.workspace.ended import cause
from kaito.controllers.workspace.pods import FINAL, trouble
from kaito.runtime import Object
from kaito.why.chain import Finding, Verdict
from kaito.why.facts import facts
from kaito.why.remedies import fix
from kaito.why.rows import PODS, SCALED_AWAY, SUSPENDED, TUNING, WORKSPACE, Row
from kaito.why.scene import Happening, Said, Scene, listed

PATIENCE: Mapping[str, float] = {
    conditions.UNSCHEDULABLE: 300.0,
    conditions.POD_EVICTED: 300.0,
    conditions.CRASH_LOOP: 600.0,
}
"""Seconds after which what is tried again by itself is somebody's to look at."""
# Of the kubelet and of what makes Pods: told in Events and nowhere else.
MOUNTING = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
MAKING = ("FailedCreate",)
OVER = ("Succeeded", "Failed")
JOB = "Job"


class Culprit(NamedTuple):
    """The Pod and the container that are meant."""

    pod: Object
    container: Object | None
    reason: str = ""
    message: str = ""


def of_pods(scene: Scene, meant: Said) -> Finding:
    """Why its Pods do not serve, as InferenceReady says, or WorkspaceSucceeded of a training."""
    found = culprit(scene, meant)
    waits = WORKSPACE.get(meant.reason, Row(Verdict.NEEDS_YOU)).verdict is Verdict.PROGRESSING
    if meant.reason not in PODS and not waits:
        return _finding(scene, meant.reason, meant.message, meant.since, found)
    if waits:
        unsaid = (
            _set_aside(scene, meant)
            or _unmade(scene)
            or _unmounted(scene)
            or _tried_again(scene, meant)
        )
        if unsaid is not None:
            return unsaid
    if waits and found is not None and found.reason:
        # The manager is about to say so.
        return _finding(scene, found.reason, found.message, meant.since, found)
    lacking = _lacking(scene, found)
    if lacking is not None and meant.reason == conditions.VOLUMES_NOT_MOUNTED:
        return _finding(
            scene, meant.reason, meant.message, meant.since, found, detail=lacking.message
        )
    return _finding(scene, meant.reason, meant.message, meant.since, found)


def culprit(scene: Scene, meant: Said | None) -> Culprit | None:
    """The Pod that is spoken of, or the first with a trouble, and its container."""
    about = meant.message if meant else ""
    best: Culprit | None = None
    for pod in scene.pods:
        wrong = trouble([pod], None, scene.now)
        named = pod["metadata"]["name"] in about
        container = container_of(pod, wrong.message if wrong else about)
        ended = "terminated" in ((container or {}).get("state") or {})
        if wrong is None and not named and not ended:
            continue
        reason, message = (wrong.reason, wrong.message) if wrong else ("", "")
        candidate = Culprit(pod, container, reason, message)
        if named:
            return candidate
        best = best or candidate
    return best


def container_of(pod: Object, about: str) -> Object | None:
    """The container that a sentence names, or else the first that has not come to its end well."""
    statuses = containers(pod)
    named = (each for each in statuses if f"container {each.get('name')}," in about)
    return next(named, None) or next((each for each in statuses if not settled(each)), None)


def containers(pod: Object) -> list[Object]:
    """What is told of the containers of a Pod, in the order in which they run."""
    return [
        *listed(pod, "status", "initContainerStatuses"),
        *listed(pod, "status", "containerStatuses"),
    ]


def settled(container: Object) -> bool:
    """Whether a container is as it should be in the end."""
    ended = (container.get("state") or {}).get("terminated") or {}
    return bool(container.get("ready")) or (bool(ended) and ended.get("exitCode") == 0)


def maker_failures(scene: Scene) -> list[Happening]:
    """Why no Pods can be made, as what makes them says in Events."""
    makers = [each for each in (*scene.makers, *scene.workloads) if each]
    return [e for each in makers for e in scene.warnings(each) if e.reason in MAKING]


def _set_aside(scene: Scene, meant: Said) -> Finding | None:
    """A workload that somebody else keeps from running."""
    workload = scene.workload
    wanted = (workload or {}).get("spec") or {}
    row = SUSPENDED if wanted.get("suspend") else SCALED_AWAY
    if workload is None or not (wanted.get("suspend") or wanted.get("replicas") == 0):
        return None
    about = f"{workload['kind']} {workload['metadata']['name']}"
    return Finding(
        verdict=row.verdict,
        reason=meant.reason,
        cause=meant.message,
        since=meant.since,
        fix=fix(row, facts(scene, about=about), ""),
    )


def _tried_again(scene: Scene, meant: Said) -> Finding | None:
    """A training whose last attempt failed and is repeated."""
    workload = scene.workload
    if workload is None or workload["kind"] != JOB or meant.type != conditions.JOB_STARTED:
        return None
    why = next((found for pod in reversed(scene.pods) if (found := cause(pod))), None)
    if why is None:
        return None
    row = TUNING.get(why[0], Row(Verdict.RETRYING, "Wait: it is tried again by itself."))
    known = facts(scene, about=meant.message)
    return Finding(
        verdict=Verdict.RETRYING,
        reason=why[0],
        cause=meant.message,
        since=meant.since,
        fix=fix(row, known, meant.message),
    )


def _unmade(scene: Scene) -> Finding | None:
    """Pods that are refused. Of a Deployment a condition says so, of others Events alone."""
    workload = scene.workload
    failures = maker_failures(scene)
    if scene.pods or workload is None or not failures:
        return None
    what = f"{workload['kind']} {workload['metadata']['name']}"
    message = f"No Pods can be made for {what}: {failures[0].message.rstrip('. ')}."
    return _finding(scene, conditions.PODS_REFUSED, message, failures[0].first, None)


def _unmounted(scene: Scene) -> Finding | None:
    """A Pod that waits for what it mounts, before that has lasted long enough for a condition."""
    for pod in scene.pods:
        found = Culprit(pod, None)
        lacking = _lacking(scene, found)
        if lacking is not None:
            name = pod["metadata"]["name"]
            message = f"Pod {name} cannot start: {lacking.message.rstrip('. ')}."
            reason = conditions.VOLUMES_NOT_MOUNTED
            return _finding(scene, reason, message, lacking.first, found)
    return None


def telling(scene: Scene, pod: Object) -> list[Happening]:
    """The warnings about a Pod that have not come to nothing: what it mounts is there once a
    container of it has started."""
    mounted = any(_started(each) for each in containers(pod))
    return [e for e in scene.warnings(pod) if not (mounted and e.reason in MOUNTING)]


def _lacking(scene: Scene, found: Culprit | None) -> Happening | None:
    """What a Pod without running containers could not mount, as its kubelet says."""
    if found is None or (found.pod.get("status") or {}).get("phase") in OVER:
        return None
    return next((e for e in telling(scene, found.pod) if e.reason in MOUNTING), None)


def _started(container: Object) -> bool:
    state = container.get("state") or {}
    return "running" in state or "terminated" in state


def _finding(
    scene: Scene,
    reason: str,
    message: str,
    since: float | None,
    found: Culprit | None,
    *,
    detail: str = "",
) -> Finding:
    row = next((t[reason] for t in (PODS, TUNING, WORKSPACE) if reason in t), None)
    row = row or Row(Verdict.NEEDS_YOU, "Do what the cause says.")
    verdict = row.verdict
    if reason in PODS:
        verdict = Verdict.NEEDS_YOU if reason in FINAL else Verdict.RETRYING
        late = since is not None and scene.now - since > PATIENCE.get(reason, float("inf"))
        verdict = Verdict.NEEDS_YOU if late else verdict
    known = facts(
        scene,
        node=str((found.pod.get("spec") or {}).get("nodeName") or "") if found else "",
        pod=found.pod if found else None,
        container=str((found.container or {}).get("name", "")) if found else "",
        about=message,
    )
    return Finding(
        verdict=verdict,
        reason=reason,
        cause=message,
        since=since,
        fix=fix(row._replace(verdict=verdict), known, detail or message),
    )
