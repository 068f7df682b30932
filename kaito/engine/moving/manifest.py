"""What a registry's manifests say: of images, of artifacts, and of indexes with one for each
platform. Pure.

OCI image specification 1.1 and Docker's schema 2. Nothing here is believed: every digest is of a
known kind and every size a number before it is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaito.engine.moving.reference import DIGEST

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPTED = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TITLE = "org.opencontainers.image.title"
UNPACK = "io.deis.oras.content.unpack"
LARGEST = 4 * 1024 * 1024  # bytes; what the distribution specification has registries take
MODEL = "sh.kaito.model.name"  # upstream's annotation of what tuning pushes
MOST_PARTS = 10_000
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as machines call themselves, and as Go


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that a manifest consists of."""

    media_type: str
    digest: str
    size: int
    """Bytes."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What its file is called, "" where it is none."""
        return self.annotations.get(TITLE, "")

    @property
    def may_be_archive(self) -> bool:
        """Whether it is to be unpacked, if it can be."""
        return self.annotations.get(UNPACK) == "true" or "tar" in self.media_type


@dataclass(frozen=True, slots=True)
class Image:
    """An image or an artifact: layers, the lowest one first."""

    layers: tuple[Part, ...]
    model: str = ""
    """Which model an adapter was trained for, "" where that is not told."""


@dataclass(frozen=True, slots=True)
class Index:
    """One of several."""

    manifests: tuple[Part, ...]

    def chosen(self, machine: str) -> Part | None:
        """The one for Linux on a machine, as platform.machine() calls it; without one for it, the
        only one there is: data is the same everywhere. None where there is a choice."""
        own = [each for each in self.manifests if each.platform.get("os") != "unknown"]
        wanted = {"os": "linux", "architecture": ARCHITECTURES.get(machine, machine)}
        fitting = [each for each in own if wanted.items() <= dict(each.platform).items()]
        if fitting:
            return fitting[0]
        plain = [each for each in own if not each.platform]
        found = plain or own
        return found[0] if len(found) == 1 else None


def read(text: bytes) -> Image | Index:
    """ValueError, with what is wrong as a sentence's end."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its manifest is no JSON") from error
    if not isinstance(said, dict):
        raise ValueError("its manifest is no object")
    if said.get("schemaVersion") != 2:
        raise ValueError("its manifest is of Docker's schema 1, which is no longer in use")
    if "manifests" in said:
        return Index(_parts(said["manifests"]))
    notes = said.get("annotations")
    model = notes.get(MODEL, "") if isinstance(notes, dict) else ""
    return Image(_parts(said.get("layers")), str(model))


def digest_of(text: bytes, like: str = "sha256:") -> str:
    """The digest of a text, of the same algorithm as another one."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, text).hexdigest()}"


def _parts(wire: Any) -> tuple[Part, ...]:
    if not isinstance(wire, list) or len(wire) > MOST_PARTS:
        raise ValueError("its manifest has no list of layers")
    return tuple(_part(each) for each in wire)


def _part(wire: Any) -> Part:
    try:
        digest, size = wire["digest"], wire["size"]
        media_type = wire.get("mediaType", "")
        notes, platform = wire.get("annotations") or {}, wire.get("platform") or {}
        found = Part(
            media_type=str(media_type),
            digest=str(digest),
            size=size,
            annotations={str(key): str(value) for key, value in notes.items()},
            platform={str(key): value for key, value in platform.items() if isinstance(value, str)},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("its manifest describes its layers in no known way") from error
    if not DIGEST.fullmatch(found.digest) or type(size) is not int or size < 0:
        raise ValueError("its manifest has a layer with no digest or size")
    return found
