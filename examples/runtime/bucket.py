"""Keeps a bucket of a storage service for each Bucket, and removes it before the Bucket goes.

A finalizer: the API server keeps a deleted object until we have cleaned up outside of the cluster.
`buckets.yaml` defines the kind.
"""

from __future__ import annotations

from typing import Protocol

from kaito import runtime as kr

BUCKETS: kr.Resource[kr.Object] = kr.Resource("example.com", "v1", "buckets", "Bucket")
FINALIZER = "example.com/bucket"


class Storage(Protocol):
    """The service outside. Both calls may be repeated, and may raise to be tried again."""

    async def ensure(self, name: str) -> None: ...

    async def remove(self, name: str) -> None: ...


def build(client: kr.Client, storage: Storage) -> kr.Manager:
    manager = kr.Manager(client, name="bucket")
    buckets = manager.informer(BUCKETS)

    async def reconcile(key: kr.Key) -> None:
        bucket = buckets.store.get(key)
        if bucket is None:
            return
        name = f"{key.namespace}-{key.name}"
        if "deletionTimestamp" not in bucket["metadata"]:
            # First, or a crash now would leave a bucket behind.
            if patch := kr.adding_finalizer(bucket, FINALIZER):
                await client.patch(BUCKETS, key, patch)
            await storage.ensure(name)
        elif patch := kr.removing_finalizer(bucket, FINALIZER):
            await storage.remove(name)
            # Last: from here on nobody remembers.
            await client.patch(BUCKETS, key, patch)

    manager.add(kr.Controller("bucket", reconcile, primary=kr.watch(buckets)))
    return manager
