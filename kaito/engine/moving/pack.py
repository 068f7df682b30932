"""Files as one layer of an image. The same files give the same bytes, whenever they are packed."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast

from kaito.engine.moving.manifest import CONFIG, LAYER, OCI_MANIFEST, Part, digest_of
from kaito.engine.moving.promises import digest

FASTEST = 1  # weights hardly get smaller
DIRECTORY, FILE = 0o755, 0o644  # whoever unpacks it can read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An image of one layer."""

    layer: Part
    file: Path
    """The layer's content."""
    config: bytes
    manifest: bytes

    @property
    def config_part(self) -> Part:
        """As the manifest has it."""
        return Part(media_type=CONFIG, digest=digest_of(self.config), size=len(self.config))

    @property
    def digest(self) -> str:
        """Of the manifest: what the image is known by."""
        return digest_of(self.manifest)


def pack(files: Sequence[Path], folder: str, into: Path, annotations: Mapping[str, str]) -> Packed:
    """An image with these files in one folder; its layer is written to a file, `into`."""
    with (
        into.open("wb") as raw,
        gzip.GzipFile("", "wb", FASTEST, raw, mtime=0) as compressed,
        tarfile.open(fileobj=cast(IO[bytes], compressed), mode="w|") as archive,
    ):
        archive.addfile(_entry(folder, tarfile.DIRTYPE, DIRECTORY))
        for each in sorted(files):
            with each.open("rb") as content:
                entry = _entry(f"{folder}/{each.name}", tarfile.REGTYPE, FILE, each.stat().st_size)
                archive.addfile(entry, content)
    layer = Part(media_type=LAYER, digest=f"sha256:{digest(into)}", size=into.stat().st_size)
    config = _json(
        {
            "architecture": "amd64",  # there must be one, and clients look for theirs
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_plain(into)}"]},
        }
    )
    described = Part(media_type=CONFIG, digest=digest_of(config), size=len(config))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _wire(described),
            "layers": [_wire(layer)],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
    return Packed(layer=layer, file=into, config=config, manifest=manifest)


def _plain(path: Path) -> str:
    """The digest of what is compressed in a file, in hex."""
    with gzip.open(path) as content:
        return hashlib.file_digest(cast(BytesIO, content), "sha256").hexdigest()


def _entry(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    # No times and no owners: they would make another image of the same files.
    found = tarfile.TarInfo(name)
    found.type, found.mode, found.size = kind, mode, size
    return found


def _wire(part: Part) -> dict[str, object]:
    return {"mediaType": part.media_type, "digest": part.digest, "size": part.size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
