"""The bucket controller cleans up outside of the cluster before its object goes."""

from __future__ import annotations

import bucket
from bucket import BUCKETS, FINALIZER

from kaito.runtime import Client, Key, NotFound, Object
from kaito.testing import Cluster, Pulse, eventually, running
from test.integration.examples.conftest import EXAMPLES

PHOTOS = Key("default", "photos")


class FakeStorage:
    """Buckets in memory; refuses to remove while told to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.refusals = 0
        self.changes = Pulse()

    async def ensure(self, name: str) -> None:
        self.names.add(name)
        self.changes.beat()

    async def remove(self, name: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("the service is away")
        self.names.discard(name)
        self.changes.beat()


async def test_the_bucket_outside_comes_and_goes_with_the_object(
    kube: Cluster, kube_client: Client
) -> None:
    storage = FakeStorage()

    async def gone() -> bool:
        try:
            await kube_client.get(BUCKETS, PHOTOS)
        except NotFound:
            return True
        return False

    await kube.install(EXAMPLES / "buckets.yaml")
    async with running(bucket.build(kube.client(field_manager="bucket"), storage)):
        await kube_client.create(BUCKETS, photos())
        await eventually(lambda: storage.names == {"default-photos"}, storage.changes)
        held = await kube_client.get(BUCKETS, PHOTOS)
        assert held["metadata"]["finalizers"] == [FINALIZER]
        storage.refusals = 2
        await kube_client.delete(BUCKETS, PHOTOS)
        await eventually(gone, kube)
        assert storage.refusals == 0
        assert storage.names == set()


async def test_the_finalizers_of_others_are_left_alone(kube: Cluster, kube_client: Client) -> None:
    storage = FakeStorage()

    async def finalizers(wanted: list[str]) -> bool:
        found = await kube_client.get(BUCKETS, PHOTOS)
        return sorted(found["metadata"].get("finalizers", [])) == wanted

    await kube.install(EXAMPLES / "buckets.yaml")
    async with running(bucket.build(kube.client(field_manager="bucket"), storage)):
        await kube_client.create(BUCKETS, photos(finalizers=["example.org/other"]))
        await eventually(lambda: finalizers([FINALIZER, "example.org/other"]), kube)
        await kube_client.delete(BUCKETS, PHOTOS)
        await eventually(lambda: finalizers(["example.org/other"]), kube)
        assert storage.names == set()


def photos(**metadata: object) -> Object:
    return {
        "apiVersion": BUCKETS.api_version,
        "kind": BUCKETS.kind,
        "metadata": {"name": PHOTOS.name, "namespace": PHOTOS.namespace, **metadata},
    }
