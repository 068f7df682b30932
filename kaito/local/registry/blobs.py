"""Contents on disk, named by their digests, and the files in which they grow until then.

A content is in its place whole or not at all: it is hashed while it is written elsewhere, and
renamed. Nothing is synced to the device; a power cut may cost the last writes of a development
tool. What is kept and what may go is not decided here (index.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Container
from dataclasses import dataclass, field
from pathlib import Path

from kaito.local.registry.errors import Code, RegistryError
from kaito.local.registry.names import Digest, Repository, content_digest

CHUNK = 1024 * 1024  # bytes read at once
OPEN_UPLOADS = 100
IDLE_SECONDS = 3600.0  # after which an upload that nobody goes on with may be forgotten


@dataclass(slots=True)
class Upload:
    """A content that is being sent to a repository."""

    id: str
    repository: Repository
    path: Path
    touched: float
    size: int = 0
    busy: bool = False
    """Whether a request is writing to it just now."""
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self.hash.hexdigest()}")


class Blobs:
    """The directory; it is made when it is not there. `most` is the largest content in bytes."""

    def __init__(
        self,
        directory: Path,
        *,
        most: int,
        now: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._contents = directory / "blobs" / "sha256"
        self._drafts = directory / "uploads"
        self._most = most
        self._now = now
        self._new_id = new_id
        self._uploads: dict[str, Upload] = {}
        for each in (self._contents, self._drafts):
            each.mkdir(parents=True, exist_ok=True)

    def sweep(self, known: Container[Digest]) -> None:
        """Remove what an earlier run left unfinished: uploads, and contents nobody knows of."""
        for draft in self._drafts.iterdir():
            draft.unlink()
        for path in self._contents.iterdir():
            if Digest(f"sha256:{path.name}") not in known:
                path.unlink()

    def begin(self, repository: Repository) -> Upload:
        """An empty upload. RegistryError TOOMANYREQUESTS when too many are open."""
        for idle in [each for each in self._uploads.values() if self._is_idle(each)]:
            self.cancel(idle)
        if len(self._uploads) >= OPEN_UPLOADS:
            raise RegistryError(Code.TOOMANYREQUESTS, f"{OPEN_UPLOADS} uploads are open")
        name = self._new_id()
        upload = Upload(name, repository, self._drafts / name, self._now())
        upload.path.touch()
        self._uploads[name] = upload
        return upload

    def upload(self, repository: Repository, name: str) -> Upload:
        """An upload that goes on. RegistryError BLOB_UPLOAD_UNKNOWN when it is none of the
        repository's."""
        upload = self._uploads.get(name)
        if upload is None or upload.repository != repository:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN, {"upload": name[:64]})
        return upload

    async def append(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        """Add to an upload. What has come stays when the sender breaks off.

        RegistryError when somebody else is adding to it, or when it gets too large, which ends it.
        """
        if upload.busy:
            detail = "another request is writing to this upload"
            raise RegistryError(Code.BLOB_UPLOAD_INVALID, detail, status=409)
        upload.busy, upload.touched = True, self._now()
        try:
            with upload.path.open("ab") as file:
                async for chunk in chunks:
                    if upload.size + len(chunk) > self._most:
                        self.cancel(upload)
                        detail = f"a blob has at most {self._most} bytes"
                        raise RegistryError(Code.SIZE_INVALID, detail, status=413)
                    self.upload(upload.repository, upload.id)
                    file.write(chunk)
                    upload.hash.update(chunk)
                    upload.size += len(chunk)
        finally:
            upload.busy, upload.touched = False, self._now()

    def finish(self, upload: Upload, wanted: Digest) -> Digest:
        """Put an upload in its place. RegistryError DIGEST_INVALID when it is something else,
        which ends it too, BLOB_UPLOAD_UNKNOWN when it has been cancelled meanwhile."""
        self.upload(upload.repository, upload.id)
        if upload.digest != wanted:
            found = upload.digest
            self.cancel(upload)
            raise RegistryError(Code.DIGEST_INVALID, {"digest": wanted, "content": found})
        upload.path.replace(self._path(wanted))
        del self._uploads[upload.id]
        return wanted

    def cancel(self, upload: Upload) -> None:
        """Forget an upload."""
        self._uploads.pop(upload.id, None)
        upload.path.unlink(missing_ok=True)

    def put(self, content: bytes) -> Digest:
        """Keep a small content."""
        name = content_digest(content)
        draft = self._drafts / self._new_id()
        draft.write_bytes(content)
        draft.replace(self._path(name))
        return name

    def read(self, name: Digest) -> bytes:
        """A small content. FileNotFoundError when it is not there."""
        return self._path(name).read_bytes()

    async def pour(self, name: Digest, start: int, length: int) -> AsyncIterator[bytes]:
        """A part of a content in pieces, read beside the event loop. FileNotFoundError when the
        content is not there."""
        # Opened here, where it is sure to be closed again.
        with self._path(name).open("rb") as file:
            file.seek(start)
            while length:
                piece = await asyncio.to_thread(file.read, min(CHUNK, length))
                if not piece:
                    return
                length -= len(piece)
                yield piece

    def remove(self, name: Digest) -> None:
        """Remove a content; whoever is reading it reads on."""
        self._path(name).unlink(missing_ok=True)

    def _is_idle(self, upload: Upload) -> bool:
        return not upload.busy and upload.touched < self._now() - IDLE_SECONDS

    def _path(self, name: Digest) -> Path:
        # A digest has been checked: hex digits alone, in which no path can hide.
        return self._contents / name.removeprefix("sha256:")
