"""A Workspace that tunes, as a model to explore: what workspaces.py has, and what a Job does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kaito.runtime import Object, rfc3339
from test.model import workspaces
from test.model.workspaces import Decide, World
from test.unit.controllers.workspace.scene import NOW, workspace
from test.unit.controllers.workspace.tuning_scene import SIZE, TUNING, pod

JOB = ("Job", "w")
RESULT = "registry.example.com/adapters/a:1@sha256:" + "0" * 64
DATASET_INVALID = 10


def begin(mischief: int) -> World:
    """A Workspace that nobody has looked at yet."""
    found = workspace(inference=None, tuning=TUNING, resource={"instanceType": SIZE})
    return World(workspace=found, mischief=mischief)


def _job(world: World) -> Object | None:
    return world.children.get(JOB)


def _is_over(world: World) -> bool:
    return bool((_job(world) or {}).get("status", {}).get("conditions"))


def _told(world: World, status: Object, **pods: Object) -> World:
    job = _job(world)
    assert job is not None
    children = {**world.children, JOB: {**job, "status": status}}
    return replace(world, children=children, pods={**world.pods, **pods})


def _starts(world: World) -> World:
    """A Pod of the Job, where there is a node for it."""
    job = _job(world)
    if job is None or _is_over(world) or world.pods or not _has_node(world):
        return world
    uid = job["metadata"]["uid"]
    running = pod("w-1", phase="Running", job=uid, data_downloader=0, trainer="running")
    return _told(world, {"startTime": rfc3339(NOW), "active": 1}, **{"w-1": running})


def _has_node(world: World) -> bool:
    return any(not size.startswith("-") for size in world.nodes.values())


def _ends(world: World, code: int = 0) -> World:
    """Its Pod ends, well or for good, and the Job with it."""
    job = _job(world)
    if job is None or _is_over(world) or not world.pods:
        return world
    uid = job["metadata"]["uid"]
    at = rfc3339(NOW)
    condition = {"status": "True", "lastTransitionTime": at, "message": ""}
    if code:
        over = pod("w-1", phase="Failed", job=uid, data_downloader=0, trainer=(code, "No column."))
        condition |= {"type": "Failed", "reason": "PodFailurePolicy"}
        return _told(world, {"conditions": [condition], "failed": 1}, **{"w-1": over})
    over = pod("w-1", phase="Succeeded", job=uid, data_downloader=0, trainer=0, pusher=(0, RESULT))
    condition |= {"type": "Complete", "reason": "CompletionsReached"}
    status = {"conditions": [condition], "completionTime": at, "succeeded": 1}
    return _told(world, status, **{"w-1": over})


def _without_lost_pods(world: World) -> World:
    """The Pods of a node that has gone are gone, and the Job has none."""
    if not world.pods or _has_node(world) or _is_over(world):
        return world
    return replace(world, pods={})


def fair(world: World, decide: Decide) -> World:
    """The controller acts, then everybody does their part."""
    after = _without_lost_pods(workspaces.fair(world, decide))
    if _job(after) is None:
        return after
    return _ends(after) if after.pods else _starts(after)


def moves(world: World, decide: Decide) -> Iterator[tuple[str, World]]:
    """Everything that can happen next."""
    yield from workspaces.moves(world, decide)
    for word, after in (
        ("the Job starts its Pod", _starts(world)),
        ("the training ends well", _ends(world)),
        ("the Pod is lost with its node", _without_lost_pods(world)),
    ):
        if after is not world:
            yield word, after
    if not world.mischief:
        return
    spent = replace(world, mischief=world.mischief - 1)
    if world.pods and not _is_over(world):
        yield "the training fails for good", _ends(spent, DATASET_INVALID)
        yield "the Pod is evicted", replace(spent, pods={})
    if world.pods and _is_over(world):
        yield "the Pod of the ended Job vanishes", replace(spent, pods={})


def undone(world: World) -> str:
    """What is missing of the desired end."""
    found = world.workspace
    if found is None or "deletionTimestamp" in found["metadata"]:
        return workspaces.undone(world)
    status = found.get("status", {})
    if status.get("state") not in ("Succeeded", "Failed"):
        said = [(c["type"], c["status"], c["message"]) for c in status.get("conditions", ())]
        return f"it has not ended: {said}"
    if world.orders:
        return f"it has ended, and keeps {sorted(world.orders)}"
    # Who was not seen to end cannot have said where it is.
    if status["state"] == "Succeeded" and status.get("tuning", {}).get("result", RESULT) != RESULT:
        return f"it does not say where the result is: {status.get('tuning')}"
    return ""
