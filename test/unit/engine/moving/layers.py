"""Layers of images as tests make them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kaito.engine.moving.archive import zstd

KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}


@dataclass(frozen=True)
class Made:
    """A member of an archive."""

    name: str
    kind: str = "file"
    content: bytes = b""
    link: str = ""


def tar(members: Iterable[Made]) -> bytes:
    """An archive of these members, in their order, as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for each in members:
            info = tarfile.TarInfo(each.name)
            info.type, info.linkname = KINDS[each.kind], each.link
            info.size = len(each.content) if each.kind == "file" else 0
            info.mode = 0o7777
            archive.addfile(info, io.BytesIO(each.content))
    return out.getvalue()


def layer(directory: Path, *members: Made, packing: str = "") -> Path:
    """The same in a file, packed by gzip or zstd."""
    content = tar(members)
    if packing == "gzip":
        content = gzip.compress(content, mtime=0)
    elif packing == "zstd":
        content = zstd.compress(content)
    path = directory / f"layer{len(list(directory.glob('layer*')))}"
    path.write_bytes(content)
    return path
