"""Which directory each mount path of a container stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaito.local.pods.environment import ConfigError
from kaito.local.pods.expansion import TooLong, expand
from kaito.local.pods.payload import VolumeError
from kaito.local.pods.volumes import inside


def mounts(
    container: Mapping[str, Any], volumes: Mapping[str, Path], variables: Mapping[str, str]
) -> dict[str, Path]:
    """The directories by mount path. A subPath that is not there becomes a directory.

    Raises ConfigError where a subPath would lead out of its volume.
    """
    found: dict[str, Path] = {}
    for mount in container.get("volumeMounts") or ():
        directory = volumes.get(mount["name"])
        if directory is None:
            raise ConfigError(f'no volume is named "{mount["name"]}"')
        found[mount["mountPath"].rstrip("/") or "/"] = _part(directory, mount, variables)
    return found


def _part(directory: Path, mount: Mapping[str, Any], variables: Mapping[str, str]) -> Path:
    name = mount["name"]
    try:
        part = mount.get("subPath") or expand(mount.get("subPathExpr") or "", variables)
        if not part:
            return directory
        place = inside(directory, part)
        if not place.exists():
            place.mkdir(parents=True)
    except (VolumeError, TooLong, OSError, ValueError) as error:
        raise ConfigError(f'failed to prepare subPath for volumeMount "{name}": {error}') from error
    # Not the place itself: files of ConfigMaps move when they change.
    return directory / part
