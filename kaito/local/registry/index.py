"""Which repository has what: manifests, tags, and the contents it may read. In SQLite.

Contents are stored once and belong to every repository that holds them. A content that no
repository holds any more is garbage; so is one that a repository holds for no manifest, once
nobody has asked for it for a while: whoever is pushing a manifest has just sent or seen its parts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaito.local.registry.names import Digest, Repository, Tag

GRACE_SECONDS = 3600.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS content (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, touched REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holding (
  repository TEXT, digest TEXT, PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holding_digest ON holding (digest);
CREATE TABLE IF NOT EXISTS manifest (
  repository TEXT, digest TEXT, media_type TEXT NOT NULL, subject TEXT NOT NULL,
  artifact_type TEXT NOT NULL, annotations TEXT NOT NULL, PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS manifest_digest ON manifest (digest);
CREATE INDEX IF NOT EXISTS manifest_subject ON manifest (repository, subject);
CREATE TABLE IF NOT EXISTS part (
  repository TEXT, manifest TEXT, digest TEXT, PRIMARY KEY (repository, manifest, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part_digest ON part (repository, digest);
CREATE TABLE IF NOT EXISTS tag (
  repository TEXT, name TEXT, digest TEXT NOT NULL, PRIMARY KEY (repository, name)
) WITHOUT ROWID;
"""
_MANIFESTS = (
    "SELECT digest, media_type, size, subject, artifact_type, annotations "
    "FROM manifest JOIN content USING (digest) WHERE repository = ? AND "
)
_BY_DIGEST = _MANIFESTS + "digest = ?"
_BY_SUBJECT = _MANIFESTS + "subject = ? ORDER BY digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of a manifest besides its text."""

    digest: Digest
    media_type: str
    size: int
    subject: str = ""
    artifact_type: str = ""
    annotations: dict[str, Any] = field(default_factory=dict)


