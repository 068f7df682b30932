"""What is read out of the caches, and whom a change concerns."""

from __future__ import annotations

from typing import Any

from kaito.controllers.kinds import (
    NODE_PARTS,
    NODES,
)
from kaito.controllers.workspace.controller import Wakes
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import (
    POD_PARTS,
    PODS,
)
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.observe import observe
from kaito.runtime import Change, Key, Object, Resource
from kaito.runtime.wire import open_object
from test.unit.controllers.workspace.scene import SIZE, workspace

W = Key("default", "w")
OWNER = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
OTHERS = {"kaito.sh/workspace": "v", "kaito.sh/workspacenamespace": "default"}
SAME_NAME = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "elsewhere"}
FREE = {"apps": "phi-3", "node.kubernetes.io/instance-type": SIZE}


class Caches:
    """Caches that a test fills by hand."""

    def __init__(self) -> None:
        self.stores = Documents().stores
        self.wakes = Wakes(self.stores)

    def put(self, store: Any, obj: Object) -> Change:
        resource: Resource[Any] = store.resource
        key, header, body = open_object(resource.encode(obj))
        store.put(key, header, body)
        return Change(resource, key, header, body, kind="modified")

    def remove(self, store: Any, key: Key) -> Change:
        header, body = store.remove(key)
        return Change(store.resource, key, header, body, kind="deleted")

    def workspace(self, name: str = "w", *, created: str = "2026-01-01", **changes: Any) -> Change:
        metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": f"{created}T00:00:00Z"}
        return self.put(self.stores.workspaces, workspace(metadata=metadata, **changes))

    def node(self, name: str, **labels: str) -> Change:
        return self.put(self.stores.nodes, {"metadata": {"name": name, "labels": labels}})

    def seen(self, key: Key = W) -> Observation:
        found = self.stores.workspaces.object(key)
        assert found is not None
        return observe(self.stores, found, 5.0)


def counting(*nodes: str, ready: bool = False) -> Object:
    status: Object = {"workerNodes": list(nodes)}
    if ready:
        status["conditions"] = [{"type": "ResourceReady", "status": "True"}]
    return status


def test_machines_and_pods_are_known_by_name_and_namespace() -> None:
    caches = Caches()
    caches.workspace()
    for name, labels in [("b", OWNER), ("a", OWNER), ("c", OTHERS), ("d", SAME_NAME), ("e", {})]:
        meta = {"name": name, "labels": labels}
        caches.put(caches.stores.orders["Machine"], {"metadata": meta})
        caches.put(caches.stores.pods, {"metadata": {**meta, "namespace": "default"}})
    observation = caches.seen()
    assert [m.metadata.name for m in observation.orders] == ["a", "b"]
    assert [p["metadata"]["name"] for p in observation.pods] == ["a", "b"]
    assert observation.now == 5.0


def test_a_pod_of_another_namespace_cannot_speak_for_a_workspace() -> None:
    caches = Caches()
    caches.workspace()
    meta = {"name": "a", "namespace": "elsewhere", "labels": OWNER}
    foreign = caches.put(caches.stores.pods, {"metadata": meta})
    assert caches.seen().pods == ()
    assert list(caches.wakes.labelled(foreign)) == []


def test_nodes_are_the_workspaces_own_and_those_of_nobody_that_it_selects() -> None:
    caches = Caches()
    caches.workspace()
    caches.node("own", **OWNER)
    caches.node("others", **FREE, **OTHERS)
    caches.node("free", **FREE)
    caches.node("of-rag", **FREE, **{"kaito.sh/ragengine": "r"})
    caches.node("unlike", apps="llama")
    assert [n.name for n in caches.seen().nodes] == ["own", "free"]


def test_two_workspaces_with_one_selector_never_see_each_others_machines_and_nodes() -> None:
    caches = Caches()
    caches.workspace("w")
    caches.workspace("v")
    for owner, labels in [("w", OWNER), ("v", OTHERS)]:
        caches.node(f"node-{owner}", **FREE, **labels)
        caches.put(
            caches.stores.orders["Machine"], {"metadata": {"name": f"m-{owner}", "labels": labels}}
        )
    for owner in ("w", "v"):
        observation = caches.seen(Key("default", owner))
        assert [n.name for n in observation.nodes] == [f"node-{owner}"]
        assert [m.metadata.name for m in observation.orders] == [f"m-{owner}"]


