"""PersistentVolumeClaims: a volume for each that names a storage class, and leave to go.

Every class provisions: a volume is a directory, which the kubelet makes when a program mounts it.
A claim without a class stays Pending, as in a cluster without a default class; where there is one,
the API server has written it into the claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from kaito.local.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kaito.local.storage.volumes import PROVISIONER, volume_of
from kaito.local.workloads.podview import OVER, phase
from kaito.runtime import AlreadyExists, Change, Client, EventRecorder, Informer, Key, Object

PROTECTION = "kubernetes.io/pvc-protection"


class Claims:
    """The reconciler of claims."""

    def __init__(
        self,
        client: Client,
        claims: Informer[Object],
        pods: Informer[Object],
        recorder: EventRecorder,
    ) -> None:
        self._client = client
        self._claims = claims.store
        self._pods = pods.store
        self._recorder = recorder

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None:
            return
        if claim["metadata"].get("deletionTimestamp"):
            await self._release(key, claim)
        elif claim["spec"].get("storageClassName") and not claim["spec"].get("volumeName"):
            await self._provision(key, claim)

    def pod_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: the claims that may go once a pod has gone or ended."""
        return [
            key
            for key in self._claims
            if key.namespace == change.key.namespace
            and (header := self._claims.header(key)) is not None
            and header.deleting
        ]

    async def _provision(self, key: Key, claim: Object) -> None:
        volume = volume_of(claim)
        name = volume["metadata"]["name"]
        with suppress(AlreadyExists):
            created = await self._client.create(PERSISTENT_VOLUMES, volume)
            await self._client.update_status(
                PERSISTENT_VOLUMES, {**created, "status": {"phase": "Bound"}}
            )
            said = f"Successfully provisioned volume {name}"
            self._recorder.event(claim, reason="ProvisioningSucceeded", message=said)
        marks = {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.kubernetes.io/storage-provisioner": PROVISIONER,
        }
        uid = claim["metadata"]["uid"]
        patch = {"metadata": {"uid": uid, "annotations": marks}, "spec": {"volumeName": name}}
        await self._client.patch(PERSISTENT_VOLUME_CLAIMS, key, patch)
        spec = claim["spec"]
        status = {
            "phase": "Bound",
            "accessModes": spec.get("accessModes"),
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        }
        bound = {"metadata": {"uid": uid}, "status": status}
        await self._client.patch(PERSISTENT_VOLUME_CLAIMS, key, bound, subresource="status")

    async def _release(self, key: Key, claim: Object) -> None:
        """Let a claim go that no pod uses any more."""
        held = claim["metadata"].get("finalizers") or []
        if PROTECTION not in held or self._is_used(key):
            return
        metadata = {
            "uid": claim["metadata"]["uid"],
            "resourceVersion": claim["metadata"]["resourceVersion"],
            "finalizers": [each for each in held if each != PROTECTION],
        }
        await self._client.patch(PERSISTENT_VOLUME_CLAIMS, key, {"metadata": metadata})

    def _is_used(self, key: Key) -> bool:
        # Nobody asks often enough for an index over all pods to be worth its while.
        pods = (self._pods.get(pod) for pod in self._pods if pod.namespace == key.namespace)
        return any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == key.name
            for pod in pods
            if pod is not None and phase(pod) not in OVER
            for volume in pod["spec"].get("volumes") or ()
        )
