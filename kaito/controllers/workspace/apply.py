"""Writes what was decided, and nothing that would change nothing.

An object that is there already and not ours is never touched: it is an obstacle, and so is one
that the API server refuses. Both go back into the decision, so that the author reads of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from kaito.api import conditions, labels
from kaito.api.labels import VALUE_LENGTH
from kaito.api.words import one_line
from kaito.controllers.workspace.changes import leaving_to_others
from kaito.controllers.workspace.contest import Contest, Contested
from kaito.controllers.workspace.decision import Decision, Deletion, Finalizer
from kaito.controllers.workspace.kinds import (
    CLAIMS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
    REVISIONS,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.controllers.workspace.leaving import order_deletion
from kaito.controllers.workspace.observation import (
    Observation,
    Obstacle,
    Subject,
    changed_back,
    not_served,
    taken,
)
from kaito.controllers.workspace.observe import WORKSPACE, Stores
from kaito.runtime import (
    Applier,
    BadRequest,
    Client,
    Clock,
    Conflict,
    Forbidden,
    Invalid,
    Key,
    NotFound,
    Object,
    Resource,
    ServerError,
    Store,
)

# How API servers begin the answer to an apply with unknown fields or wrong types. They count it as
# a fault of their own (500), and it is the author's.
UNTYPED = ("failed to create typed patch object", "failed to convert new object")
SENTENCE_LENGTH = 1000  # characters of what the API server says; it may quote whole objects


class Writer:
    """Makes decisions come true, with one client."""

    def __init__(self, client: Client, applier: Applier, stores: Stores, clock: Clock) -> None:
        self._client = client
        self._contest = Contest(clock)
        self._applier = applier
        self._stores = stores
        # Any: each store reads its kind as another type.
        self._store_of: dict[str, Store[Any]] = {
            **stores.orders,
            DEPLOYMENTS.kind: stores.deployments,
            STATEFUL_SETS.kind: stores.stateful_sets,
            JOBS.kind: stores.jobs,
            CLAIMS.kind: stores.claims,
            SERVICES.kind: stores.services,
            DISRUPTION_BUDGETS.kind: stores.disruption_budgets,
            NETWORK_POLICIES.kind: stores.network_policies,
            REVISIONS.kind: stores.revisions,
        }

    async def hold(self, observation: Observation) -> bool:
        """Add our finalizer; False when the Workspace has gone, and nothing may be made for it."""
        subject = Subject(observation.workspace)
        try:
            await self._set_finalizers(subject, [*subject.finalizers, labels.FINALIZER])
        except NotFound:
            return False
        return True

    async def too_late(self, decision: Decision, observation: Observation) -> bool:
        """Whether something is to be made for a Workspace that has gone, or is going.

        After a restart a cache may be filled by a server that lags, and show one that was deleted
        long ago: nodes would be bought for nobody. So it is asked for live before anything is made.
        """
        desired = [*decision.objects, *([decision.revision] if decision.revision else [])]
        if all(self._is_there(each) for each in desired):
            return False
        subject = Subject(observation.workspace)
        try:
            found = Subject(await self._client.get(WORKSPACES, subject.key))
        except NotFound:
            return True
        return found.uid != subject.uid or found.deleting

    def _is_there(self, desired: Object) -> bool:
        store = self._store_of.get(desired["kind"])
        metadata = desired["metadata"]
        return store is None or Key(metadata.get("namespace", ""), metadata["name"]) in store

    async def objects(self, decision: Decision, observation: Observation) -> tuple[Obstacle, ...]:
        """Write the revision and the objects; what stood in the way of some.

        Where the trial shows that something will stand in the way, nothing is written.
        """
        subject = Subject(observation.workspace)
        for desired in decision.trial:
            foreseen = await self._try(subject, desired)
            if foreseen is not None:
                return (foreseen,)
        if decision.revision is not None:
            untold = await self._object(subject, decision.revision)
            if untold is not None:
                return (untold,)
        obstacles = [await self._object(subject, desired) for desired in decision.objects]
        return tuple(o for o in obstacles if o is not None)

    async def rest(self, decision: Decision, observation: Observation) -> None:
        """Delete, write the status unless that was announced, and let the Workspace go where
        that was decided."""
        subject = Subject(observation.workspace)
        for deletion in decision.deletions:
            await self._delete(deletion)
        if not decision.announces:
            await self.status(decision, observation)
        if decision.finalizer is Finalizer.REMOVE and not await self._orders_left(subject):
            left = [name for name in subject.finalizers if name != labels.FINALIZER]
            with suppress(NotFound):  # somebody else let it go
                await self._set_finalizers(subject, left)

    async def status(self, decision: Decision, observation: Observation) -> None:
        """Write the status that was decided."""
        if decision.status is not None:
            await self._status(Subject(observation.workspace), decision.status)

    async def orphans(self, key: Key) -> None:
        """Delete the orders that we made for a Workspace that is not there any more.

        Its finalizer keeps it until they have gone; but somebody may have taken that off by force,
        and nodes cost money.
        """
        left = [
            order
            for store in self._stores.orders.values()
            for found in store.by(WORKSPACE, str(key))
            if (order := store.get(found)) is not None
            and labels.WORKSPACE_UID in order.metadata.annotations
            and not order.deleting
        ]
        if not left:
            return
        try:
            await self._client.get(WORKSPACES, key)
        except NotFound:
            for order in left:
                await self._delete(order_deletion(order))
        except Forbidden:  # a namespace that is none of ours
            return

    async def _try(self, subject: Subject, desired: Object) -> Obstacle | None:
        """What would stand in the way of an object, found out by a dry run."""
        dry = self._client.with_options(dry_run=True)
        resource = self._store_of[desired["kind"]].resource
        return await self._overcome(subject, desired, lambda: dry.apply(resource, desired))

    async def _object(self, subject: Subject, desired: Object) -> Obstacle | None:
        store = self._store_of.get(desired["kind"])
        if store is None:
            return not_served(desired["kind"])
        live = store.object(Key.of(desired)) if store.resource.namespaced else None
        wish = leaving_to_others(desired, live, manager=self._client.field_manager)
        try:
            return await self._overcome(
                subject, desired, lambda: self._applier.apply(store, wish, umpire=self._contest)
            )
        except Contested as error:
            return changed_back(desired["kind"], desired["metadata"]["name"], error.paths)

    async def _overcome(
        self, subject: Subject, desired: Object, write: Callable[[], Awaitable[object]]
    ) -> Obstacle | None:
        """Write an object that is ours to write, or say what stands in the way."""
        kind = desired["kind"]
        if not await self._may_write(self._store_of[kind], subject, desired):
            return taken(kind, desired["metadata"]["name"])
        try:
            await write()
        except (Invalid, Forbidden, BadRequest, ServerError) as error:
            if isinstance(error, ServerError) and not error.status.message.startswith(UNTYPED):
                raise
            said = one_line(error.status.message, SENTENCE_LENGTH).rstrip(".")
            return Obstacle(
                kind=kind,
                reason=conditions.REFUSED,
                message=f"The API server refused the {kind} of this Workspace: {said}.",
            )
        return None

    async def _may_write(self, store: Store[Any], subject: Subject, desired: Object) -> bool:
        """Whether there is no such object, or it is ours.

        The caches hold only what carries our label, so an absence in them is checked live: this
        happens once for each object, before it is made.
        """
        metadata = desired["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        found = store.object(key)
        if found is None:
            untyped: Resource[Object] = store.resource.read_as(dict)
            try:
                found = await self._client.get(untyped, key)
            except NotFound:
                return True
        if not store.resource.namespaced:
            carried: dict[str, str] = found["metadata"].get("labels", {})
            return subject.identity.items() <= carried.items()
        return subject.owns(found)

    async def _delete(self, deletion: Deletion) -> None:
        # Gone, or another one has its name: either way not the one that was meant.
        with suppress(NotFound, Conflict):
            await self._client.delete(
                deletion.resource, deletion.key, uid=deletion.uid, propagation="Background"
            )

    async def _status(self, subject: Subject, status: Object) -> None:
        desired = {
            "apiVersion": WORKSPACES.api_version,
            "kind": WORKSPACES.kind,
            "metadata": {
                "name": subject.name,
                "namespace": subject.namespace,
                "uid": subject.uid,
            },
            "status": status,
        }
        with suppress(NotFound):  # it went meanwhile
            await self._applier.apply_status(self._stores.workspaces, desired)

    async def _set_finalizers(self, subject: Subject, finalizers: list[str]) -> None:
        # The list is replaced whole, so nobody may have written since we read it.
        version = subject.metadata.get("resourceVersion", "")
        patch = {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
        await self._client.patch(WORKSPACES, subject.key, patch)

    async def _orders_left(self, subject: Subject) -> bool:
        """Asked of the server and not of a cache: an order that is overlooked costs money."""
        if len(subject.name) > VALUE_LENGTH:
            return False  # no label can hold such a name, so nothing was ever asked for
        selector = ",".join(f"{key}={value}" for key, value in subject.identity.items())
        for store in self._stores.orders.values():
            untyped: Resource[Object] = store.resource.read_as(dict)
            # Its definition may have been removed, and all of its kind with it.
            with suppress(NotFound):
                if (await self._client.list(untyped, labels=selector)).items:
                    return True
        return False
