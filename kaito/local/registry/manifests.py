"""Manifests: what they are made of, and whether that is there.

Image manifests and indexes of OCI and of Docker (version 2, schema 2). The text of a manifest is
kept byte by byte, as its digest is of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kaito.local.registry.errors import Code, RegistryError
from kaito.local.registry.names import Digest, digest

MOST = 4 * 1024 * 1024  # bytes; the least that the specification asks registries to take
IMAGES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
INDEX = "application/vnd.oci.image.index.v1+json"
INDEXES = frozenset({INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A content that a manifest needs."""

    digest: Digest
    size: int
    is_manifest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the text of a manifest says."""

    media_type: str
    parts: tuple[Part, ...]
    subject: Digest | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse(text: bytes, media_type: str) -> Manifest:
    """A manifest that was sent under a media type. RegistryError MANIFEST_INVALID."""
    if media_type not in IMAGES | INDEXES:
        known = ", ".join(sorted(IMAGES | INDEXES))
        raise _invalid(f"the media type is {media_type!r}; take one of {known}", status=415)
    try:
        wire = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise _invalid("it is no JSON") from None
    if not isinstance(wire, dict) or wire.get("schemaVersion") != 2:
        raise _invalid("it is no object with the schemaVersion 2")
    if wire.get("mediaType", media_type) != media_type:
        raise _invalid("its mediaType is not that of the Content-Type")
    subject = wire.get("subject")
    config = wire.get("config")
    config_type = config.get("mediaType") if isinstance(config, dict) else None
    return Manifest(
        media_type=media_type,
        parts=tuple(_image(wire) if media_type in IMAGES else _index(wire)),
        subject=None if subject is None else _descriptor(subject, "subject").digest,
        artifact_type=_text(wire.get("artifactType") or config_type, "artifactType"),
        annotations=_annotations(wire.get("annotations")),
    )


def _image(wire: Mapping[str, Any]) -> Iterator[Part]:
    yield _descriptor(wire.get("config"), "config")
    for layer in _list(wire, "layers"):
        part = _descriptor(layer, "layers")
        # A foreign layer lies elsewhere; registries do not have it.
        if not layer.get("urls"):
            yield part


def _index(wire: Mapping[str, Any]) -> Iterator[Part]:
    for child in _list(wire, "manifests"):
        part = _descriptor(child, "manifests")
        yield Part(digest=part.digest, size=part.size, is_manifest=True)


def _list(wire: Mapping[str, Any], name: str) -> list[Any]:
    found = wire.get(name)
    if not isinstance(found, list):
        raise _invalid(f"{name} is no list")
    return found


def _descriptor(wire: Any, name: str) -> Part:
    if not isinstance(wire, dict) or not isinstance(wire.get("mediaType"), str):
        raise _invalid(f"{name} is no descriptor")
    size = wire.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _invalid(f"the size of {name} is no number of bytes")
    return Part(digest=digest(wire.get("digest")), size=size)


def _annotations(wire: Any) -> dict[str, str]:
    if wire is None:
        return {}
    if not isinstance(wire, dict) or not all(isinstance(value, str) for value in wire.values()):
        raise _invalid("annotations is no map of strings")
    return wire


def _text(wire: Any, name: str) -> str:
    if wire is not None and not isinstance(wire, str):
        raise _invalid(f"{name} is no string")
    return wire or ""


def _invalid(reason: str, status: int = 0) -> RegistryError:
    return RegistryError(Code.MANIFEST_INVALID, {"reason": reason}, status=status)
