"""Pods of Nodes that are gone are removed: nobody is left to end them gracefully."""

from __future__ import annotations

from collections.abc import Iterable

from kaito.local.kinds import PODS
from kaito.runtime import Change, Client, Informer, Key, NotFound, Object, View


def by_node(view: View) -> tuple[str, ...]:
    """Index: the pods of a Node, by its name."""
    node = view.object.get("spec", {}).get("nodeName", "")
    return (node,) if node else ()


class Departure:
    """Reconciles Node names: removes the pods bound to a Node that was there and is gone.

    A pod that names a Node that never was is left alone: somebody may be about to make it.
    `pods` needs the index "node" (by_node).
    """

    def __init__(self, client: Client, nodes: Informer[Object], pods: Informer[Object]) -> None:
        self._client = client
        self._nodes = nodes.store
        self._pods = pods.store
        self._gone: set[str] = set()

    def node_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: a Node that has gone."""
        if change.kind != "deleted":
            self._gone.discard(change.key.name)
            return ()
        self._gone.add(change.key.name)
        return (change.key,)

    def pod_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: the Node of a pod, if it has gone; pods of an earlier run are looked at once."""
        node = change.object["spec"].get("nodeName", "")
        return (Key("", node),) if node and (change.initial or node in self._gone) else ()

    async def reconcile(self, key: Key) -> None:
        if key in self._nodes:
            return
        for pod in self._pods.by("node", key.name):
            header = self._pods.header(pod)
            if header is None:
                continue
            try:
                await self._client.delete(PODS, pod, uid=header.uid, grace_seconds=0)
            except NotFound:
                continue