def test_a_node_that_somebody_counts_is_taken() -> None:
    caches = Caches()
    caches.workspace("w", created="2025-01-01")
    caches.workspace("v", created="2026-01-01", status=counting("free"))
    caches.node("free", **FREE)
    assert caches.seen().taken == {"free"}
    assert caches.seen(Key("default", "v")).taken == frozenset()


def test_of_two_that_count_a_node_the_older_keeps_it() -> None:
    caches = Caches()
    caches.workspace("w", created="2025-01-01", status=counting("free"))
    caches.workspace("v", created="2026-01-01", status=counting("free"))
    caches.node("free", **FREE)
    assert caches.seen().taken == frozenset()
    assert caches.seen(Key("default", "v")).taken == {"free"}


def test_a_selector_that_is_none_selects_every_node_of_nobody() -> None:
    caches = Caches()
    caches.workspace(resource={"labelSelector": {}})
    caches.node("any", anything="goes")
    caches.node("others", **OTHERS)
    assert [n.name for n in caches.seen().nodes] == ["any"]
    caches.workspace(resource=None)
    assert [n.name for n in caches.seen().nodes] == ["any"]


# Whom a change concerns


def test_what_carries_a_workspaces_labels_wakes_it() -> None:
    caches = Caches()
    change = caches.put(
        caches.stores.orders["Machine"], {"metadata": {"name": "m", "labels": OWNER}}
    )
    assert list(caches.wakes.labelled(change)) == [W]
    stray = caches.put(caches.stores.orders["Machine"], {"metadata": {"name": "m"}})
    assert list(caches.wakes.labelled(stray)) == []


def test_a_node_of_nobody_wakes_who_counts_it_and_who_waits_for_one_like_it() -> None:
    caches = Caches()
    caches.workspace("w")
    caches.workspace("v", status=counting("n", ready=True))
    caches.workspace("u", status=counting(ready=True))
    caches.workspace("t", resource={"labelSelector": {"matchLabels": {"apps": "llama"}}})
    assert set(caches.wakes.node(caches.node("n", **FREE))) == {W, Key("default", "v")}
    assert set(caches.wakes.node(caches.node("o", **FREE))) == {W}
    assert set(caches.wakes.node(caches.node("p", **FREE, **OTHERS))) == {Key("default", "v")}


def test_a_workspace_that_counts_a_node_wakes_its_rivals() -> None:
    caches = Caches()
    caches.workspace("v", status=counting("n"))
    change = caches.workspace("w", status=counting("n", ready=True))
    assert set(caches.wakes.rivals(change)) == {Key("default", "v")}


def test_a_workspace_that_sees_its_claim_to_a_node_goes_on() -> None:
    caches = Caches()
    change = caches.workspace("w", status=counting("n"))
    assert set(caches.wakes.rivals(change)) == {W}


def test_a_node_that_two_count_belongs_to_who_runs_there_and_else_to_the_older() -> None:
    caches = Caches()
    v = Key("default", "v")
    caches.node("n", **FREE)
    caches.workspace("w", created="2025-01-01", status=counting("n"))
    caches.workspace("v", created="2026-01-01", status=counting("n"))
    assert (caches.seen().taken, caches.seen().contested) == (frozenset(), {"n"})
    assert caches.seen(v).taken == {"n"}
    caches.workspace("v", created="2026-01-01", status=counting("n", ready=True))
    assert caches.seen().taken == {"n"}
    assert (caches.seen(v).taken, caches.seen(v).contested) == (frozenset(), frozenset())


def test_a_workspace_that_goes_wakes_who_waits_for_its_nodes() -> None:
    caches = Caches()
    caches.workspace("w", status=counting("n", ready=True))
    caches.workspace("v")
    caches.node("n", **FREE)
    change = caches.remove(caches.stores.workspaces, W)
    assert set(caches.wakes.rivals(change)) == {Key("default", "v")}


# What is cached of an object


def test_of_a_node_only_what_decisions_need_is_cached() -> None:
    body = NODES.encode(
        {
            "kind": "Node",
            "metadata": {"name": "n", "labels": FREE},
            "spec": {"providerID": "azure://n", "podCIDR": "10.0.0.0/24"},
            "status": {"images": [{"sizeBytes": 1}], "allocatable": {"nvidia.com/gpu": "1"}},
        }
    )
    kept = NODE_PARTS(body)
    assert b"images" not in kept
    assert b"podCIDR" not in kept
    assert NODES.decode(kept) == NODES.decode(body)
    assert NODES.decode(kept).has_gpus


def test_of_a_pod_its_troubles_are_cached() -> None:
    body = PODS.encode(
        {
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1"},
        }
    )
    assert PODS.decode(POD_PARTS(body)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running"},
    }
