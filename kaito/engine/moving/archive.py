"""Archives of files: the layers of images. What is one, and its members, one after the other."""

from __future__ import annotations

import gzip
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BLOCK = 512  # bytes of a header
LARGEST_HEADER = 1024 * 1024  # bytes; names and attributes, which are read at once
HEADERS = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)
DAMAGED = (
    *(tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError),
    # What tarfile lets through: numbers that are none, and headers of headers without end.
    *(ValueError, RecursionError),
)


class Member(tarfile.TarInfo):
    """A member whose name does not fill the memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The hook that tarfile leaves to subclasses: after a header, before what it announces.
        if self.type in HEADERS and self.size > LARGEST_HEADER:
            raise tarfile.ReadError("a header is too large")
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_holes()
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]  # not in typeshed

    def _refuse_holes(self, *_: object) -> None:
        # Lists of holes have no end of their own, and no builder of images writes any.
        raise tarfile.ReadError("a file has holes")

    _proc_gnusparse_10 = _refuse_holes


@contextmanager
def members(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive, compressed or not, to be read once from its beginning to its end.

    DAMAGED errors come from reading it.
    """
    with _plain(path) as stream:
        archive = tarfile.open(fileobj=stream, mode="r|", tarinfo=Member)  # noqa: SIM115 - below
        with archive:
            yield archive


def forget(archive: tarfile.TarFile) -> None:
    """Give back what tarfile keeps of the members so far, which grows with the archive."""
    kept = cast(Any, archive)  # typeshed has neither as it is
    kept.members.clear()
    kept.pax_headers.clear()


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, as far as its first header tells."""
    try:
        with _plain(path) as stream:
            start = stream.read(BLOCK)
        if not start.strip(b"\0"):
            return len(start) == BLOCK  # of nothing
        tarfile.TarInfo.frombuf(start, tarfile.ENCODING, "surrogateescape")
    except DAMAGED:
        return False
    return True


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(GZIP):
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                yield cast(BinaryIO, stream)
        elif start == ZSTD:
            with zstd.ZstdFile(file, "rb") as other:
                yield cast(BinaryIO, other)
        else:
            yield file
