"""No node is used by two Workspaces, in whatever order they are looked at and however old what is
seen of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.observe import observe
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object
from kaito.runtime.wire import open_object
from test.unit.controllers.workspace.scene import CATALOG, NOW, SIZE, held

NAMES = ("a", "b", "c")
NODES = 2
BYO = Settings(node_request="byo")


def free_node(number: int) -> Object:
    labels = {"apps": "phi-3", "node.kubernetes.io/instance-type": SIZE}
    return {
        "metadata": {"name": f"n{number}", "labels": labels},
        "status": {
            "allocatable": {"nvidia.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class World:
    """An API server with a history of writes, and one cache that lags behind it."""

    def __init__(self) -> None:
        self.live: dict[str, Object] = {}
        self.caches = Documents().stores
        self._unseen: list[Object] = []
        self.running: dict[str, frozenset[str]] = {}
        for number in range(NODES):
            self._put(self.caches.nodes, free_node(number))
        for place, name in enumerate(NAMES):
            # The last is the oldest: who claims first is not who is older.
            born = f"2026-01-0{9 - place}T00:00:00Z"
            meta = {"name": name, "uid": f"uid-{name}", "creationTimestamp": born}
            self.live[name] = held(metadata=meta)
            self._put(self.caches.workspaces, self.live[name])

    # Any: each store reads its kind as another type.
    def _put(self, store: Any, obj: Object) -> None:
        key, header, body = open_object(store.resource.encode(obj))
        store.put(key, header, body)

    def catch_up(self, steps: int) -> None:
        """The cache sees that many more writes, in their order."""
        for _ in range(min(steps, len(self._unseen))):
            self._put(self.caches.workspaces, self._unseen.pop(0))

    def turn(self, name: str) -> None:
        # The runtime lets no turn begin before the one before it is seen (kaito/runtime/fence.py).
        while any(Key.of(each).name == name for each in self._unseen):
            self.catch_up(1)
        seen = self.caches.workspaces.object(Key("default", name))
        assert seen is not None
        decision = decide(observe(self.caches, seen, NOW), CATALOG, BYO)
        for each in decision.objects:
            if each["kind"] == "Deployment":
                self.running[name] = hosts(each)
        if decision.status is not None and decision.status != self.live[name].get("status"):
            self.live[name] = {**self.live[name], "status": decision.status}
            self._unseen.append(self.live[name])


def hosts(deployment: Object) -> frozenset[str]:
    affinity = deployment["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return frozenset(
        value
        for term in terms
        for each in term["matchExpressions"]
        if each["key"] == "kubernetes.io/hostname"
        for value in each["values"]
    )


STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), max_size=30)


@given(STEPS)
def test_no_node_is_used_by_two_workspaces(steps: list[tuple[str, int]]) -> None:
    world = World()
    for name, seen in steps:
        world.turn(name)
        world.catch_up(seen)
        used = [node for nodes in world.running.values() for node in nodes]
        assert len(used) == len(set(used)), world.running


@given(STEPS)
def test_every_node_finds_its_workspace_once_all_is_seen(steps: list[tuple[str, int]]) -> None:
    world = World()
    for name, seen in steps:
        world.turn(name)
        world.catch_up(seen)
    for _ in range(2 * len(NAMES)):
        for name in NAMES:
            world.catch_up(100)
            world.turn(name)
    used = [node for nodes in world.running.values() for node in nodes]
    assert sorted(used) == ["n0", "n1"]
