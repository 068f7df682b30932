"""Records of tables: CSV, and parquet and arrow files through pyarrow."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from kaito.engine.tuning.data.problems import Broken, Place, Record, invalid
from kaito.engine.tuning.data.text import LONGEST, lines

DELIMITERS = (",", "\t", ";", "|")
ROWS = 256  # read at a time


def csv_columns(path: Path, name: str) -> tuple[str, list[str]]:
    """The delimiter and the names in the first line: those that make the most columns."""
    first = next((line for _, line in lines(path, name) if line.strip()), "")
    found = [(each, next(csv.reader([first], delimiter=each), [])) for each in DELIMITERS]
    delimiter, names = max(found, key=lambda pair: len(pair[1]))
    return delimiter, [each.strip() for each in names]


def csv_records(path: Path, name: str) -> Iterator[Record | Broken]:
    """The rows below the first; places are the lines on which they end."""
    delimiter, names = csv_columns(path, name)
    _check_apart(names, name, " in its first line")
    csv.field_size_limit(LONGEST)
    rows = csv.reader((line for _, line in lines(path, name)), delimiter=delimiter, strict=True)
    headed = False
    while True:
        begin = rows.line_num + 1
        place = Place("line", begin)
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            # Where a quote does not end the rest of the file is one field.
            raise invalid(
                name,
                f"cannot be read on from line {begin}",
                "a quote is not closed, or is not doubled inside of quotes; mend it",
            ) from None
        if not row:
            continue
        if not headed:
            headed = True
        elif len(row) != len(names):
            yield Broken(place, f"has {len(row)} fields, and the first line {len(names)}")
        else:
            yield Record(place, dict(zip(names, row, strict=True)))


def columns(path: Path, name: str, kind: str) -> list[str]:
    """The names of a parquet or arrow file's columns."""
    with _Table(path, name, kind) as table:
        return list(table.names)


def records(path: Path, name: str, kind: str, wanted: Collection[str]) -> Iterator[Record]:
    """The rows of a parquet or arrow file, of these columns."""
    number = 0
    with _Table(path, name, kind) as table:
        _check_apart(table.names, name)
        for row in table.rows([each for each in table.names if each in wanted]):
            number += 1
            yield Record(Place("row", number), row)


def _check_apart(names: Sequence[str], name: str, where: str = "") -> None:
    if len(set(names)) < len(names):
        raise invalid(name, "has two columns of one name", f"name them apart{where}")


class _Table:
    """An open file; whatever pyarrow says of it ends in one sentence."""

    def __init__(self, path: Path, name: str, kind: str) -> None:
        # Only here: half of those who read data have no tables, and it is large.
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet

        self._arrow, self._path, self._name, self._kind = pyarrow, path, name, kind
        self._file: Any = None
        self._source: Any = None

    def __enter__(self) -> Self:
        self._source = self._arrow.OSFile(str(self._path), "rb")
        try:
            if self._kind == "parquet":
                self._file = self._arrow.parquet.ParquetFile(self._source)
            else:
                self._file = self._opened()
        except (self._arrow.ArrowException, OSError) as error:
            self._source.close()
            raise self._broken(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""
        if self._kind == "parquet":
            return list(self._file.schema_arrow.names)
        return list(self._file.schema.names)

    def rows(self, names: list[str]) -> Iterator[dict[str, object]]:
        """One by one."""
        batches = self._batches(names)
        while True:
            try:
                batch = next(batches)
                rows = batch.to_pylist()
            except StopIteration:
                return
            # Not all of what Arrow holds is a value of Python: dates in the year 5,000,000.
            except (self._arrow.ArrowException, OSError, ValueError, OverflowError) as error:
                raise self._broken(error) from None
            yield from rows

    def _batches(self, names: list[str]) -> Iterator[Any]:
        if self._kind == "parquet":
            yield from self._file.iter_batches(batch_size=ROWS, columns=names)
            return
        many = getattr(self._file, "num_record_batches", None)
        found = iter(self._file) if many is None else map(self._file.get_batch, range(many))
        for batch in found:
            kept = batch.select(names)
            for start in range(0, kept.num_rows, ROWS):
                yield kept.slice(start, ROWS)

    def _opened(self) -> Any:
        """Arrow has a file format and a format for streams, which Hugging Face writes."""
        try:
            return self._arrow.ipc.open_file(self._source)
        except self._arrow.ArrowInvalid:
            self._source.seek(0)
            return self._arrow.ipc.open_stream(self._source)

    def _broken(self, error: Exception) -> Exception:
        if isinstance(error, OSError) and error.errno:
            return error
        return invalid(
            self._name,
            f"cannot be read as {self._kind}",
            "it is cut off or broken; write it anew",
        )
