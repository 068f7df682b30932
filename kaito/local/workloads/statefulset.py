"""StatefulSets: carries out what ordinals.py decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kaito.local.kinds import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from kaito.local.workloads.claims import claimed, controller_of, judge
from kaito.local.workloads.ordinals import (
    NAME_LABEL,
    made_of,
    ordinal_of,
    ordinal_pod,
    plan,
    revision_of,
    wanted_ordinals,
)
from kaito.local.workloads.retention import claims_of, owners_due
from kaito.local.workloads.revisions import in_order, new_revision, outdated, revision_name
from kaito.runtime import (
    Again,
    AlreadyExists,
    ApiError,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    owner_reference,
)


@dataclass(frozen=True, slots=True)
class StatefulSets:
    """The reconciler. `pods` needs the indexes of claims.candidates."""

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
        revisions: dict[str, Object] = {}
        if before.get("updateRevision") != update or before.get("currentRevision") != update:
            revisions = await self._keep_revisions(stateful_set, update)
        current = before.get("currentRevision") or update
        pods = await self._pods_of(stateful_set)
        todo = plan(stateful_set, pods, current, update, self._clock.now())
        refusal: ApiError | None = None
        try:
            for ordinal in todo.create:
                name = made_of(stateful_set, ordinal, current, update)
                template = _template(stateful_set, revisions.get(name))
                await self._create(key, stateful_set, template, ordinal, name)
            for pod_name in todo.delete:
                await self._delete(stateful_set, Key(key.namespace, pod_name))
            await self._put_right(stateful_set, pods, todo.settled)
        except ApiError as error:
            refusal = error
        if todo.status != before:
            replaced = {**stateful_set, "status": todo.status}
            with suppress(NotFound):
                await self._client.update_status(STATEFUL_SETS, replaced)
        now_current = todo.status["currentRevision"]
        if (before.get("currentRevision"), before.get("updateRevision")) != (now_current, update):
            live = {now_current, update, *map(revision_of, pods.values())}
            for name in outdated(stateful_set, in_order(revisions.values()), live):
                with suppress(NotFound):
                    await self._client.delete(CONTROLLER_REVISIONS, Key(key.namespace, name))
        if refusal is not None:
            raise refusal
        return None if todo.again is None else Again.after(todo.again)

    async def _pods_of(self, stateful_set: Object) -> dict[int, Object]:
        def is_member(pod: Object) -> bool:
            return ordinal_of(stateful_set, pod) is not None

        own = await claimed(self._client, self._pods, stateful_set, is_member)
        by_ordinal = {ordinal_of(stateful_set, pod): pod for pod in own}
        return {ordinal: pod for ordinal, pod in by_ordinal.items() if ordinal is not None}

    async def _create(
        self,
        key: Key,
        stateful_set: Object,
        template: Mapping[str, object],
        ordinal: int,
        revision: str,
    ) -> None:
        pod = ordinal_pod(stateful_set, template, ordinal, revision)
        pod_name = pod["metadata"]["name"]
        for claim in claims_of(stateful_set, ordinal):
            with suppress(AlreadyExists):
                await self._client.create(PERSISTENT_VOLUME_CLAIMS, claim)
                made = f"Claim {claim['metadata']['name']} Pod {pod_name}"
                self._say(stateful_set, "Create", f"{made} in StatefulSet {key.name} success")
        try:
            await self._client.create(PODS, pod)
        except AlreadyExists:
            # Ours already, or another's: its going will wake nobody, so it is tried again.
            there = await self._client.get(PODS, Key.of(pod))
            owner = controller_of(there)
            if owner is None or owner["uid"] != stateful_set["metadata"]["uid"]:
                raise
            return
        except ApiError as error:
            self._say_failed(stateful_set, "Create", pod_name, error)
            raise
        self._say(stateful_set, "Create", f"Pod {pod_name} in StatefulSet {key.name} successful")

    async def _delete(self, stateful_set: Object, pod: Key) -> None:
        header = self._pods.store.header(pod)
        if header is None:
            return
        try:
            await self._client.delete(PODS, pod, uid=header.uid)
        except NotFound:
            return
        except ApiError as error:
            self._say_failed(stateful_set, "Delete", pod.name, error)
            raise
        name = stateful_set["metadata"]["name"]
        self._say(stateful_set, "Delete", f"Pod {pod.name} in StatefulSet {name} successful")

    async def _put_right(
        self, stateful_set: Object, pods: Mapping[int, Object], settled: Sequence[int]
    ) -> None:
        """Give adopted pods their name label, and claims the owners that the policy asks for."""
        wanted = wanted_ordinals(stateful_set["spec"])
        for ordinal in [*settled, *(each for each in pods if each not in wanted)]:
            pod = pods[ordinal]
            changed = await self._own_claims(stateful_set, pod, ordinal)
            name = pod["metadata"]["name"]
            if ordinal not in wanted:
                continue
            if (pod["metadata"].get("labels") or {}).get(NAME_LABEL) != name:
                changed = True
                patch: Object = {"metadata": {"labels": {NAME_LABEL: name}}}
                await self._client.patch(PODS, Key.of(pod), patch)
            if changed:
                where = f"in StatefulSet {stateful_set['metadata']['name']}"
                self._say(stateful_set, "Update", f"Pod {name} {where} successful")

    async def _own_claims(self, stateful_set: Object, pod: Object, ordinal: int) -> bool:
        changed = False
        for made in claims_of(stateful_set, ordinal):
            with suppress(NotFound):
                claim = await self._client.get(PERSISTENT_VOLUME_CLAIMS, Key.of(made))
                due = owners_due(stateful_set, pod, ordinal, claim)
                if due != (claim["metadata"].get("ownerReferences") or []):
                    version = claim["metadata"]["resourceVersion"]
                    patch = {"resourceVersion": version, "ownerReferences": due or None}
                    key = Key.of(made)
                    await self._client.patch(PERSISTENT_VOLUME_CLAIMS, key, {"metadata": patch})
                    changed = True
        return changed

    def _say(self, stateful_set: Object, verb: str, what: str) -> None:
        reason = f"Successful{verb}"
        self._recorder.event(stateful_set, reason=reason, message=f"{verb} {what}")

    def _say_failed(self, stateful_set: Object, verb: str, pod: str, error: ApiError) -> None:
        where = f"Pod {pod} in StatefulSet {stateful_set['metadata']['name']}"
        self._recorder.event(
            stateful_set,
            type="Warning",
            reason=f"Failed{verb}",
            message=f"{verb} {where} failed error: {error.status.message}",
        )

    async def _keep_revisions(self, stateful_set: Object, name: str) -> dict[str, Object]:
        """The set's revisions by name. A template that was there before gets its revision
        renumbered, another a new one."""
        own = await self._own_revisions(stateful_set)
        ordered = in_order(own.values())
        number = ordered[-1].get("revision", 0) + 1 if ordered else 1
        there = own.get(name)
        if there is None:
            made = new_revision(stateful_set, number)
            with suppress(AlreadyExists):
                own[name] = await self._client.create(CONTROLLER_REVISIONS, made)
        elif there is not ordered[-1]:
            # Whole: a patch would spell its data anew, and data cannot be changed.
            renumbered = {**there, "revision": number}
            own[name] = await self._client.update(CONTROLLER_REVISIONS, renumbered)
        return own

    async def _own_revisions(self, stateful_set: Object) -> dict[str, Object]:
        namespace = stateful_set["metadata"]["namespace"]
        known = await self._client.list(CONTROLLER_REVISIONS, namespace=namespace)
        claims = judge(stateful_set, known.items)
        own = {each["metadata"]["name"]: each for each in claims.own}
        for orphan in claims.adopt:
            owners = [*(orphan["metadata"].get("ownerReferences") or ())]
            metadata = {
                **orphan["metadata"],
                "ownerReferences": [*owners, owner_reference(stateful_set)],
            }
            own[metadata["name"]] = await self._client.update(
                CONTROLLER_REVISIONS, {**orphan, "metadata": metadata}
            )
        return own


def _template(stateful_set: Object, revision: Object | None) -> Mapping[str, object]:
    template: Mapping[str, object] = stateful_set["spec"]["template"]
    if revision is not None:
        template = revision["data"]["spec"]["template"]
    return template
