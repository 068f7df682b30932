"""StatefulSets: carries out what ordinals.py decides."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

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
    revision_of,
)
from kaito.local.workloads.revisions import (
    new_revision,
    outdated,
    own_revisions,
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
)


@dataclass(frozen=True, slots=True)
class StatefulSets:
    """The reconciler. `pods` needs the index "controller" (template.by_controller).

    Pods go back to no older revision: after a change of the template every pod that is made is
    of the new one.
    """

    _client: Client
    _stateful_sets: Informer[Object]
    _pods: Informer[Object]
    _recorder: EventRecorder
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        stateful_set = self._stateful_sets.store.get(key)
        if stateful_set is None:
            return None
        before = stateful_set.get("status", {})
        update = revision_name(stateful_set)
        if before.get("updateRevision") != update:
            await self._keep_revision(stateful_set, update)
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
        now_current = todo.status["currentRevision"]
        if (before.get("currentRevision"), before.get("updateRevision")) != (now_current, update):
            live = {now_current, update, *map(revision_of, pods.values())}
            await self._tidy_revisions(stateful_set, live)
        return None if todo.again is None else Again.after(todo.again)

    def _pods_of(self, stateful_set: Object) -> dict[int, Object]:
        found = {}
        for key in self._pods.store.by("controller", stateful_set["metadata"]["uid"]):
            pod = self._pods.store.get(key)
            ordinal = ordinal_of(stateful_set, pod) if pod is not None else None
            if pod is not None and ordinal is not None:
                found[ordinal] = pod
        return found

    async def _create(self, key: Key, stateful_set: Object, ordinal: int, revision: str) -> None:
        pod = ordinal_pod(stateful_set, ordinal, revision)
        pod_name = pod["metadata"]["name"]
        for claim in claims_of(stateful_set, ordinal):
            with suppress(AlreadyExists):
                await self._client.create(PERSISTENT_VOLUME_CLAIMS, claim)
                made = f"Claim {claim['metadata']['name']} Pod {pod_name}"
                self._say_created(stateful_set, f"Create {made} in StatefulSet {key.name} success")
        try:
            await self._client.create(PODS, pod)
        except AlreadyExists:
            # Ours already, or another's: its going will wake nobody, so it is tried again.
            there = await self._client.get(PODS, Key.of(pod))
            owners = there["metadata"].get("ownerReferences") or ()
            if all(owner["uid"] != stateful_set["metadata"]["uid"] for owner in owners):
                raise
            return
        self._say_created(
            stateful_set, f"Create Pod {pod_name} in StatefulSet {key.name} successful"
        )

    def _say_created(self, stateful_set: Object, message: str) -> None:
        self._recorder.event(stateful_set, reason="SuccessfulCreate", message=message)

    async def _delete(self, stateful_set: Object, pod: Key) -> None:
        header = self._pods.store.header(pod)
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
            message=f"Delete Pod {pod.name} in StatefulSet {name} successful",
        )

    async def _keep_revision(self, stateful_set: Object, name: str) -> None:
        """A template that was there before gets its revision renumbered, another a new one."""
        own = await self._own_revisions(stateful_set)
        number = own[-1].get("revision", 0) + 1 if own else 1
        there = next((each for each in own if each["metadata"]["name"] == name), None)
        if there is None:
            with suppress(AlreadyExists):
                await self._client.create(CONTROLLER_REVISIONS, new_revision(stateful_set, number))
        elif there is not own[-1]:
            await self._client.patch(CONTROLLER_REVISIONS, Key.of(there), {"revision": number})

    async def _tidy_revisions(self, stateful_set: Object, live: set[str]) -> None:
        own = await self._own_revisions(stateful_set)
        for name in outdated(stateful_set, own, live):
            key = Key(stateful_set["metadata"]["namespace"], name)
            with suppress(NotFound):
                await self._client.delete(CONTROLLER_REVISIONS, key)

    async def _own_revisions(self, stateful_set: Object) -> list[Object]:
        namespace = stateful_set["metadata"]["namespace"]
        known = await self._client.list(CONTROLLER_REVISIONS, namespace=namespace)
        return own_revisions(stateful_set, known.items)
