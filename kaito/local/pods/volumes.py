"""The volumes of a pod as directories of this machine.

What a volume is given lies under the pod's own directory, except hostPath (a directory that stands
for the Node's disk) and claims (which outlive the pod). Kinds of storage that need a driver are
stood in for by an empty directory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaito.local.pods.downward import Downward, UnknownField
from kaito.local.pods.objects import Named
from kaito.local.pods.payload import (
    DEFAULT_MODE,
    File,
    Payload,
    VolumeError,
    chosen,
    entries,
    publish,
)
from kaito.runtime import Key, Object

Lookup = Callable[[Named], Object | None]
Tokens = Callable[[Object, str, int | None], Awaitable[bytes]]
"""A token of a pod's ServiceAccount for an audience ("" is the server) and a time in seconds."""
_WRITTEN = {"configMap", "secret", "downwardAPI", "projected"}
_PLAIN = {"emptyDir", "ephemeral", "hostPath", "persistentVolumeClaim"}
_SOURCES = {"configMap": "configmap", "secret": "secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where volumes lie. `pod` is this pod's alone, `node` stands for its Node's disk."""

    pod: Path
    node: Path
    claims: Path


def source_of(volume: Mapping[str, Any]) -> str:
    """The kind of a volume, as its field is called; one without any is an emptyDir."""
    return next((name for name in volume if name != "name"), "emptyDir")


def stand_ins(pod: Object) -> list[str]:
    """The names of the volumes that an empty directory stands for."""
    return [
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if source_of(volume) not in _WRITTEN | _PLAIN
    ]


def named_by(pod: Object) -> Iterator[Named]:
    """The objects that the volumes of a pod are made of."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            yield "persistentvolumeclaim", Key(namespace, claim["claimName"])
        for source in _parts(volume):
            for field, kind in _SOURCES.items():
                if field in source:
                    yield kind, Key(namespace, _name(source[field]))


class Volumes:
    """Sets up the volumes of one pod, and brings them up to date."""

    def __init__(
        self, places: Places, downward: Downward, lookup: Lookup, tokens: Tokens, now: float
    ) -> None:
        self._places = places
        self._downward = downward
        self._lookup = lookup
        self._tokens = tokens
        self._now = now

    async def set_up(self) -> dict[str, Path]:
        """The directory (or file) of each volume by name. Raises VolumeError."""
        pod, found = self._downward.pod, {}
        for volume in pod["spec"].get("volumes") or ():
            try:
                found[volume["name"]] = await self._one(volume)
            except (VolumeError, UnknownField, OSError) as error:
                says = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                raise VolumeError(says) from error
        return found

    async def _one(self, volume: Mapping[str, Any]) -> Path:
        kind, directory = source_of(volume), self._places.pod / "volumes" / str(volume["name"])
        match kind:
            case "hostPath":
                return self._host_path(volume["hostPath"])
            case "persistentVolumeClaim":
                directory = self._claim(volume["persistentVolumeClaim"]["claimName"])
            case "configMap" | "secret" | "downwardAPI" | "projected":
                publish(directory, await self._files(volume), self._now)
                return directory
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    async def _files(self, volume: Mapping[str, Any]) -> Payload:
        held = volume[source_of(volume)]
        mode = held.get("defaultMode", DEFAULT_MODE)
        payload: Payload = {}
        for source in _parts(volume):
            kind = next(iter(source))
            if kind in _SOURCES:
                payload |= self._of_object(_SOURCES[kind], source[kind], mode)
            elif kind == "downwardAPI":
                payload |= self._of_pod(source[kind], mode)
            elif kind == "serviceAccountToken":
                wanted = source[kind]
                audience, lasts = wanted.get("audience", ""), wanted.get("expirationSeconds")
                token = await self._tokens(self._downward.pod, audience, lasts)
                payload[wanted["path"]] = File(token, mode)
            elif not source[kind].get("optional"):
                raise VolumeError(f"the local cluster has no projected source named {kind}")
        return payload

    def _of_object(self, kind: Any, source: Mapping[str, Any], mode: int) -> Payload:
        name, optional = _name(source), bool(source.get("optional"))
        namespace = self._downward.pod["metadata"]["namespace"]
        held = self._lookup((kind, Key(namespace, name)))
        if held is None:
            if optional:
                return {}
            raise VolumeError(f'{kind} "{name}" not found')
        return chosen(kind, entries(kind, held), source.get("items"), mode=mode, optional=optional)

    def _of_pod(self, source: Mapping[str, Any], mode: int) -> Payload:
        payload: Payload = {}
        containers = self._downward.pod["spec"]["containers"]
        for item in source.get("items") or ():
            if "fieldRef" in item:
                text = self._downward.field(item["fieldRef"]["fieldPath"])
            else:
                wanted = item["resourceFieldRef"]
                named = [each for each in containers if each["name"] == wanted["containerName"]]
                if not named:
                    raise VolumeError(f"container {wanted['containerName']} not found")
                text = self._downward.resource(wanted, named[0])
            payload[item["path"]] = File(text.encode(), item.get("mode", mode))
        return payload

    def _claim(self, name: str) -> Path:
        namespace = self._downward.pod["metadata"]["namespace"]
        claim = self._lookup(("persistentvolumeclaim", Key(namespace, name)))
        if claim is None:
            raise VolumeError(f'persistentvolumeclaim "{name}" not found')
        uid: str = claim["metadata"]["uid"]
        return self._places.claims / uid

    def _host_path(self, source: Mapping[str, Any]) -> Path:
        path, kind = str(source["path"]), source.get("type", "")
        place = inside(self._places.node, path.lstrip("/"))
        match kind:
            case "" | "DirectoryOrCreate":
                place.mkdir(parents=True, exist_ok=True)
            case "FileOrCreate":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            case "Directory" if not place.is_dir():
                raise VolumeError(f"hostPath type check failed: {path} is not a directory")
            case "File" if not place.is_file():
                raise VolumeError(f"hostPath type check failed: {path} is not a file")
            case "Socket" if not place.is_socket():
                raise VolumeError(f"hostPath type check failed: {path} is not a socket file")
            case "CharDevice" if not place.is_char_device():
                raise VolumeError(f"hostPath type check failed: {path} is not a character device")
            case "BlockDevice" if not place.is_block_device():
                raise VolumeError(f"hostPath type check failed: {path} is not a block device")
        return place


def inside(directory: Path, path: str) -> Path:
    """The place of a relative path below a directory, symbolic links followed. Raises VolumeError
    where it would lie outside."""
    top = directory.resolve()
    try:
        place = (top / path).resolve()
    except (ValueError, RuntimeError) as error:
        # A zero byte, and links that lead in a circle.
        raise VolumeError(f"the path {path!r} leads nowhere: {error}") from error
    if path.startswith("/") or not place.is_relative_to(top):
        raise VolumeError(f"the path {path!r} leads out of its volume")
    return place


def _parts(volume: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sources of a volume that is written from objects: of projected ones several."""
    kind = source_of(volume)
    if kind == "projected":
        return list(volume[kind].get("sources") or ())
    return [{kind: volume[kind]}] if kind in _WRITTEN else []


def _name(source: Mapping[str, Any]) -> str:
    """Secret volumes say secretName, everything else says name."""
    name: str = source.get("secretName") or source.get("name", "")
    return name