class Index:
    """The database in a file, which is made when it is not there. One process has it open."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        # After a crash of the process nothing is lost; after one of the machine the last writes.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def contents(self) -> set[Digest]:
        """The digests of everything that is kept."""
        return {Digest(row[0]) for row in self._db.execute("SELECT digest FROM content")}

    def hold(self, repository: Repository, digest: Digest, size: int, now: float) -> None:
        """A repository has got a content."""
        with self._transaction():
            self._touch(digest, size, now)
            self._db.execute("INSERT OR IGNORE INTO holding VALUES (?, ?)", (repository, digest))

    def size(self, repository: Repository, digest: Digest, now: float) -> int | None:
        """The size of a content that a repository holds, which counts as having asked for it;
        None when it holds none such."""
        row = self._db.execute(
            "SELECT size FROM content JOIN holding USING (digest) "
            "WHERE repository = ? AND digest = ?",
            (repository, digest),
        ).fetchone()
        if row is None:
            return None
        self._db.execute("UPDATE content SET touched = ? WHERE digest = ?", (now, digest))
        return int(row[0])

    def release(self, repository: Repository, digest: Digest) -> bool:
        """A repository no longer holds a content; False when it did not."""
        with self._transaction():
            done = self._db.execute(
                "DELETE FROM holding WHERE repository = ? AND digest = ?", (repository, digest)
            )
        return bool(done.rowcount)

    def put(
        self,
        repository: Repository,
        entry: Entry,
        parts: Iterable[Digest],
        tag: Tag | None,
        now: float,
    ) -> None:
        """A repository has got a manifest, and a tag points to it."""
        with self._transaction():
            self._touch(entry.digest, entry.size, now)
            self._db.execute(
                "INSERT OR REPLACE INTO manifest VALUES (?, ?, ?, ?, ?, ?)",
                (
                    repository,
                    entry.digest,
                    entry.media_type,
                    entry.subject,
                    entry.artifact_type,
                    json.dumps(entry.annotations),
                ),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO part VALUES (?, ?, ?)",
                [(repository, entry.digest, part) for part in parts],
            )
            if tag is not None:
                self._db.execute(
                    "INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", (repository, tag, entry.digest)
                )

    def tagged(self, repository: Repository, tag: Tag) -> Digest | None:
        """What a tag points to."""
        row = self._db.execute(
            "SELECT digest FROM tag WHERE repository = ? AND name = ?", (repository, tag)
        ).fetchone()
        return None if row is None else Digest(row[0])

    def manifest(self, repository: Repository, digest: Digest) -> Entry | None:
        """A manifest that a repository has."""
        return next(self._manifests(_BY_DIGEST, repository, digest), None)

    def referrers(self, repository: Repository, subject: Digest) -> list[Entry]:
        """The manifests that say they are about another one, by digest."""
        return list(self._manifests(_BY_SUBJECT, repository, subject))

    def untag(self, repository: Repository, tag: Tag) -> bool:
        """Remove a tag alone; False when there is none."""
        with self._transaction():
            done = self._db.execute(
                "DELETE FROM tag WHERE repository = ? AND name = ?", (repository, tag)
            )
        return bool(done.rowcount)

    def drop(self, repository: Repository, digest: Digest) -> bool:
        """Remove a manifest and the tags that point to it; False when there is none."""
        with self._transaction():
            done = self._db.execute(
                "DELETE FROM manifest WHERE repository = ? AND digest = ?", (repository, digest)
            )
            for statement in (
                "DELETE FROM tag WHERE repository = ? AND digest = ?",
                "DELETE FROM part WHERE repository = ? AND manifest = ?",
            ):
                self._db.execute(statement, (repository, digest))
        return bool(done.rowcount)

    def tags(self, repository: Repository, last: str, most: int) -> list[str]:
        """Tags after one, in order, at most so many."""
        rows = self._db.execute(
            "SELECT name FROM tag WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
            (repository, last, most),
        )
        return [row[0] for row in rows]

    def repositories(self, last: str, most: int) -> list[str]:
        """Repositories after one that hold something, in order, at most so many."""
        rows = self._db.execute(
            "SELECT repository FROM manifest WHERE repository > :last "
            "UNION SELECT repository FROM holding WHERE repository > :last "
            "ORDER BY repository LIMIT :most",
            {"last": last, "most": most},
        )
        return [row[0] for row in rows]

    def knows(self, repository: Repository) -> bool:
        """Whether a repository holds anything."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM manifest WHERE repository = :name) "
            "OR EXISTS (SELECT 1 FROM holding WHERE repository = :name)",
            {"name": repository},
        ).fetchone()
        return bool(row[0])

    def collect(self, now: float) -> list[Digest]:
        """Forget all garbage; the contents to remove."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM holding WHERE NOT EXISTS (SELECT 1 FROM part "
                "WHERE part.repository = holding.repository AND part.digest = holding.digest) "
                "AND (SELECT touched FROM content WHERE content.digest = holding.digest) < ?",
                (now - GRACE_SECONDS,),
            )
            rows = self._db.execute(
                "DELETE FROM content WHERE digest NOT IN (SELECT digest FROM holding) "
                "AND digest NOT IN (SELECT digest FROM manifest) RETURNING digest"
            ).fetchall()
        return [Digest(row[0]) for row in rows]

    def _manifests(self, which: str, repository: Repository, value: str) -> Iterator[Entry]:
        for row in self._db.execute(which, (repository, value)):
            digest, media_type, size, subject, artifact_type, notes = row
            yield Entry(
                digest=Digest(digest),
                media_type=media_type,
                size=size,
                subject=subject,
                artifact_type=artifact_type,
                annotations=json.loads(notes),
            )

    def _touch(self, digest: Digest, size: int, now: float) -> None:
        self._db.execute(
            "INSERT INTO content VALUES (?, ?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET touched = excluded.touched",
            (digest, size, now),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
