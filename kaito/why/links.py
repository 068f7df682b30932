"""The chain itself: what a request became, step by step, each with its time and where that is
written. Pure.

Of many alike, the first few that are not as they should be stand for all, and a number for the
rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kaito.api import labels, machine, nodeclaim, nodepool
from kaito.api.words import shown
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.pods import trouble
from kaito.provisioner.sharing import POOL
from kaito.runtime import Object
from kaito.why.chain import Link, State
from kaito.why.nodes import claims, refusals, step_of, unfit
from kaito.why.pods import container_of, containers, culprit, maker_failures, settled, telling
from kaito.why.scene import Happening, Said, Scene, born, moment, said, said_of

T = TypeVar("T")
SHOWN = 2  # of one kind, while there are more
SERVING = ("Deployment", "StatefulSet")
STARTING = ("PodInitializing", "ContainerCreating")


def links(scene: Scene) -> Iterator[Link]:
    """From the request on."""
    yield _workspace(scene)
    claimed = {order.status.node_name for order in claims(scene)}
    yield from _claims(scene)
    others = [node for node in scene.nodes if node["metadata"]["name"] not in claimed]
    yield from (_node(each) for each in _first(others, _unfit))
    yield from _rest(others, _unfit, "Node")
    for workload in scene.workloads:
        yield _workload(scene, workload)
    yield from _pods(scene)


def event(kind: str, name: str, happened: Happening) -> Link:
    """What was told of an object."""
    times = f", {happened.count} times" if happened.count > 1 else ""
    return Link(
        kind="Event",
        name=happened.reason,
        state=State.FAILING if happened.warning else State.DONE,
        since=happened.first,
        evidence=f"about {kind} {name}{times}",
        message=happened.message,
    )


def _workspace(scene: Scene) -> Link:
    subject, meant = scene.subject, scene.meant
    wants = scene.preset or "a template of its own"
    where = f" on {scene.size}" if scene.size else " on nodes that are there"
    state, evidence = State.WAITING, f"generation {subject.generation}, without conditions"
    if meant is not None:
        stale = "" if scene.judged else f", of generation {meant.generation or 0}"
        evidence = f"{meant.evidence}{stale}"
        final = subject.status.get("state") == "Failed"
        state = State.DONE if meant.status == "True" else _bad(final)
    return Link(
        kind="Workspace",
        name=subject.name,
        namespace=subject.namespace,
        state=state,
        since=moment(subject.metadata.get("creationTimestamp")),
        evidence=evidence,
        message=f"asks for {wants}{where}",
    )


def _claims(scene: Scene) -> Iterator[Link]:
    for pool in scene.orders:
        if pool.kind == nodepool.KIND:
            yield _asked(pool, f"asks for {pool.nodes} nodes of {_sizes(pool)}")
    found = claims(scene)
    there = {node["metadata"]["name"]: node for node in scene.nodes}
    for order in _first(found, _unready_claim):
        yield _asked(order, f"asks for a node of {_sizes(order)}")
        yield from _launch(scene, order)
        node = there.get(order.status.node_name)
        if node is not None:
            yield _node(node, step_of(order))
        elif order.launched:
            yield from _joining(order)
    yield from _rest(found, _unready_claim, found[0].kind if found else "")


def _asked(order: Order, evidence: str) -> Link:
    return Link(
        kind=order.kind,
        name=order.name,
        state=State.WAITING if order.deleting else State.DONE,
        since=moment(order.metadata.creation_timestamp),
        evidence=f"{evidence}; it is being deleted" if order.deleting else evidence,
    )


def _launch(scene: Scene, order: Order) -> Iterator[Link]:
    """What the cloud makes of the request, as the claim tells."""
    launched = order.condition(machine.LAUNCHED, nodeclaim.LAUNCHED)
    if launched is None:
        return
    told = said(launched.model_dump(by_alias=True))
    refused = () if order.launched else refusals(scene, order)
    yield Link(
        kind="instance" if order.foreign else "agent pool",
        name=shown(order.metadata.annotations.get(POOL) or order.name),
        state=State.DONE if order.launched else _bad(bool(refused) or told.status == "False"),
        since=told.since,
        evidence=told.evidence,
        message=told.message,
    )
    if refused:
        yield event(order.kind, order.name, refused[0])


def _joining(order: Order) -> Iterator[Link]:
    """The Node that has not come yet."""
    step = step_of(order)
    if step is not None:
        yield Link(
            kind="Node",
            name=order.status.node_name or f"of {order.name}",
            state=State.WAITING,
            since=step.since,
            evidence=step.evidence,
            message=step.message,
        )


def _node(node: Object, step: Said | None = None) -> Link:
    """A Node; `step` is what its claim still misses of it."""
    ready, wrong = said_of(node, "Ready"), unfit(node)
    status = node.get("status") or {}
    gpus = (status.get("allocatable") or {}).get(labels.GPU_RESOURCE, "0")
    size = (node["metadata"].get("labels") or {}).get(labels.INSTANCE_TYPE) or "a node"
    shape = f"{size} with {gpus} GPU{'' if str(gpus) == '1' else 's'}"
    told = wrong or step
    evidence = [
        ready.evidence if ready else "no condition Ready",
        *([step.evidence] if step else []),
    ]
    return Link(
        kind="Node",
        name=node["metadata"]["name"],
        state=State.FAILING if wrong else (State.WAITING if step else State.DONE),
        since=told.since if told else (ready.since if ready else born(node)),
        evidence="; ".join(evidence),
        message=(told.message if told else "") or shape,
    )


def _workload(scene: Scene, workload: Object) -> Link:
    subject, status = scene.subject, workload.get("status") or {}
    kind, name = workload["kind"], workload["metadata"]["name"]
    unmade = not scene.pods and bool(maker_failures(scene))
    if not subject.owns(workload):
        evidence, state, message = "metadata.ownerReferences", State.FAILING, "somebody else's"
    elif kind in SERVING:
        wanted = (workload.get("spec") or {}).get("replicas", 1)
        ready = status.get("readyReplicas", 0)
        evidence = f"{ready} of {wanted} replicas ready"
        state = State.DONE if ready >= wanted > 0 else _bad(unmade)
        failure = said_of(workload, "ReplicaFailure")
        message = failure.message if failure and failure.status == "True" else ""
        state = State.FAILING if message else state
    else:
        counts = ("active", "succeeded", "failed")
        told = [f"{status[each]} {each}" for each in counts if status.get(each)]
        evidence, message = ", ".join(told) or "not started", _progress(scene)
        state = State.DONE if status.get("succeeded") else _bad(bool(status.get("failed")))
    return Link(
        kind=kind,
        name=name,
        namespace=subject.namespace,
        state=state,
        since=born(workload),
        evidence=evidence,
        message=message,
    )


def _progress(scene: Scene) -> str:
    """How far a training is."""
    tuning = scene.subject.status.get("tuning") or {}
    if not tuning.get("steps"):
        return ""
    left = f", {tuning['secondsLeft']} s left" if tuning.get("secondsLeft") else ""
    return f"step {tuning.get('step', 0)} of {tuning['steps']}{left}"


def _pods(scene: Scene) -> Iterator[Link]:
    meant = culprit(scene, scene.meant)
    chosen = [meant.pod] if meant else list(_first(scene.pods, _unready))
    for pod in chosen:
        yield _pod(scene, pod)
        wrong = container_of(pod, meant.message if meant else "")
        for container in [wrong] if wrong else containers(pod)[-1:]:
            yield _container(pod, container)
        told = telling(scene, pod) if _unready(pod) else []
        if told:
            # Kubelets tell one failure in several Events, the shorter ones naming no more.
            longest = max(told, key=lambda each: len(each.message))
            yield event("Pod", pod["metadata"]["name"], longest)
    yield from _rest(scene.pods, _unready, "Pod")


def _pod(scene: Scene, pod: Object) -> Link:
    status = pod.get("status") or {}
    scheduled, ready = said_of(pod, "PodScheduled"), said_of(pod, "Ready")
    told = scheduled if scheduled and scheduled.status != "True" else ready
    phase = str(status.get("phase") or "Pending")
    leaving = " and is being deleted" if pod["metadata"].get("deletionTimestamp") else ""
    wrong = trouble([pod], None, scene.now)
    done = phase == "Succeeded" or (ready is not None and ready.status == "True")
    return Link(
        kind="Pod",
        name=pod["metadata"]["name"],
        namespace=scene.subject.namespace,
        state=State.DONE if done else _bad(wrong is not None),
        since=(told.since if told else None) or born(pod),
        evidence=f"phase {phase}{leaving}" + (f"; {told.evidence}" if told else ""),
        message=(told.message if told and told.status != "True" else ""),
    )


def _container(pod: Object, container: Object) -> Link:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    kind = next((each for each in ("waiting", "terminated", "running") if each in state), "")
    now = state.get(kind) or {}
    before = last.get("terminated") or {}
    ended = now if kind == "terminated" else before
    parts = [kind or "no state yet"]
    parts += [str(now["reason"])] if now.get("reason") else []
    if "exitCode" in ended:
        parts.append(f"exit code {ended['exitCode']}")
    if ended.get("reason") and ended is before:
        parts.append(f"{ended['reason']} before")
    if count := container.get("restartCount"):
        parts.append(f"{count} restarts")
    bad = kind != "running" and not settled(container) and now.get("reason") not in STARTING
    words = now.get("message") or ended.get("message") or ""
    return Link(
        kind="container",
        name=str(container.get("name", "")),
        namespace=pod["metadata"].get("namespace", ""),
        state=State.DONE if settled(container) else _bad(bad),
        since=moment(now.get("startedAt") or now.get("finishedAt") or before.get("finishedAt")),
        evidence=", ".join(parts),
        message=said({"message": words}).message,
    )


def _unready_claim(order: Order) -> bool:
    return not order.ready


def _unfit(node: Object) -> bool:
    return unfit(node) is not None


def _unready(pod: Object) -> bool:
    ready = said_of(pod, "Ready")
    over = (pod.get("status") or {}).get("phase") == "Succeeded"
    return not over and (ready is None or ready.status != "True")


def _bad(failing: bool) -> State:
    return State.FAILING if failing else State.WAITING


def _sizes(order: Order) -> str:
    return " or ".join(order.sizes) or "any size"


def _first(all_: Sequence[T], wanting: Callable[[T], bool]) -> list[T]:
    """Those that are not as they should be, or else one that is; not too many."""
    wrong = [each for each in all_ if wanting(each)]
    return (wrong or list(all_))[: SHOWN if wrong else 1]


def _rest(all_: Sequence[T], wanting: Callable[[T], bool], what: str) -> Iterator[Link]:
    left = len(all_) - len(_first(all_, wanting))
    if left > 0:
        unwell = sum(map(wanting, all_))
        yield Link(
            kind=what,
            name=f"({left} more)",
            state=State.DONE if unwell <= SHOWN else State.WAITING,
            evidence=f"{len(all_) - unwell} of {len(all_)} as they should be",
        )
