"""Containers that fetch something from a registry before the engine starts. Pure.

The user's pull Secrets are mounted into them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.controllers.workspace.mover import mover
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

SECRETS = "/mnt/registry"
DOCKER_CONFIG, AUTHORITY = ".dockerconfigjson", "ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Docker configurations of Secrets, as files in one directory."""

    paths: tuple[str, ...] = ()
    mounts: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """How a mover is told of them."""
        return [word for path in self.paths for word in ("--auth", path)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A container that fetches, and the volumes that it needs besides its target."""

    container: Object
    volumes: tuple[Object, ...]


def credentials(volume: str, secrets: Sequence[str]) -> Credentials:
    """These Secrets, in their order, in a volume of this name.

    A registry with an authority of its own has its certificate beside the account, where the mover
    looks for it.
    """
    if not secrets:
        return Credentials()
    sources = [
        source
        for place, secret in enumerate(secrets)
        for source in (
            _source(secret, DOCKER_CONFIG, f"{place}.json"),
            {"secret": {**_source(secret, AUTHORITY, f"{place}.crt")["secret"], "optional": True}},
        )
    ]
    return Credentials(
        paths=tuple(f"{SECRETS}/{place}.json" for place in range(len(secrets))),
        mounts=({"name": volume, "mountPath": SECRETS, "readOnly": True},),
        volumes=({"name": volume, "projected": {"sources": sources}},),
    )


def pull(
    name: str, reference: str, target: Object, secrets: Credentials, settings: Settings, *more: str
) -> Pull:
    """Fetches the files of an image or artifact into a volume; `more` are options of the mover."""
    arguments = ["pull", "--to", str(target["mountPath"]), *secrets.arguments, *more, reference]
    container = mover(name, arguments, [target, *secrets.mounts], settings)
    return Pull(container=container, volumes=secrets.volumes)


def _source(secret: str, key: str, path: str) -> Object:
    return {"secret": {"name": secret, "items": [{"key": key, "path": path}]}}
