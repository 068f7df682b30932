"""A Workspace of one node, its provisioner and the cluster around it, as a model to explore.

The controller is the real decide function, and what it decides is written one thing after the
other, so that it can die after each. Provisioner, garbage collector and Deployment controller are
as lazy, and people and nodes as careless, as a budget of mischief allows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgspec

from kaito.api.conditions import NAME_TAKEN, WORKSPACE_READY
from kaito.api.machine import LAUNCHED, LIVING, READY
from kaito.controllers.kinds import Node
from kaito.controllers.workspace.decision import Decision, Finalizer
from kaito.controllers.workspace.observation import Observation, Subject, taken
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import Object, is_true, rfc3339
from test.unit.controllers.workspace.scene import NOW, own_node, workspace

FINALIZER = "workspace.finalizer.kaito.sh"
A_WHILE = 3600.0  # seconds; longer than any patience
OWNED = ("Deployment", "Service", "ControllerRevision")
NEEDED = 1  # nodes
Decide: TypeAlias = Callable[[Observation], Decision]
Step: TypeAlias = "Callable[[World], World]"
QUOTA = "QuotaExceeded: Family vCPU quota is 0."


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything there is at one moment. Objects are never changed in place."""

    workspace: Object | None
    orders: dict[str, Object] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    """Of which size each is, by name; a name with a minus before it is not ready."""
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    """By kind and name."""
    pods: dict[str, Object] = field(default_factory=dict)
    hours: int = 0
    born: int = 0
    """How many objects there have been."""
    mischief: int = 0
    """How often the adversary may still act."""
    stained: str = ""
    """What was done that must not be."""


def begin(mischief: int, **changes: Any) -> World:
    """A Workspace that nobody has looked at yet."""
    return World(workspace=workspace(**changes), mischief=mischief)


def key(world: World) -> bytes:
    """Equal for equal worlds."""
    return msgspec.json.encode(
        (
            world.workspace,
            world.orders,
            world.nodes,
            [*world.children.items()],
            world.pods,
            world.hours,
            world.mischief,
            world.stained,
        ),
        order="deterministic",
    )


def observed(world: World) -> Observation:
    """What the controller sees of it, with caches that do not lag."""
    assert world.workspace is not None
    found = {kind: child for (kind, _), child in world.children.items()}
    return Observation(
        workspace=world.workspace,
        orders=tuple(_order(msgspec.json.encode(each)) for each in _by_name(world.orders)),
        nodes=tuple(_node(name, size) for name, size in sorted(world.nodes.items())),
        deployment=found.get("Deployment"),
        service=found.get("Service"),
        job=found.get("Job"),
        pods=tuple(_by_name(world.pods)),
        revisions=tuple(
            each for (kind, _), each in sorted(world.children.items()) if kind == OWNED[2]
        ),
        now=NOW + world.hours * A_WHILE,
    )


def _by_name(found: dict[str, Object]) -> Iterator[Object]:
    return (found[name] for name in sorted(found))


@lru_cache(maxsize=4096)
def _order(text: bytes) -> Order:
    return Order.model_validate_json(text)


@lru_cache(maxsize=64)
def _node(name: str, size: str) -> Node:
    known = {"node.kubernetes.io/instance-type": size.lstrip("-")}
    return own_node(name.removeprefix("node-"), ready=not size.startswith("-"), **known)


def writes(world: World, decide: Decide) -> list[World]:
    """The world after each single thing that the controller writes, in their order."""
    if world.workspace is None:
        # Orders of a Workspace that was taken away by force.
        return _each(world, [_deletes(name) for name in sorted(world.orders)])
    observation = observed(world)
    decision = decide(observation)
    steps: list[Step] = []
    if decision.finalizer is Finalizer.ADD:
        steps.append(_held)
    if decision.announces and decision.status is not None:
        steps.append(_says(decision.status))
    objects = [*filter(None, (decision.revision, *decision.objects))]
    obstacles = [*_obstacles(world, decision.trial)][:1]
    if not obstacles:
        obstacles = [*_obstacles(world, objects)]
        kept = {(each.kind, each.name) for each in obstacles}
        steps += [_applies(each) for each in objects if _at(each) not in kept]
    if obstacles:
        told = replace(
            observation, obstacles=tuple(taken(each.kind, each.name) for each in obstacles)
        )
        decision = replace(decide(told), announces=False)
    steps += [_removes(each.resource.kind, each.key.name, each.uid) for each in decision.deletions]
    if decision.status is not None and not decision.announces:
        steps.append(_says(decision.status))
    if decision.finalizer is Finalizer.REMOVE:
        steps.append(_let_go)
    return _each(world, steps)


