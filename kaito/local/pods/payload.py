"""The files of ConfigMap, Secret, downwardAPI and projected volumes, and how they change at once.

A reader sees all files of one version or all of the next: they lie in a directory of their own,
and one symbolic link, `..data`, is swapped.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kaito.local.pods.environment import Kind
from kaito.runtime import Object

DEFAULT_MODE = 0o644
_DATA = "..data"


class VolumeError(Exception):
    """A volume cannot be set up; the message is the kubelet's."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int


Payload = dict[str, File]
"""Relative path to file."""


def entries(kind: Kind, held: Object) -> dict[str, bytes]:
    """Every entry of a ConfigMap or Secret."""
    if kind == "secret":
        return {name: base64.b64decode(text) for name, text in (held.get("data") or {}).items()}
    plain = {name: text.encode() for name, text in (held.get("data") or {}).items()}
    binary = held.get("binaryData") or {}
    return plain | {name: base64.b64decode(text) for name, text in binary.items()}


def chosen(
    kind: Kind,
    held: Mapping[str, bytes],
    items: Iterable[Mapping[str, Any]] | None,
    *,
    mode: int,
    optional: bool,
) -> Payload:
    """The files that a volume makes of entries: all of them, or `items`. Raises VolumeError."""
    if not items:
        return {name: File(content, mode) for name, content in held.items()}
    payload: Payload = {}
    for item in items:
        key = item["key"]
        if key in held:
            payload[item["path"]] = File(held[key], item.get("mode", mode))
        elif not optional:
            what = "configmap references non-existent config" if kind == "configmap" else None
            raise VolumeError(f"{what or 'references non-existent secret'} key: {key}")
    return payload


def publish(directory: Path, payload: Payload, now: float) -> bool:
    """Make the files of `directory` these; whether anything changed. Raises VolumeError.

    `now` is in seconds since the epoch and names the version.
    """
    for path in payload:
        _check(path)
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / _DATA
    before = directory / os.readlink(data) if data.is_symlink() else None
    if before is not None and _read(before) == payload:
        return False
    stamp = datetime.fromtimestamp(now, UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    version = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    try:
        _write(version, payload)
    except OSError:
        # A kubelet tries again and again; what is left each time would fill the disk.
        shutil.rmtree(version, ignore_errors=True)
        raise
    swapped = directory / "..data_tmp"
    swapped.unlink(missing_ok=True)
    swapped.symlink_to(version.name)
    swapped.replace(data)
    _link(directory, {PurePosixPath(path).parts[0] for path in payload})
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return True


def _write(version: Path, payload: Payload) -> None:
    version.chmod(0o755)
    for path, file in payload.items():
        target = version / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode & 0o777)


def _check(path: str) -> None:
    """No file may lie outside of its volume or take a name of ours."""
    parts = PurePosixPath(path).parts
    outside = not parts or path.startswith("/") or ".." in parts
    if outside or "\0" in path or parts[0].startswith(".."):
        raise VolumeError(f"invalid path: {path!r} is not inside of the volume")


def _read(version: Path) -> Payload:
    found: Payload = {}
    for path in version.rglob("*"):
        if path.is_file():
            try:
                content = path.read_bytes()
            except OSError:  # it was made unreadable, so nobody can tell what it holds
                return {}
            mode = stat.S_IMODE(path.stat().st_mode)
            found[path.relative_to(version).as_posix()] = File(content, mode)
    return found


def _link(directory: Path, names: set[str]) -> None:
    """The names that a reader sees lead through the link that is swapped."""
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for path in directory.iterdir():
        if path.is_symlink() and not path.name.startswith("..") and path.name not in names:
            path.unlink()
