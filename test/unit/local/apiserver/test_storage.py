"""The store: one revision for everything, a log of changes, and what the journal keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kaito.local.apiserver.journal import SqliteJournal
from kaito.local.apiserver.storage import LOG_BYTES, Compacted, Event, Record, Stale, Store


def put(store: Store, key: str, expect: int = 0, **value: Any) -> Record:
    obj = {"metadata": {"name": key}, **value}
    return store.put("b", key, obj, expect=expect, labels={}, selectable={}, version="v1")


class Seen:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def push(self, event: Event) -> None:
        self.events.append(event)


def test_every_write_takes_the_next_revision() -> None:
    store = Store()
    first, second = put(store, "a"), put(store, "b")
    assert second.revision == first.revision + 1 == store.revision
    assert first.value()["metadata"]["resourceVersion"] == str(first.revision)


def test_a_write_over_another_revision_is_stale() -> None:
    store = Store()
    first = put(store, "a")
    with pytest.raises(Stale):
        put(store, "a")
    put(store, "a", first.revision)
    with pytest.raises(Stale):
        put(store, "a", first.revision)
    with pytest.raises(Stale):
        store.drop("b", "a", expect=first.revision)


def test_sinks_hear_of_writes_and_removals() -> None:
    store, seen = Store(), Seen()
    store.bucket("b").join(seen)
    record = put(store, "a")
    gone = store.drop("b", "a", expect=record.revision)
    assert [(e.revision, e.new, e.old) for e in seen.events] == [
        (record.revision, record, None),
        (gone, None, record),
    ]


def test_the_past_is_known_until_compaction() -> None:
    store = Store()
    one = put(store, "a", n=1)
    put(store, "a", one.revision, n=2)
    put(store, "b")
    past = store.bucket("b").at(one.revision)
    assert {k: r.value()["n"] for k, r in past.items()} == {"a": 1}
    store.compact()
    with pytest.raises(Compacted):
        store.bucket("b").at(one.revision)


def test_keys_come_sorted_within_a_prefix() -> None:
    store = Store()
    for key in ("n/b", "m/z", "n/a"):
        put(store, key)
    assert list(store.bucket("b").keys("n/")) == ["n/a", "n/b"]
    assert list(store.bucket("b").keys("n/", "n/a\0")) == ["n/b"]


def test_the_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    store = Store(journal)
    kept = put(store, "a", n=1)
    dropped = put(store, "b")
    last = store.drop("b", "b", expect=dropped.revision)
    again = SqliteJournal(tmp_path)
    after = Store(again, revision=again.revision())
    again.restore(after)
    assert after.revision == last
    assert {k: (r.raw, r.revision) for k, r in after.bucket("b").objects.items()} == {
        "a": (kept.raw, kept.revision)
    }


def test_a_killed_writer_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    writer = textwrap.dedent(
        """
        import pathlib, sys
        from kaito.local.apiserver.journal import SqliteJournal
        from kaito.local.apiserver.storage import Store
        store = Store(SqliteJournal(pathlib.Path(sys.argv[1])))
        for i in range(1_000_000):
            obj = {"metadata": {"name": str(i)}}
            store.put("b", str(i), obj, expect=0, labels={}, selectable={}, version="v1")
            print(i, flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as out:
        for line in out:
            if int(line) >= 200:
                break
        os.kill(process.pid, signal.SIGKILL)
        answered = max([200, *(int(x) for x in out.read().split("\n")[:-1] if x)])
    journal = SqliteJournal(tmp_path)
    store = Store(journal, revision=journal.revision())
    journal.restore(store)
    assert set(store.bucket("b").objects) >= {str(i) for i in range(answered + 1)}


def test_history_holds_so_many_bytes_and_forgets_the_oldest() -> None:
    store = Store()
    first = put(store, "a", text="x" * 2**20)
    revision = first.revision
    for _ in range(LOG_BYTES // 2**20 + 2):
        revision = put(store, "a", revision, text="x" * 2**20).revision
    bucket = store.bucket("b")
    assert bucket.floor > first.revision
    assert sum(each.past for each in bucket.events) <= LOG_BYTES


def test_a_bucket_of_bounded_size_forgets_its_oldest_and_says_so() -> None:
    store, seen = Store(most={"b": 2}), Seen()
    store.bucket("b").join(seen)
    for name in "zyx":
        put(store, name)
    assert list(store.bucket("b").objects) == ["y", "x"]
    assert [each.new is None for each in seen.events] == [False, False, False, True]


def test_what_was_sent_is_not_kept_a_second_time() -> None:
    class Framing:
        def push(self, event: Event) -> None:
            event.frames["all"] = event.new.raw if event.new else b""

    store = Store()
    store.bucket("b").join(Framing())
    put(store, "a")
    assert [each.frames for each in store.bucket("b").events] == [{}]
