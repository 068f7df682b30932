"""PersistentVolumes that were made for claims, and end with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kaito.local.kinds import PERSISTENT_VOLUMES
from kaito.runtime import Change, Client, Informer, Key, NotFound, Object

PROVISIONER = "local.kaito.sh/directory"
CLASS_NAME = "standard"
CLASS: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": CLASS_NAME,
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
}
"""What claims get that name no class."""
PROTECTION = "kubernetes.io/pv-protection"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def volume_of(claim: Object) -> Object:
    """The volume that a claim is given."""
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{metadata['uid']}",
            "annotations": {_PROVISIONED_BY: PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "hostPath": {"path": f"/claims/{metadata['uid']}", "type": ""},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


class Volumes:
    """The reconciler of volumes. What claims hold lies under `directory`, by their uid."""

    def __init__(
        self,
        client: Client,
        volumes: Informer[Object],
        claims: Informer[Object],
        directory: Path,
    ) -> None:
        self._client = client
        self._volumes = volumes.store
        self._claims = claims.store
        self._directory = directory

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.get(key)
        if volume is None:
            return
        metadata = volume["metadata"]
        if (metadata.get("annotations") or {}).get(_PROVISIONED_BY) != PROVISIONER:
            return
        claim = volume["spec"]["claimRef"]
        header = self._claims.header(Key(claim["namespace"], claim["name"]))
        if header is not None and header.uid == claim["uid"]:
            return
        with suppress(NotFound):
            if not metadata.get("deletionTimestamp"):
                if volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
                    return
                # A name holds no slash and is not "..".
                place = self._directory / metadata["name"].removeprefix("pvc-")
                shutil.rmtree(place, ignore_errors=True)
                await self._client.delete(PERSISTENT_VOLUMES, key, uid=metadata["uid"])
            if PROTECTION in (metadata.get("finalizers") or ()):
                kept = [each for each in metadata["finalizers"] if each != PROTECTION]
                patch = {"metadata": {"uid": metadata["uid"], "finalizers": kept}}
                await self._client.patch(PERSISTENT_VOLUMES, key, patch)

    def claim_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: the volume of a claim that has gone."""
        return [Key("", f"pvc-{change.header.uid}")] if change.kind == "deleted" else []