class _At(NamedTuple):
    kind: str
    name: str


def _at(found: Object) -> _At:
    return _At(found["kind"], found["metadata"]["name"])


def _obstacles(world: World, wanted: Iterable[Object]) -> Iterator[_At]:
    """Where somebody else's object has the name of one that is wanted."""
    assert world.workspace is not None
    for each in wanted:
        live = world.children.get(_at(each))
        if live is not None and not Subject(world.workspace).owns(live):
            yield _at(each)


def _each(world: World, steps: Iterable[Step]) -> list[World]:
    found: list[World] = []
    for step in steps:
        after = step(world)
        if after is not world:
            found.append(after)
            world = after
    return found


def _held(world: World) -> World:
    assert world.workspace is not None
    return replace(world, workspace=_with_metadata(world.workspace, finalizers=[FINALIZER]))


def _let_go(world: World) -> World:
    if world.orders:
        return world  # the writer asks the API server once more
    return collected(replace(world, workspace=None))


def collected(world: World) -> World:
    """Without what was owned by what has gone."""
    return replace(
        world,
        children={at: each for at, each in world.children.items() if not _was_owned(each)},
        pods={},
    )


def _was_owned(child: Object) -> bool:
    return bool(child["metadata"].get("ownerReferences"))


def _says(status: Object) -> Callable[[World], World]:
    def say(world: World) -> World:
        if world.workspace is None or world.workspace.get("status") == status:
            return world
        return replace(world, workspace={**world.workspace, "status": status})

    return say


def _applies(desired: Object) -> Callable[[World], World]:
    def apply(world: World) -> World:
        kind, name = desired["kind"], desired["metadata"]["name"]
        if kind in ORDERS:
            live = world.orders.get(name)
            changed = _applied(desired, live, world)
            if changed is live:
                return world
            return replace(world, orders={**world.orders, name: changed}, born=world.born + 1)
        at = (kind, name)
        live = world.children.get(at)
        assert world.workspace is not None
        if live is not None and not Subject(world.workspace).owns(live):
            return replace(world, stained=f"it wrote {kind} {name}, which is somebody else's")
        changed = _applied(desired, live, world)
        if changed is live:
            return world
        return replace(world, children={**world.children, at: changed}, born=world.born + 1)

    return apply


def _applied(desired: Object, live: Object | None, world: World) -> Object:
    """What becomes of an object by server-side apply, as far as it matters here."""
    if live is None:
        metadata = {**desired["metadata"], "uid": f"uid-{world.born}", "generation": 1}
        return {**desired, "metadata": metadata}
    merged = {**live, **desired, "metadata": {**live["metadata"], **desired["metadata"]}}
    if merged == live:
        return live
    if merged.get("spec") != live.get("spec"):
        merged["metadata"]["generation"] = live["metadata"]["generation"] + 1
    return merged


def _removes(kind: str, name: str, uid: str) -> Callable[[World], World]:
    def remove(world: World) -> World:
        if kind in ORDERS:
            live = world.orders.get(name)
            same = live is not None and live["metadata"]["uid"] == uid
            return _deletes(name)(world) if same else world
        live = world.children.get((kind, name))
        if live is None or live["metadata"]["uid"] != uid:
            return world
        if not _was_owned(live):
            return replace(world, stained=f"it deleted {kind} {name}, which is somebody else's")
        return _without(world, (kind, name))

    return remove


