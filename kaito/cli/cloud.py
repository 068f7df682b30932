"""The cloud and the cluster that `kaito provisioner` and its commands work for."""

from __future__ import annotations

from collections.abc import Mapping

from kaito.cli.daemon import NAMESPACES
from kaito.cli.parser import CommandError
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.provisioner import CloudSettings
from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE, SettingsError, read
from kaito.runtime import Client, ExitCode, Key, NotFound


async def settings_of(client: Client, environment: Mapping[str, str]) -> CloudSettings:
    """From the environment and the ConfigMap, which need not exist.

    Raises CommandError, which no new start mends, and what Client.get raises.
    """
    try:
        config = await client.get(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME))
    except NotFound:
        config = {}
    try:
        return read(environment, config.get("data") or {})
    except SettingsError as error:
        raise CommandError(str(error), code=ExitCode.MISCONFIGURED) from error


async def cluster_uid(client: Client) -> str:
    """What tells this cluster from others: the uid of its namespace kube-system.

    Raises what Client.get raises.
    """
    system = await client.get(NAMESPACES, Key("", "kube-system"))
    uid: str = system["metadata"]["uid"]
    return uid
