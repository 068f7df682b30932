"""The cloud and the cluster that `kaito provisioner` and its commands work for."""

from __future__ import annotations

from collections.abc import Mapping

from kaito.cli.daemon import NAMESPACES
from kaito.provisioner import CloudSettings
from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE, read
from kaito.runtime import Client, Key, NotFound, Object, Resource

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")


async def settings_of(client: Client, environment: Mapping[str, str]) -> CloudSettings:
    """From the environment and the ConfigMap, which need not exist.

    Raises SettingsError and what Client.get raises.
    """
    try:
        config = await client.get(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME))
    except NotFound:
        config = {}
    return read(environment, config.get("data") or {})


async def cluster_uid(client: Client) -> str:
    """What tells this cluster from others: the uid of its namespace kube-system.

    Raises what Client.get raises.
    """
    system = await client.get(NAMESPACES, Key("", "kube-system"))
    uid: str = system["metadata"]["uid"]
    return uid