def _deletes(name: str) -> Callable[[World], World]:
    def delete(world: World) -> World:
        """The provisioner's finalizer holds it until its node has gone."""
        live = world.orders[name]
        if "deletionTimestamp" in live["metadata"]:
            return world
        gone = _with_metadata(live, deletionTimestamp=rfc3339(NOW))
        return replace(world, orders={**world.orders, name: gone})

    return delete


def _without(world: World, at: tuple[str, str]) -> World:
    """A Job's Pods go with it."""
    pods = {} if at[0] == "Job" else world.pods
    return replace(world, children={k: v for k, v in world.children.items() if k != at}, pods=pods)


def _with_metadata(found: Object, **changes: Any) -> Object:
    return {**found, "metadata": {**found["metadata"], **changes}}


# What others do in their time.


def served(world: World, name: str) -> World:
    """The provisioner makes the node that an order asks for; its end, where it is being deleted."""
    order = world.orders[name]
    if "deletionTimestamp" in order["metadata"]:
        return replace(
            world,
            orders={k: v for k, v in world.orders.items() if k != name},
            nodes={k: v for k, v in world.nodes.items() if k != _node_of(name)},
        )
    said = [_condition(type_, "True") for type_ in (*LIVING, READY)]
    status = {"conditions": said, "nodeName": _node_of(name), "providerID": f"azure://{name}"}
    return replace(
        world,
        orders={**world.orders, name: {**order, "status": status}},
        nodes={**world.nodes, _node_of(name): _size_of(order)},
    )


def refused(world: World, name: str) -> World:
    """The cloud has no node of this size."""
    said = _condition(LAUNCHED, "False", "FamilyQuotaExceeded", QUOTA)
    said_ready = _condition(READY, "False", "FamilyQuotaExceeded", QUOTA)
    status = {"conditions": [said, said_ready]}
    return replace(world, orders={**world.orders, name: {**world.orders[name], "status": status}})


def rolled_out(world: World) -> World:
    """The Deployment's controller has done what was asked of it, where a node is there."""
    for at, child in world.children.items():
        if at[0] != "Deployment" or not _was_owned(child):
            continue
        ready = int(any(not size.startswith("-") for size in world.nodes.values()))
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {
            "observedGeneration": child["metadata"]["generation"],
            **dict.fromkeys(counts, child["spec"]["replicas"] * ready),
        }
        if child.get("status") != status:
            return replace(world, children={**world.children, at: {**child, "status": status}})
    return world


def _condition(type_: str, truth: str, reason: str = "R", message: str = "") -> Object:
    return {
        "type": type_,
        "status": truth,
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(NOW),
    }


def _node_of(name: str) -> str:
    return f"node-{name}"


def _size_of(order: Object) -> str:
    (values,) = [
        each["values"]
        for each in order["spec"]["requirements"]
        if each["key"] == "node.kubernetes.io/instance-type"
    ]
    return str(values[0])


def _unserved(world: World) -> Iterator[str]:
    """Orders that the provisioner has not answered to the end."""
    for name, order in sorted(world.orders.items()):
        conditions = order.get("status", {}).get("conditions", ())
        leaving = "deletionTimestamp" in order["metadata"]
        if leaving or not is_true(conditions, READY) or _node_of(name) not in world.nodes:
            yield name


def fair(world: World, decide: Decide) -> World:
    """The controller acts, then everybody does their part; nodes that were lost are there again."""
    world = replace(world, mischief=0)
    after = [world, *writes(world, decide)][-1]
    for name in _unserved(after):
        after = served(after, name)
    nodes = {name: size.lstrip("-") for name, size in after.nodes.items()}
    if nodes != after.nodes:
        after = replace(after, nodes=nodes)
    return rolled_out(after)


def moves(world: World, decide: Decide) -> Iterator[tuple[str, World]]:
    """Everything that can happen next."""
    steps = writes(world, decide)
    for number, after in enumerate(steps, 1):
        whole = number == len(steps)
        yield ("the controller acts" if whole else f"it dies after write {number}"), after
    for name in _unserved(world):
        yield f"the provisioner serves {name}", served(world, name)
    after = rolled_out(world)
    if after is not world:
        yield "the Deployment rolls out", after
    if world.mischief:
        spent = replace(world, mischief=world.mischief - 1)
        yield from _mischief(spent)


