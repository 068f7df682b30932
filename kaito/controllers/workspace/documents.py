"""Caches filled from manifests instead of from an API server: what `kaito plan` looks at.

Whatever a file or a cluster holds goes in; what concerns no Workspace is left out. The controller
reads its caches the same way, so both see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from kaito.api.workspace import GROUP as WORKSPACE_GROUP
from kaito.api.workspace import as_stored
from kaito.controllers.kinds import CONFIG_MAPS, NODES
from kaito.controllers.workspace.kinds import (
    CLAIMS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    REVISIONS,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.observe import INDEXES, Stores, observe
from kaito.controllers.workspace.order import ORDERS
from kaito.controllers.workspace.parameters import Config, Missing, config_name
from kaito.controllers.workspace.strangers import Unread
from kaito.runtime import Key, Object, Resource
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object

NAMESPACE = "default"
# Of uids that stand for those of objects that have not been created.
UIDS = UUID("a16f2a0e-7d0f-5f0b-9b52-7c3f7a2f2d51")


class Documents:
    """Objects by kind, as the controller's caches hold them."""

    def __init__(self, *, namespace: str = NAMESPACE) -> None:
        """`namespace` is that of objects that name none."""
        self._namespace = namespace
        self.stores = Stores(
            workspaces=WritableStore(WORKSPACES, INDEXES["workspaces"]),
            orders={
                kind: WritableStore(resource, INDEXES["orders"])
                for kind, resource in ORDERS.items()
            },
            nodes=WritableStore(NODES, INDEXES["nodes"]),
            deployments=WritableStore(DEPLOYMENTS),
            stateful_sets=WritableStore(STATEFUL_SETS),
            jobs=WritableStore(JOBS),
            claims=WritableStore(CLAIMS),
            services=WritableStore(SERVICES),
            disruption_budgets=WritableStore(DISRUPTION_BUDGETS),
            network_policies=WritableStore(NETWORK_POLICIES),
            pods=WritableStore(PODS, INDEXES["pods"]),
            revisions=WritableStore(REVISIONS, INDEXES["revisions"]),
        )
        self._configs: dict[Key, Object] = {}
        stores = self.stores
        # Any: each store reads its kind as another type.
        self._store_of: Mapping[tuple[str, str], WritableStore[Any]] = {
            (store.resource.group, store.resource.kind): store
            for store in (
                stores.workspaces,
                *stores.orders.values(),
                stores.nodes,
                stores.deployments,
                stores.stateful_sets,
                stores.jobs,
                stores.claims,
                stores.services,
                stores.disruption_budgets,
                stores.network_policies,
                stores.pods,
                stores.revisions,
            )
            if isinstance(store, WritableStore)
        }

    def add(self, obj: Object) -> Key | None:
        """File an object of a manifest; its key, None for a kind that no Workspace looks at.

        UnreadableAnswer when it has no name.
        """
        group, _, _ = str(obj.get("apiVersion", "")).rpartition("/")
        kind = str(obj.get("kind", ""))
        if (group, kind) == (CONFIG_MAPS.group, CONFIG_MAPS.kind):
            placed = self._placed(obj, CONFIG_MAPS)
            self._configs[Key.of(placed)] = placed
            return Key.of(placed)
        store = self._store_of.get((group, kind))
        if store is None:
            return None
        if group == WORKSPACE_GROUP:
            obj = as_stored(obj)
        placed = self._placed(obj, store.resource)
        resource: Resource[Object] = store.resource.read_as(dict)
        key, header, body = open_object(resource.encode(placed))
        store.put(key, header, body)
        return key

    def observation(self, key: Key, *, now: float, unread: Unread | None = None) -> Observation:
        """What the controller would see of this Workspace; `unread` is why its model is not known.
        KeyError when there is none."""
        workspace = self.stores.workspaces.object(key)
        if workspace is None:
            raise KeyError(str(key))
        seen = observe(self.stores, workspace, now, self._config(workspace))
        return replace(seen, unread=unread)

    def _config(self, workspace: Object) -> Config | None:
        name = config_name(workspace)
        if not name:
            return None
        key = Key(workspace["metadata"].get("namespace", ""), name)
        return self._configs.get(key, Missing(name=name))

    def _placed(self, obj: Object, resource: Resource[Any]) -> Object:
        metadata = dict(obj.get("metadata") or {})
        if resource.namespaced:
            metadata["namespace"] = metadata.get("namespace") or self._namespace
        where = f"{resource.plural}/{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        # Of its own for each, because the names of what asks for nodes follow from it.
        metadata.setdefault("uid", str(uuid5(UIDS, where)))
        return {**obj, "apiVersion": resource.api_version, "metadata": metadata}
