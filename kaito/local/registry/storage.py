"""What the registry keeps: contents on disk, and the index that says whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from kaito.local.registry.blobs import Blobs, Upload
from kaito.local.registry.errors import Code, RegistryError
from kaito.local.registry.index import Entry, Index
from kaito.local.registry.manifests import Manifest
from kaito.local.registry.names import Digest, Repository, Tag, is_digest
from kaito.runtime import Clock

BLOB_MOST = 20 * 1024**3  # bytes; more than the adapters and outputs of any model in the catalog
INDEX_FILE = "index.sqlite"


class Storage:
    """Repositories in a directory, which is made when it is not there. Raises RegistryError.

    `most` is the largest blob in bytes.
    """

    def __init__(self, directory: Path, clock: Clock, *, most: int = BLOB_MOST) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._blobs = Blobs(directory, most=most, now=clock.now)
        self._index = Index(directory / INDEX_FILE)
        self._collect()
        self._blobs.sweep(self._index.contents())

    def close(self) -> None:
        self._index.close()

    def begin(self, repository: Repository) -> Upload:
        """An empty upload."""
        return self._blobs.begin(repository)

    def upload(self, repository: Repository, name: str) -> Upload:
        """An upload that goes on. BLOB_UPLOAD_UNKNOWN."""
        return self._blobs.upload(repository, name)

    async def append(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        """Add to an upload; see Blobs.append."""
        await self._blobs.append(upload, chunks)

    def finish(self, upload: Upload, wanted: Digest) -> None:
        """An upload becomes a blob of its repository. DIGEST_INVALID."""
        size = upload.size
        self._blobs.finish(upload, wanted)
        self._index.hold(upload.repository, wanted, size, self._clock.now())

    def cancel(self, upload: Upload) -> None:
        """Forget an upload."""
        self._blobs.cancel(upload)

    def mount(self, repository: Repository, source: Repository, digest: Digest) -> bool:
        """A repository gets a blob that another one holds; False when that holds none such."""
        now = self._clock.now()
        size = self._index.size(source, digest, now)
        if size is None:
            return False
        self._index.hold(repository, digest, size, now)
        return True

    def blob_size(self, repository: Repository, digest: Digest) -> int:
        """The size of a blob of a repository. BLOB_UNKNOWN."""
        size = self._index.size(repository, digest, self._clock.now())
        if size is None:
            raise RegistryError(Code.BLOB_UNKNOWN, {"digest": digest})
        return size

    def pour(self, digest: Digest, start: int, length: int) -> AsyncIterator[bytes]:
        """A part of a blob that there is, in pieces."""
        return self._blobs.pour(digest, start, length)

    def delete_blob(self, repository: Repository, digest: Digest) -> None:
        """A repository gives a blob up. BLOB_UNKNOWN."""
        if not self._index.release(repository, digest):
            raise RegistryError(Code.BLOB_UNKNOWN, {"digest": digest})
        self._collect()

    def put_manifest(
        self, repository: Repository, text: bytes, manifest: Manifest, tag: Tag | None
    ) -> Digest:
        """Keep a manifest and let a tag point to it. MANIFEST_BLOB_UNKNOWN or SIZE_INVALID when
        something that it needs is not there as it says."""
        for part in manifest.parts:
            if part.is_manifest:
                entry = self._index.manifest(repository, part.digest)
                size = None if entry is None else entry.size
            else:
                size = self._index.size(repository, part.digest, self._clock.now())
            if size is None:
                raise RegistryError(Code.MANIFEST_BLOB_UNKNOWN, {"digest": part.digest})
            if size != part.size:
                detail = {"digest": part.digest, "size": size, "claimed": part.size}
                raise RegistryError(Code.SIZE_INVALID, detail)
        entry = Entry(
            digest=self._blobs.put(text),
            media_type=manifest.media_type,
            size=len(text),
            subject=manifest.subject or "",
            artifact_type=manifest.artifact_type,
            annotations=dict(manifest.annotations),
        )
        parts = [part.digest for part in manifest.parts]
        self._index.put(repository, entry, parts, tag, self._clock.now())
        return entry.digest

    def manifest(self, repository: Repository, reference: Tag | Digest) -> Entry:
        """A manifest by its tag or digest. MANIFEST_UNKNOWN."""
        if is_digest(reference):
            digest: Digest | None = Digest(reference)
        else:
            digest = self._index.tagged(repository, Tag(reference))
        entry = None if digest is None else self._index.manifest(repository, digest)
        if entry is None:
            raise RegistryError(Code.MANIFEST_UNKNOWN, {"reference": reference})
        return entry

    def text(self, entry: Entry) -> bytes:
        """The bytes of a manifest that there is."""
        return self._blobs.read(entry.digest)

    def delete_manifest(self, repository: Repository, reference: Tag | Digest) -> None:
        """Remove a manifest by its digest, or a tag alone. MANIFEST_UNKNOWN."""
        if is_digest(reference):
            done = self._index.drop(repository, Digest(reference))
        else:
            done = self._index.untag(repository, Tag(reference))
        if not done:
            raise RegistryError(Code.MANIFEST_UNKNOWN, {"reference": reference})
        self._collect()

    def referrers(self, repository: Repository, subject: Digest) -> list[Entry]:
        """The manifests that say to be about another one, which need not be there."""
        return self._index.referrers(repository, subject)

    def tags(self, repository: Repository, last: str, most: int) -> list[str]:
        """Tags after one, in order, at most so many. NAME_UNKNOWN."""
        if not self._index.knows(repository):
            raise RegistryError(Code.NAME_UNKNOWN, {"name": repository})
        return self._index.tags(repository, last, most)

    def repositories(self, last: str, most: int) -> list[str]:
        """Repositories after one, in order, at most so many."""
        return self._index.repositories(last, most)

    def _collect(self) -> None:
        for digest in self._index.collect(self._clock.now()):
            self._blobs.remove(digest)
