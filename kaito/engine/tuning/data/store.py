"""Keeps checked examples as one arrow file, which all workers map into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from kaito.engine.tuning.data.forms import Example

TOGETHER = 1000  # examples that are held at most
HELD = 64 * 2**20  # characters of theirs; one record may have 16 Mi


class Store:
    """Takes examples one by one; the file is whole once the context has ended well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[Example] = []
        self._size = 0
        self._schema: Any = None
        self._sink: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def add(self, example: Example) -> None:
        """Keep one. All have the same shape."""
        self._held.append(example)
        self._size += _size(example)
        if len(self._held) >= TOGETHER or self._size >= HELD:
            self._write()

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._write()
            if self._writer is not None:
                self._writer.close()
        finally:
            if self._sink is not None:
                self._sink.close()

    def _write(self) -> None:
        # Whose data is broken needs no pyarrow to be told.
        import pyarrow

        if not self._held:
            return
        if self._writer is None:
            message = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
            messages = pyarrow.list_(message)
            self._schema = pyarrow.schema(
                [
                    (name, pyarrow.string() if isinstance(value, str) else messages)
                    for name, value in self._held[0].items()
                ]
            )
            self._sink = pyarrow.OSFile(str(self._path), "wb")
            self._writer = pyarrow.ipc.new_stream(self._sink, self._schema)
        self._writer.write_batch(pyarrow.RecordBatch.from_pylist(self._held, schema=self._schema))
        self._held.clear()
        self._size = 0


def _size(example: Example) -> int:
    texts = (value if isinstance(value, list) else [{"": value}] for value in example.values())
    return sum(len(text) for messages in texts for each in messages for text in each.values())
