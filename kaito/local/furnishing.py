"""What every namespace has: the ServiceAccount `default` and the cluster's CA certificate.

Both come back when somebody deletes or changes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from kaito.local.kinds import CONFIG_MAPS, SERVICE_ACCOUNTS
from kaito.runtime import AlreadyExists, Change, Client, Informer, Key, NotFound, Object, Resource

ACCOUNT = "default"
CA_CONFIG_MAP = "kube-root-ca.crt"
CA_KEY = "ca.crt"


def to_namespace(change: Change) -> Iterable[Key]:
    """Mapper: the namespace of an object."""
    return (Key("", change.key.namespace),)


class Furnishing:
    """The reconciler of namespaces. The informers hold these two names alone."""

    def __init__(
        self,
        client: Client,
        namespaces: Informer[Object],
        accounts: Informer[Object],
        config_maps: Informer[Object],
        ca_pem: str,
    ) -> None:
        self._client = client
        self._namespaces = namespaces.store
        self._accounts = accounts.store
        self._config_maps = config_maps.store
        self._ca = {CA_KEY: ca_pem}

    async def reconcile(self, key: Key) -> None:
        header = self._namespaces.header(key)
        if header is None or header.deleting:
            return
        try:
            if Key(key.name, ACCOUNT) not in self._accounts:
                await self._create(SERVICE_ACCOUNTS, key.name, ACCOUNT, {})
            held = self._config_maps.get(Key(key.name, CA_CONFIG_MAP))
            if held is None:
                await self._create(CONFIG_MAPS, key.name, CA_CONFIG_MAP, {"data": self._ca})
            elif held.get("data") != self._ca:
                await self._client.update(CONFIG_MAPS, {**held, "data": self._ca})
        except NotFound:
            # The namespace has gone meanwhile.
            return

    async def _create(
        self, resource: Resource[Object], namespace: str, name: str, content: Object
    ) -> None:
        metadata = {"namespace": namespace, "name": name}
        head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        try:
            await self._client.create(resource, {**head, **content})
        except AlreadyExists:
            return
