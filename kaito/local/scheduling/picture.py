"""The scheduler's picture of the cluster: Nodes, what is used of them, and who waits.

Kept up to date by the informers' handlers, so that one attempt costs as much as there are Nodes
that could fit and not as there are Nodes. A pod that has been given a Node counts from that
moment, before the cluster has confirmed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from kaito.local.scheduling.fit import (
    SELECTOR_REASON,
    ZERO,
    NodeView,
    PodNeeds,
    Resources,
    load,
    misfit,
    pod_requests,
    unavailable,
)
from kaito.runtime import Change, Key

# Where pods are filed that ask for no label.
ANYWHERE = ("", "")
OVER = ("Succeeded", "Failed")


class Picture:
    """Every change of a Node or a pod must pass through `node_changed` or `pod_changed`."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeView] = {}
        self._labelled: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._placed: dict[Key, tuple[str, Resources]] = {}
        self._used: dict[str, dict[str, Decimal]] = defaultdict(dict)
        self._waiting: dict[Key, tuple[str, str]] = {}
        self._waiting_for: dict[tuple[str, str], set[Key]] = defaultdict(set)

    def node_changed(self, change: Change) -> None:
        """A Node came, changed or went."""
        name = change.key.name
        before = self._nodes.pop(name, None)
        for pair in before.labels.items() if before is not None else ():
            self._labelled[pair].discard(name)
            if not self._labelled[pair]:
                del self._labelled[pair]
        if change.kind == "deleted":
            return
        view = self._nodes[name] = NodeView.of(change.object)
        for pair in view.labels.items():
            self._labelled[pair].add(name)

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
        elif node:
            self.place(key, node, pod_requests(pod["spec"]))
        if node:
            self.stop_waiting(key)

    def placed(self, key: Key) -> bool:
        """Whether the pod has a Node, or has just been given one."""
        return key in self._placed

    def place(self, key: Key, node: str, requests: Resources) -> None:
        """Count the pod as being on that Node."""
        if key in self._placed and self._placed[key] == (node, requests):
            return
        self.release(key)
        self._placed[key] = (node, requests)
        used = self._used[node]
        for name, amount in requests.items():
            used[name] = used.get(name, ZERO) + amount

    def release(self, key: Key) -> None:
        """Count the pod no more."""
        node, requests = self._placed.pop(key, ("", {}))
        used = self._used.get(node)
        if used is None:
            return
        for name, amount in requests.items():
            used[name] -= amount
        if not any(used.values()):
            del self._used[node]

    def choose(self, needs: PodNeeds) -> tuple[str, str]:
        """The Node for a pod: (name, ""), or ("", why there is none)."""
        candidates = self._candidates(needs)
        best: tuple[Decimal, str] | None = None
        reasons = [(SELECTOR_REASON, len(self._nodes) - len(candidates))]
        for name in candidates:
            node = self._nodes[name]
            used = self._used.get(name, {})
            reason = misfit(needs, node, used)
            if reason:
                reasons.append((reason, 1))
                continue
            score = (load(node, used), name)
            best = score if best is None else min(best, score)
        if best is not None:
            return best[1], ""
        return "", unavailable(len(self._nodes), reasons)

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
        self._waiting_for[pair].add(key)

    def stop_waiting(self, key: Key) -> None:
        """The pod has a Node, or is gone."""
        pair = self._waiting.pop(key, None)
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

    def labels_of(self, node: str) -> Iterable[tuple[str, str]]:
        """The labels of a Node; none when it is gone."""
        view = self._nodes.get(node)
        return view.labels.items() if view is not None else ()

    def node_of(self, key: Key) -> str:
        """The Node of a pod, "" when it has none."""
        return self._placed.get(key, ("", {}))[0]
