"""What is looked at, with the rights of whoever asks, and how often: a bounded number of questions,
a bounded number of answers each.

What may not be read, what kinds are not there and what the server fails to answer is written down
and never an error. Only the Workspace itself has to be there: what goes wrong with it is the
caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from kaito.api import nodepool
from kaito.api.words import one_line
from kaito.controllers.kinds import NODES
from kaito.controllers.workspace.kinds import DEPLOYMENTS, PODS, STATEFUL_SETS, WORKSPACES
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import (
    Call,
    Client,
    Forbidden,
    Key,
    NotFound,
    Object,
    Resource,
    RuntimeFailure,
)
from kaito.runtime.lease import LEASES
from kaito.why.daemons import DAEMONS, NAMESPACE
from kaito.why.scene import Happening, Scene, happening, said_of

MOST = 100
"""Objects of one kind that are looked at; a Workspace has as many Pods as it has nodes."""
MOST_NODES = 20
REASON_LENGTH = 200  # characters of why something could not be read
MOST_TOLD_OF = 8
"""Objects whose Events are asked for."""
JOBS: Resource[Object] = Resource("batch", "v1", "jobs", "Job")
REPLICA_SETS: Resource[Object] = Resource("apps", "v1", "replicasets", "ReplicaSet")
EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, JOBS)
CLUSTER_SCOPED = "default"  # where Events about objects without a namespace are


class _Page(msgspec.Struct):
    """As much of a list as is looked at. Any: objects of any kind."""

    items: tuple[dict[str, Any], ...] = ()


async def read(client: Client, key: Key, *, now: float) -> Scene:
    """All that there is to see of a Workspace. NotFound when it, or its kind, is not there;
    Forbidden when it may not be read; else what Client.get raises of it alone."""
    return await _Reader(client, key).read(now)


class _Reader:
    def __init__(self, client: Client, key: Key) -> None:
        self._client = client
        self._key = key
        self._unseen: dict[str, None] = {}
        self._absent: set[str] = set()

    async def read(self, now: float) -> Scene:
        workspace = await self._client.get(WORKSPACES, self._key)
        subject = Subject(workspace)
        mine = ",".join(f"{label}={value}" for label, value in subject.identity.items())
        async with asyncio.TaskGroup() as asking:
            orders = [asking.create_task(self._orders(each, mine)) for each in ORDERS.values()]
            workloads = [asking.create_task(self._get(each, self._key)) for each in WORKLOADS]
            pods = asking.create_task(self._list(PODS, labels=mine))
            makers = asking.create_task(self._list(REPLICA_SETS, labels=mine))
            leases = {each.lease: asking.create_task(self._lease(each.lease)) for each in DAEMONS}
        seen = Scene(
            workspace={**_typed(WORKSPACES), **workspace},
            now=now,
            orders=tuple(order for each in orders for order in each.result()),
            workloads=tuple(found for each in workloads if (found := each.result()) is not None),
            makers=tuple(makers.result()),
            pods=tuple(pods.result()),
            leases={name: lease[0] for name, each in leases.items() if (lease := each.result())},
        )
        nodes = await self._nodes(seen)
        events = await self._events(seen)
        return Scene(
            workspace=seen.workspace,
            now=now,
            orders=seen.orders,
            nodes=nodes,
            workloads=seen.workloads,
            makers=seen.makers,
            pods=seen.pods,
            events=events,
            leases=seen.leases,
            absent=frozenset(self._absent),
            unseen=tuple(self._unseen),
        )

    async def _nodes(self, seen: Scene) -> tuple[Object, ...]:
        status = seen.subject.status
        names = dict.fromkeys(
            [
                *(str(each) for each in status.get("workerNodes") or ()),
                *(each.status.node_name for each in seen.orders),
                *(str((each.get("spec") or {}).get("nodeName") or "") for each in seen.pods),
            ]
        )
        wanted = [each for each in names if each][:MOST_NODES]
        nodes = NODES.read_as(dict)
        async with asyncio.TaskGroup() as asking:
            asked = [asking.create_task(self._get(nodes, Key("", each))) for each in wanted]
        return tuple(found for each in asked if (found := each.result()) is not None)

    async def _events(self, seen: Scene) -> dict[str, tuple[Happening, ...]]:
        told_of = list(_of_interest(seen))[:MOST_TOLD_OF]
        async with asyncio.TaskGroup() as asking:
            asked = {
                uid: asking.create_task(self._events_of(namespace, uid))
                for namespace, uid in told_of
            }
        return {uid: each.result() for uid, each in asked.items()}

    async def _events_of(self, namespace: str, uid: str) -> tuple[Happening, ...]:
        fields = f"involvedObject.uid={uid}"
        found = await self._list(EVENTS, namespace=namespace, fields=fields)
        return tuple(sorted(map(happening, found), key=lambda each: each.last or 0.0))

    async def _orders(self, resource: Resource[Order], mine: str) -> list[Order]:
        found: list[Order] = []
        for each in await self._list(resource.read_as(dict), namespace="", labels=mine):
            try:
                found.append(resource.model.model_validate(each))
            except ValidationError:
                name = (each.get("metadata") or {}).get("name", "")
                self._note(f"{resource.kind} {name} is not written as its kind is, and left out.")
        return found

    async def _lease(self, name: str) -> tuple[Object | None] | None:
        """The lease, None in its place where there is none; None where it may not be read."""
        try:
            return (await self._client.get(LEASES, Key(NAMESPACE, name)),)
        except NotFound:
            return (None,)
        except Forbidden:
            self._may_not(LEASES, "get", NAMESPACE)
        except RuntimeFailure as error:
            self._failed(LEASES, error)
        return None

    async def _get(self, resource: Resource[Object], key: Key) -> Object | None:
        try:
            found = await self._client.get(resource, key)
        except NotFound as error:
            if not error.status.details.name:
                self._lacks(resource)
        except Forbidden:
            self._may_not(resource, "get", key.namespace)
        except RuntimeFailure as error:
            self._failed(resource, error)
        else:
            return _typed(resource) | found
        return None

    async def _list(
        self,
        resource: Resource[Object],
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
    ) -> Sequence[Object]:
        where = self._key.namespace if namespace is None else namespace
        asked = {"limit": str(MOST), "labelSelector": labels, "fieldSelector": fields}
        query = {name: text for name, text in asked.items() if text}
        call = Call(
            method="GET",
            path=resource.path(where if resource.namespaced else ""),
            query=query,
            headers={"Accept": "application/json"},
        )
        try:
            page = msgspec.json.decode(await self._client.send(call), type=_Page)
        except NotFound:
            self._lacks(resource)
            return ()
        except Forbidden:
            self._may_not(resource, "list", where)
            return ()
        except RuntimeFailure as error:
            self._failed(resource, error)
            return ()
        return [{**_typed(resource), **each} for each in page.items]

    def _lacks(self, resource: Resource[Any]) -> None:
        self._absent.add(resource.kind)
        if resource.kind != nodepool.KIND:
            self._note(f"The API server has no {resource.kind} ({resource.api_version}).")

    def _may_not(self, resource: Resource[Any], verb: str, namespace: str) -> None:
        named = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        where = f" in namespace {namespace}" if resource.namespaced else ""
        self._note(f"You may not {verb} {named}{where}: what they would tell is missing.")

    def _failed(self, resource: Resource[Any], error: RuntimeFailure) -> None:
        said = one_line(str(error), REASON_LENGTH).rstrip(".")
        self._note(f"Of {resource.plural} nothing is known: {said}.")

    def _note(self, sentence: str) -> None:
        self._unseen[sentence] = None


def _typed(resource: Resource[Any]) -> Object:
    """What items of a list leave out."""
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _of_interest(seen: Scene) -> Iterable[tuple[str, str]]:
    """Namespace and uid of what Events are asked about, what is likeliest to have some first."""
    ours = seen.subject.namespace
    waiting = [each for each in seen.orders if not each.ready]
    unready = [each for each in seen.pods if not _serves(each)]
    yield from ((CLUSTER_SCOPED, each.metadata.uid) for each in waiting[:2])
    yield from ((ours, str(each["metadata"].get("uid", ""))) for each in unready[:3])
    if not seen.pods:
        for each in (*seen.workloads, *seen.makers):
            yield ours, str(each["metadata"].get("uid", ""))


def _serves(pod: Object) -> bool:
    ready = said_of(pod, "Ready")
    return ready is not None and ready.status == "True"
