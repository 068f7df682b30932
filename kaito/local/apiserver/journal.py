"""The journal: every object in SQLite before its writer hears of success.

One row for each object, and the revision. A killed process loses nothing that was answered; a
killed machine may lose the last moments, since pages are not forced to disk on each write.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from kaito.local.apiserver.storage import Record, Store


class SqliteJournal:
    """Keeps the objects of a Store in one file of `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "apiserver.sqlite3", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS objects (bucket TEXT, key TEXT, "
            "revision INTEGER, version TEXT, labels TEXT, selectable TEXT, raw BLOB, "
            "PRIMARY KEY (bucket, key)) WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER)")

    def revision(self) -> int:
        row = self._db.execute("SELECT value FROM facts WHERE name = 'revision'").fetchone()
        return int(row[0]) if row else 0

    def restore(self, store: Store) -> None:
        """Load every object; history begins anew at the present revision."""
        rows = self._db.execute(
            "SELECT bucket, key, revision, version, labels, selectable, raw "
            "FROM objects ORDER BY bucket, key"
        )
        for bucket, key, revision, version, labels, selectable, raw in rows:
            store.load(
                bucket,
                Record(
                    key, bytes(raw), revision, json.loads(labels), json.loads(selectable), version
                ),
            )

    def put(self, bucket: str, record: Record) -> None:
        db = self._db
        db.execute("BEGIN")
        db.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                bucket,
                record.key,
                record.revision,
                record.version,
                json.dumps(record.labels),
                json.dumps(record.selectable),
                record.raw,
            ),
        )
        self._finish(record.revision)

    def drop(self, bucket: str, key: str, revision: int) -> None:
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
        self._finish(revision)

    def _finish(self, revision: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES ('revision', ?)", (revision,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()
