"""The scheduler's picture of the cluster: Nodes, what is used of them, and who waits.

Kept up to date by the informers' handlers, so that one attempt costs as much as there are Nodes
that could fit and not as there are Nodes. A pod that has been given a Node counts from that
moment, before the cluster has confirmed it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kaito.local.scheduling.fit import (
    NO_MATCH,
    ZERO,
    HostPort,
    NodeView,
    PodNeeds,
    Refusal,
    Resources,
    Taints,
    load,
    matches_selector,
    misfit,
    refused_by_taints,
)
from kaito.local.scheduling.neighbours import Judge, Neighbour, judge_of
from kaito.local.scheduling.preemption import Candidate, least_harm, victims_on
from kaito.runtime import Change, Key

# Where pods are filed that ask for no label.
ANYWHERE = ("", "")
OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Choice:
    """The Node for a pod; where there is none, how the `total` Nodes refused it."""

    node: str = ""
    total: int = 0
    refusals: Mapping[Refusal, int] | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """What counts of a pod that has a Node."""

    node: str
    requests: Resources
    ports: tuple[HostPort, ...]
    priority: int
    labels: Mapping[str, str]
    repels: tuple[Mapping[str, Any], ...]


class Picture:
    """Every change of a Node or a pod must pass through `node_changed` or `pod_changed`."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeView] = {}
        self._labelled: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._tainted: Counter[Taints] = Counter()
        self._placed: dict[Key, _Place] = {}
        self._on: dict[str, set[Key]] = defaultdict(set)
        self._used: dict[str, dict[str, Decimal]] = defaultdict(dict)
        self._repelling: set[Key] = set()
        """Pods with required anti-affinity: the only ones that others must heed."""
        self._leaving: set[Key] = set()
        self._waiting: dict[Key, tuple[str, str]] = {}
        self._sociable: set[Key] = set()
        self._waiting_for: dict[tuple[str, str], set[Key]] = defaultdict(set)

    def node_changed(self, change: Change) -> bool:
        """A Node came, changed or went. Whether scheduling sees a difference."""
        name = change.key.name
        view = NodeView.of(change.object) if change.kind != "deleted" else None
        before = self._nodes.pop(name, None)
        if view is not None:
            self._nodes[name] = view
        if before == view:
            return False
        if before is not None:
            self._tainted[before.taints] -= 1
            for pair in before.labels.items():
                self._labelled[pair].discard(name)
                if not self._labelled[pair]:
                    del self._labelled[pair]
        if view is not None:
            self._tainted[view.taints] += 1
            for pair in view.labels.items():
                self._labelled[pair].add(name)
        self._tainted = +self._tainted
        return True

    def pod_changed(self, change: Change) -> None:
        """A pod came, changed or went."""
        key = change.key
        if change.kind == "deleted" or change.replaced:
            self.stop_waiting(key)
            self.release(key)
        if change.kind == "deleted":
            return
        pod = change.object
        node = pod["spec"].get("nodeName", "")
        if pod.get("status", {}).get("phase") in OVER:
            self.release(key)
        elif node and not self._is_known(key, node, change):
            self.place(key, node, PodNeeds.of(pod))
        if node:
            self.stop_waiting(key)
        if change.header.deleting:
            self._leaving.add(key)

    def _is_known(self, key: Key, node: str, change: Change) -> bool:
        """Whether nothing changed that counts here: a pod's needs stay, but for its labels."""
        place = self._placed.get(key)
        if place is None or place.node != node:
            return False
        return place.labels == change.header.labels

    def placed(self, key: Key) -> bool:
        """Whether the pod has a Node, or has just been given one."""
        return key in self._placed

    def place(self, key: Key, node: str, needs: PodNeeds) -> None:
        """Count the pod as being on that Node."""
        self.release(key)
        self._placed[key] = _Place(
            node,
            needs.requests,
            needs.ports,
            needs.priority,
            needs.rules.labels,
            needs.rules.repels,
        )
        self._on[node].add(key)
        if needs.rules.repels:
            self._repelling.add(key)
        used = self._used[node]
        for name, amount in needs.requests.items():
            used[name] = used.get(name, ZERO) + amount

    def release(self, key: Key) -> None:
        """Count the pod no more."""
        place = self._placed.pop(key, None)
        if place is None:
            return
        self._repelling.discard(key)
        self._leaving.discard(key)
        self._on[place.node].discard(key)
        if not self._on[place.node]:
            del self._on[place.node], self._used[place.node]
            return
        used = self._used[place.node]
        for name, amount in place.requests.items():
            used[name] -= amount

    def choose(self, needs: PodNeeds) -> Choice:
        """The Node for a pod, or why there is none."""
        names = self._candidates(needs)
        judge = self._judge(needs, names)
        # The emptiest, and of those that are equally so the one with the fewest pods: they spread
        # though they ask for nothing.
        best: tuple[Decimal, int, str] | None = None
        refusals: Counter[Refusal] = Counter()
        tried: Counter[Taints] = Counter()
        for name in names:
            node = self._nodes[name]
            used = self._used.get(name, {})
            tried[node.taints] += 1
            refusal = self._refusal(needs, node, used, self._taken(name, needs), judge)
            if refusal is not None:
                refusals[refusal] += 1
                continue
            score = (load(node, used), len(self._on.get(name, ())), name)
            best = score if best is None else min(best, score)
        if best is not None:
            return Choice(best[-1])
        # The others lack a label; but taints are asked before labels.
        for taints, count in self._tainted.items():
            reason = refused_by_taints(needs.tolerations, taints) or NO_MATCH
            refusals[reason] += count - tried[taints]
        return Choice("", len(self._nodes), refusals)

    def makes_room(self, node: str, needs: PodNeeds) -> bool:
        """Whether a pod of lower priority is on its way out of that Node."""
        leaving = self._leaving.intersection(self._on.get(node, ()))
        return any(self._placed[key].priority < needs.priority for key in leaving)

    def preempt(self, needs: PodNeeds) -> Candidate | None:
        """The Node that has room once pods of lower priority are gone, None when none has."""
        if not needs.preempts:
            return None
        names = self._candidates(needs)
        judge = self._judge(needs, names)
        found = []
        for name in names:
            lower = [
                (place.priority, key)
                for key in self._on.get(name, ())
                if (place := self._placed[key]).priority < needs.priority
            ]
            if lower and (there := self._victims(needs, name, lower, judge)) is not None:
                found.append(there)
        return least_harm(found)

    def _victims(
        self, needs: PodNeeds, name: str, lower: list[tuple[int, Key]], judge: Judge | None
    ) -> Candidate | None:
        node, used = self._nodes[name], self._used.get(name, {})

        def fits(gone: Iterable[Key]) -> bool:
            left = dict(used)
            for key in gone:
                for resource, amount in self._placed[key].requests.items():
                    left[resource] -= amount
            taken = self._taken(name, needs, without=set(gone))
            return self._refusal(needs, node, left, taken, judge) is None

        return victims_on(name, lower, fits)

    def _refusal(
        self,
        needs: PodNeeds,
        node: NodeView,
        used: Resources,
        taken: set[HostPort],
        judge: Judge | None,
    ) -> Refusal | None:
        refusal = misfit(needs, node, used, taken)
        if refusal is None and judge is not None:
            reason, helps = judge(node.labels)
            return Refusal((reason,), not helps) if reason else None
        return refusal

    def _taken(self, node: str, needs: PodNeeds, without: Iterable[Key] = ()) -> set[HostPort]:
        """The ports of the host that pods on a Node hold; nobody looks unless the pod asks."""
        if not needs.ports:
            return set()
        staying = self._on.get(node, set()).difference(without)
        return {port for key in staying for port in self._placed[key].ports}

    def _judge(self, needs: PodNeeds, names: Iterable[str]) -> Judge | None:
        """The rules about neighbours as a test of Nodes, None where nobody has any."""
        if needs.rules:
            keys: Iterable[Key] = self._placed
        elif self._repelling:
            keys = self._repelling
        else:
            return None
        neighbours = [
            Neighbour(
                namespace=key.namespace,
                labels=place.labels,
                domains=node.labels,
                repels=place.repels,
            )
            for key in keys
            if (node := self._nodes.get((place := self._placed[key]).node)) is not None
        ]
        nodes = [self._nodes[name] for name in names]
        return judge_of(
            needs.rules,
            neighbours,
            [node.labels for node in nodes if matches_selector(needs, node)],
        )

    def _candidates(self, needs: PodNeeds) -> list[str]:
        """A superset of the Nodes whose labels the pod asks for."""
        sets = [self._labelled.get(pair, set()) for pair in needs.pairs()]
        return sorted(min(sets, key=len) if sets else self._nodes)

    def wait(self, key: Key, needs: PodNeeds) -> None:
        """The pod waits for a Node; of what it asks for, the rarest label decides where."""
        pairs = needs.pairs()
        pair = min(pairs, key=lambda each: len(self._labelled.get(each, ()))) if pairs else ANYWHERE
        self.stop_waiting(key)
        self._waiting[key] = pair
        if needs.rules:
            self._sociable.add(key)
        self._waiting_for[pair].add(key)

    def stop_waiting(self, key: Key) -> None:
        """The pod has a Node, or is gone."""
        pair = self._waiting.pop(key, None)
        self._sociable.discard(key)
        if pair is not None:
            self._waiting_for[pair].discard(key)
            if not self._waiting_for[pair]:
                del self._waiting_for[pair]

    def hopeful(self, labels: Iterable[tuple[str, str]]) -> list[Key]:
        """The waiting pods that a Node with these labels may suit."""
        found = set(self._waiting_for.get(ANYWHERE, ()))
        for pair in labels:
            found |= self._waiting_for.get(pair, set())
        return sorted(found)

    def sociable(self) -> list[Key]:
        """The waiting pods that go where other pods are, or are not."""
        return sorted(self._sociable)

    def labels_of(self, node: str) -> Iterable[tuple[str, str]]:
        """The labels of a Node; none when it is gone."""
        view = self._nodes.get(node)
        return view.labels.items() if view is not None else ()

    def node_of(self, key: Key) -> str:
        """The Node of a pod, "" when it has none."""
        place = self._placed.get(key)
        return place.node if place is not None else ""