def _mischief(world: World) -> Iterator[tuple[str, World]]:
    for name in _unserved(world):
        if "deletionTimestamp" not in world.orders[name]["metadata"]:
            yield f"the cloud refuses {name}", refused(world, name)
    for name, size in world.nodes.items():
        if not size.startswith("-"):
            lost = {**world.nodes, name: f"-{size}"}
            yield f"{name} stops answering", replace(world, nodes=lost)
        left = {k: v for k, v in world.nodes.items() if k != name}
        yield f"{name} vanishes", replace(world, nodes=left)
    for name, order in world.orders.items():
        if "deletionTimestamp" not in order["metadata"]:
            yield f"somebody deletes {name}", _deletes(name)(world)
    for at in world.children:
        yield f"somebody deletes {' '.join(at)}", _without(world, at)
    for at, child in world.children.items():
        if at[0] == "Deployment" and child["spec"]["replicas"] and _was_owned(child):
            edited = copy.deepcopy(child)
            edited["spec"]["template"]["spec"]["containers"][0]["image"] = "theirs"
            edited["metadata"]["generation"] += 1
            yield (
                "somebody edits the Deployment",
                replace(world, children={**world.children, at: edited}),
            )
    yield "an hour passes", replace(world, hours=world.hours + 1)
    found = world.workspace
    if found is None:
        return
    if "status" in found:
        bare = {k: v for k, v in found.items() if k != "status"}
        yield "somebody removes the status", replace(world, workspace=bare)
    if "deletionTimestamp" not in found["metadata"]:
        yield "the Workspace is edited", replace(world, workspace=_edited(found))
        yield "the Workspace is deleted", deleted(world)
    if found["metadata"].get("finalizers"):
        bare = _with_metadata(found, finalizers=[])
        forced = replace(world, workspace=bare)
        if "deletionTimestamp" in found["metadata"]:
            forced = collected(replace(forced, workspace=None))
        yield "somebody removes the finalizer", forced


def deleted(world: World) -> World:
    """kubectl delete."""
    assert world.workspace is not None
    if not world.workspace["metadata"].get("finalizers"):
        return collected(replace(world, workspace=None))
    going = _with_metadata(world.workspace, deletionTimestamp=rfc3339(NOW))
    return replace(world, workspace=going)


def _edited(found: Object) -> Object:
    """With an adapter, or without it again; with the result under another name, or its first."""
    again = _with_metadata(found, generation=found["metadata"]["generation"] + 1)
    if "tuning" in found:
        output = dict(found["tuning"]["output"])
        output["image"] = output["image"].translate(str.maketrans("12", "21"))
        return {**again, "tuning": {**found["tuning"], "output": output}}
    inference = dict(found["inference"])
    if inference.pop("adapters", None) is None:
        source = {"name": "law", "image": "registry.example.com/law:1"}
        inference["adapters"] = [{"source": source}]
    return {**again, "inference": inference}


def wrong(world: World) -> str:
    """What must never be."""
    if world.stained:
        return world.stained
    live = [
        name for name, order in world.orders.items() if "deletionTimestamp" not in order["metadata"]
    ]
    if len(live) > NEEDED:
        return f"it asks for {len(live)} nodes and needs {NEEDED}: {', '.join(live)}"
    return ""


def undone(world: World) -> str:
    """What is missing of the desired end."""
    if world.workspace is None:
        left = [*world.orders, *(each for each in world.children.values() if _was_owned(each))]
        return f"the Workspace has gone, and there still is {left}" if left else ""
    if "deletionTimestamp" in world.workspace["metadata"]:
        return "the Workspace is still there"
    said = world.workspace.get("status", {}).get("conditions", ())
    if any(not _was_owned(each) for each in world.children.values()):
        told = any(each["reason"] == NAME_TAKEN for each in said)
        return "" if told else "it does not say that a name is taken"
    if not is_true(said, WORKSPACE_READY):
        return f"it is not ready: {[(c['type'], c['status'], c['message']) for c in said]}"
    if len(world.orders) != NEEDED:
        return f"it has {len(world.orders)} orders"
    return ""
