"""What a cluster has of the Workspaces that a plan is made for, read with the user's own rights.

What may not be read is left out and said. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from kaito.controllers.kinds import CONFIG_MAPS, NODES
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import (
    CHILDREN,
    CLAIMS,
    PODS,
    REVISIONS,
    SERVICES,
    WORKSPACES,
)
from kaito.controllers.workspace.needs import CLAIM, SECRET, Needed
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.order import ORDERS
from kaito.controllers.workspace.parameters import config_name
from kaito.runtime import Call, Client, Forbidden, Key, Listing, NotFound, Object, Resource

T = TypeVar("T")
LOOKED_FOR: Mapping[str, Resource[Object]] = {
    SECRET: Resource("", "v1", "secrets", SECRET),
    CLAIM: Resource("", "v1", "persistentvolumeclaims", CLAIM),
}
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Live:
    """A cluster, as far as a plan looks at it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.notes: list[str] = []
        """What could not be looked at, a sentence each."""
        self.found: dict[Needed, bool | None] = {}
        """Whether what Pods need is there; None for what may not be looked at."""
        self._objects: dict[tuple[str, Key], Object] = {}

    def find(self, kind: str, key: Key) -> Object | None:
        """An object that was read; None when it is not there."""
        return self._objects.get((kind, key))

    async def read(self, workspace: Object, documents: Documents) -> None:
        """Read what concerns a Workspace of a manifest, and file it."""
        subject = Subject(workspace)
        await self._get(WORKSPACES, subject.key)
        for resource in CHILDREN.values():
            self._file(documents, await self._get(resource, subject.key))
        self._file(documents, await self._get(SERVICES, subject.headless))
        self._file(documents, await self._get(CLAIMS, subject.checkpoints))
        if name := config_name(workspace):
            self._file(documents, await self._get(CONFIG_MAPS, Key(subject.namespace, name)))
        mine = ",".join(f"{key}={value}" for key, value in subject.identity.items())
        for orders in ORDERS.values():
            for each in await self._list(orders.read_as(dict), labels=mine):
                self._file(documents, each)
        for resource in (PODS, REVISIONS):
            for each in await self._list(resource, namespace=subject.namespace, labels=mine):
                self._file(documents, each)

    async def read_nodes(self, documents: Documents) -> None:
        """Read all nodes, for those that their users bring, and who counts them already."""
        for each in await self._list(NODES.read_as(dict)):
            self._file(documents, each)
        for each in await self._list(WORKSPACES):
            self._file(documents, each)

    async def look_for(self, client: Client, needs: Iterable[Needed]) -> None:
        """Find out whether Secrets and claims are there. What is in them is not asked for."""
        for each in dict.fromkeys(needs):
            resource = LOOKED_FOR[each.kind]
            path = resource.path(each.object.namespace, each.object.name)
            call = Call(method="GET", path=path, headers={"accept": METADATA})
            try:
                await client.send(call)
                self.found[each] = True
            except NotFound:
                self.found[each] = False
            except Forbidden:
                self.found[each] = None
                self._note(
                    f"You may not look at {resource.plural} there: whether they exist is not known."
                )

    def merged(self, workspace: Object) -> Object:
        """A Workspace of a manifest as it would be when it has been applied."""
        subject = Subject(workspace)
        found = self.find(WORKSPACES.kind, subject.key)
        if found is None:
            return workspace
        metadata = {**found["metadata"], **workspace["metadata"]}
        metadata["uid"] = found["metadata"]["uid"]
        return {**workspace, "metadata": metadata, "status": found.get("status", {})}

    def _file(self, documents: Documents, obj: Object | None) -> None:
        if obj is not None:
            self._objects[obj["kind"], Key.of(obj)] = obj
            documents.add(obj)

    async def _get(self, resource: Resource[Object], key: Key) -> Object | None:
        found = await self._allowed(resource, lambda: self._client.get(resource, key))
        if found is None:
            return None
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **found}
        self._objects[resource.kind, key] = typed
        return typed

    # Any: options of list.
    async def _list(self, resource: Resource[Object], **scope: Any) -> list[Object]:
        async def listed() -> Listing[Object]:
            return await self._client.list(resource, **scope)

        found = await self._allowed(resource, listed)
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**named, **each} for each in found.items] if found else []

    async def _allowed(self, resource: Resource[Any], call: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await call()
        except NotFound:
            return None
        except Forbidden:
            self._note(
                f"You may not read {resource.plural} there: what the cluster has of them is not "
                "taken into account."
            )
            return None

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
