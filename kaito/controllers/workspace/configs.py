"""Contents of the ConfigMaps that Workspaces name.

Of all ConfigMaps the metadata alone is cached; the content of one that is named is read live, once
for each version of it, so that a turn over an unchanged ConfigMap asks for nothing.
"""

from __future__ import annotations

from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.parameters import KEYS, Config, Missing, config_name
from kaito.runtime import Client, Key, NotFound, Object, PartialObject, Store

MOST = 1024  # contents kept; the one that was read longest ago goes first


class Configs:
    """Reads ConfigMaps when they are new."""

    def __init__(self, client: Client, store: Store[PartialObject]) -> None:
        self._client = client
        self._store = store
        self._read: dict[Key, Object] = {}

    async def of(self, workspace: Object) -> Config | None:
        """The ConfigMap that a Workspace names, None when it names none."""
        name = config_name(workspace)
        if not name:
            return None
        key = Key(Subject(workspace).namespace, name)
        header = self._store.header(key)
        if header is None:
            self._read.pop(key, None)
            return Missing(name=name)
        known = self._read.get(key)
        if known is not None and known["metadata"]["resourceVersion"] == header.resource_version:
            return known
        try:
            found = _needed(await self._client.get(CONFIG_MAPS, key))
        except NotFound:  # it went a moment ago
            return Missing(name=name)
        self._read.pop(key, None)
        self._read[key] = found
        if len(self._read) > MOST:
            del self._read[next(iter(self._read))]
        return found


def _needed(config: Object) -> Object:
    """What decisions depend on; the rest may be a megabyte."""
    metadata, data = config["metadata"], config.get("data") or {}
    return {
        "metadata": {part: metadata.get(part, "") for part in ("name", "resourceVersion")},
        "data": {key: data[key] for key in KEYS if key in data},
    }
