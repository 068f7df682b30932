"""Pods that no kubelet will end are ended: of Nodes that are gone, and those without a Node."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from kaito.local.kinds import PODS
from kaito.local.nodes.disruption import disrupt
from kaito.runtime import Change, Client, Clock, Informer, Key, NotFound, Object, View

OVER = ("Succeeded", "Failed")
GONE = "PodGC: node no longer exists"


def by_node(view: View) -> tuple[str, ...]:
    """Index: the pods of a Node, by its name."""
    node = view.object.get("spec", {}).get("nodeName", "")
    return (node,) if node else ()


class Departure:
    """Reconciles Node names: removes the pods bound to a Node that was there and is gone. Keys
    with a namespace are pods that were told to go before they had a Node.

    A pod that names a Node that never was is left alone: somebody may be about to make it.
    `pods` needs the index "node" (by_node).
    """

    def __init__(
        self, client: Client, nodes: Informer[Object], pods: Informer[Object], clock: Clock
    ) -> None:
        self._client = client
        self._clock = clock
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
        if not node and change.header.deleting and change.kind != "deleted":
            return (change.key,)
        return (Key("", node),) if node and (change.initial or node in self._gone) else ()

    async def reconcile(self, key: Key) -> None:
        if key.namespace:
            await self._end(key, "")
        elif key not in self._nodes:
            for pod in self._pods.by("node", key.name):
                await self._end(pod, GONE)

    async def _end(self, key: Key, why: str) -> None:
        """Let a pod fail, so that whoever counts it knows, and remove it."""
        pod = self._pods.get(key)
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        with suppress(NotFound):
            if pod.get("status", {}).get("phase") not in OVER:
                if why:
                    now = self._clock.now()
                    await disrupt(self._client, pod, "DeletionByPodGC", why, now)
                failed = {"metadata": {"uid": uid}, "status": {"phase": "Failed"}}
                await self._client.patch(PODS, key, failed, subresource="status")
            if why or not pod["metadata"].get("deletionTimestamp"):
                await self._client.delete(PODS, key, uid=uid, grace_seconds=0)
