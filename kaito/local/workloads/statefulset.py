"""StatefulSets: carries out what ordinals.py decides."""

from __future__ import annotations

from kaito.local.kinds import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from kaito.local.workloads.ordinals import (
    claims_of,
    ordinal_of,
    ordinal_pod,
    plan,
    revision_data,
    revision_name,
)
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
    owner_reference,
)


class StatefulSets:
    """The reconciler. `pods` needs the index "controller" (template.by_controller).

    Pods go back to no older revision: after a change of the template every pod that is made is
    of the new one.
    """

    def __init__(
        self,
        client: Client,
        stateful_sets: Informer[Object],
        pods: Informer[Object],
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._client = client
        self._stateful_sets = stateful_sets.store
        self._pods = pods.store
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Again | None:
        stateful_set = self._stateful_sets.get(key)
        if stateful_set is None:
            return None
        before = stateful_set.get("status", {})
        update = revision_name(stateful_set)
        if before.get("updateRevision") != update:
            await self._keep_revision(key, stateful_set, update)
        current = before.get("currentRevision") or update
        pods = self._pods_of(stateful_set)
        todo = plan(stateful_set, pods, current, update, self._clock.now())
        for ordinal in todo.create:
            await self._create(key, stateful_set, ordinal, update)
        for name in todo.delete:
            await self._delete(stateful_set, Key(key.namespace, name))
        if todo.status != before:
            replaced = {**stateful_set, "status": todo.status}
            await self._client.update_status(STATEFUL_SETS, replaced)
        return None if todo.again is None else Again.after(todo.again)

    def _pods_of(self, stateful_set: Object) -> dict[int, Object]:
        found = {}
        for key in self._pods.by("controller", stateful_set["metadata"]["uid"]):
            pod = self._pods.get(key)
            ordinal = ordinal_of(stateful_set, pod) if pod is not None else None
            if pod is not None and ordinal is not None:
                found[ordinal] = pod
        return found

    async def _create(self, key: Key, stateful_set: Object, ordinal: int, revision: str) -> None:
        for claim in claims_of(stateful_set, ordinal):
            try:
                await self._client.create(PERSISTENT_VOLUME_CLAIMS, claim)
            except AlreadyExists:
                continue
        pod = ordinal_pod(stateful_set, ordinal, revision)
        try:
            await self._client.create(PODS, pod)
        except AlreadyExists:
            # Ours already, or another's: its going will wake nobody, so it is tried again.
            there = await self._client.get(PODS, Key.of(pod))
            owners = there["metadata"].get("ownerReferences") or ()
            if all(owner["uid"] != stateful_set["metadata"]["uid"] for owner in owners):
                raise
            return
        self._recorder.event(
            stateful_set,
            reason="SuccessfulCreate",
            message=f"create Pod {pod['metadata']['name']} in StatefulSet {key.name} successful",
        )

    async def _delete(self, stateful_set: Object, pod: Key) -> None:
        header = self._pods.header(pod)
        if header is None:
            return
        try:
            await self._client.delete(PODS, pod, uid=header.uid)
        except NotFound:
            return
        name = stateful_set["metadata"]["name"]
        self._recorder.event(
            stateful_set,
            reason="SuccessfulDelete",
            message=f"delete Pod {pod.name} in StatefulSet {name} successful",
        )

    async def _keep_revision(self, key: Key, stateful_set: Object, name: str) -> None:
        labels = (stateful_set["spec"]["selector"].get("matchLabels")) or {}
        known = await self._client.list(CONTROLLER_REVISIONS, namespace=key.namespace)
        numbers = [
            each.get("revision", 0)
            for each in known.items
            if any(
                owner["uid"] == stateful_set["metadata"]["uid"]
                for owner in each["metadata"].get("ownerReferences") or ()
            )
        ]
        try:
            await self._client.create(
                CONTROLLER_REVISIONS,
                {
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "metadata": {
                        "name": name,
                        "namespace": key.namespace,
                        "labels": {
                            **labels,
                            "controller.kubernetes.io/hash": name.removeprefix(f"{key.name}-"),
                        },
                        "ownerReferences": [owner_reference(stateful_set)],
                    },
                    "data": revision_data(stateful_set),
                    "revision": max(numbers, default=0) + 1,
                },
            )
        except AlreadyExists:
            return
