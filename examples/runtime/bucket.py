"""Keeps a bucket of a storage service for each Bucket, and removes it before the Bucket goes.

A finalizer: the API server keeps a deleted object until we have cleaned up outside of the cluster.
`buckets.yaml` defines the kind.
"""

from __future__ import annotations

from typing import Protocol

from kaito.runtime import Applier, Client, Controller, Key, Manager, Object, Resource, watch

BUCKETS: Resource[Object] = Resource("example.com", "v1", "buckets", "Bucket")
FINALIZER = "example.com/bucket"


class Storage(Protocol):
    """The service outside. Both calls may be repeated, and may raise to be tried again."""

    async def ensure(self, name: str) -> None: ...

    async def remove(self, name: str) -> None: ...


def build(client: Client, storage: Storage) -> Manager:
    manager = Manager(client, name="bucket")
    buckets = manager.informer(BUCKETS)
    applier = Applier(client, metrics=manager.metrics)

    async def hold(bucket: Object, finalizers: list[str]) -> None:
        """Have exactly these finalizers of ours; those of others are theirs."""
        meta = {name: bucket["metadata"][name] for name in ("name", "namespace", "uid")}
        desired = {name: bucket[name] for name in ("apiVersion", "kind")}
        desired["metadata"] = meta | ({"finalizers": finalizers} if finalizers else {})
        await applier.apply(buckets.store, desired)

    async def reconcile(key: Key) -> None:
        bucket = buckets.store.get(key)
        if bucket is None:
            return
        name = f"{key.namespace}-{key.name}"
        if "deletionTimestamp" not in bucket["metadata"]:
            await hold(bucket, [FINALIZER])  # first, or a crash now would leave a bucket behind
            await storage.ensure(name)
        elif FINALIZER in bucket["metadata"].get("finalizers", ()):
            await storage.remove(name)
            await hold(bucket, [])  # last: from here on nobody remembers

    manager.add(Controller("bucket", reconcile, primary=watch(buckets)))
    return manager
