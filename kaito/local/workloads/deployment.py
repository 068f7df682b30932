"""Deployments: carries out what rollout.py decides and reports what progress.py sees."""

from __future__ import annotations

from dataclasses import dataclass

from kaito.local.kinds import DEPLOYMENTS, REPLICA_SETS
from kaito.local.workloads.claims import claimed, controller_of
from kaito.local.workloads.progress import deadline_in, deployment_status
from kaito.local.workloads.rollout import REVISION, Step, next_step, sort_out
from kaito.local.workloads.scaling import Scale
from kaito.runtime import (
    Again,
    AlreadyExists,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
)


@dataclass(frozen=True, slots=True)
class Deployments:
    """The reconciler. `replica_sets` needs the indexes of claims.candidates."""

    _client: Client
    _deployments: Informer[Object]
    _replica_sets: Informer[Object]
    _recorder: EventRecorder
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        deployment = self._deployments.store.get(key)
        if deployment is None:
            return None
        sets = sort_out(deployment, await claimed(self._client, self._replica_sets, deployment))
        step = next_step(deployment, sets)
        await self._carry_out(key, deployment, step)
        if not step.quiet:
            return None
        now = self._clock.now()
        status = deployment_status(deployment, sets, now)
        if status != deployment.get("status"):
            await self._client.patch(
                DEPLOYMENTS, key, _status_patch(deployment, status), subresource="status"
            )
        due = deadline_in(deployment, status, now)
        return None if due is None else Again.after(due)

    async def _carry_out(self, key: Key, deployment: Object, step: Step) -> None:
        if step.revision:
            # By way of the status: other writes of annotations start a new generation.
            shown: Object = {"metadata": {"annotations": {REVISION: step.revision}}}
            await self._client.patch(DEPLOYMENTS, key, shown, subresource="status")
        if step.create is not None:
            await self._create(key, deployment, step.create)
        for name, patch in step.patch.items():
            await self._client.patch(REPLICA_SETS, Key(key.namespace, name), patch)
        for scale in step.scale:
            await self._scale(key, deployment, scale)
        for name in step.delete:
            await self._delete(Key(key.namespace, name))

    async def _create(self, key: Key, deployment: Object, replica_set: Object) -> None:
        name = replica_set["metadata"]["name"]
        try:
            await self._client.create(REPLICA_SETS, replica_set)
        except AlreadyExists:
            there = await self._client.get(REPLICA_SETS, Key(key.namespace, name))
            owner = controller_of(there)
            if owner is not None and owner["uid"] == deployment["metadata"]["uid"]:
                return
            # Another's set has the name: the hash gets another salt.
            collisions = deployment.get("status", {}).get("collisionCount", 0) + 1
            patch = {"status": {"collisionCount": collisions}}
            await self._client.patch(DEPLOYMENTS, key, patch, subresource="status")
            return
        replicas = replica_set["spec"]["replicas"]
        if replicas:
            self._say_scaled(deployment, name, 0, replicas)

    async def _scale(self, key: Key, deployment: Object, scale: Scale) -> None:
        await self._client.patch(
            REPLICA_SETS,
            Key(key.namespace, scale.name),
            {
                "metadata": {"annotations": scale.annotations},
                "spec": {"replicas": scale.replicas},
            },
        )
        if scale.replicas != scale.before:
            self._say_scaled(deployment, scale.name, scale.before, scale.replicas)

    async def _delete(self, key: Key) -> None:
        try:
            await self._client.delete(REPLICA_SETS, key, propagation="Background")
        except NotFound:
            return

    def _say_scaled(self, deployment: Object, name: str, before: int, after: int) -> None:
        way = "up" if after > before else "down"
        self._recorder.event(
            deployment,
            reason="ScalingReplicaSet",
            message=f"Scaled {way} replica set {name} from {before} to {after}",
        )


def _status_patch(deployment: Object, status: Object) -> Object:
    """A merge patch that makes the status this one: fields that are gone become null."""
    gone = {name: None for name in deployment.get("status", {}) if name not in status}
    return {
        "metadata": {"uid": deployment["metadata"]["uid"]},
        "status": {**gone, **status},
    }
