"""Goes through a dataset once, record by record, and says what it is or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.data import forms, jsons, tables
from kaito.engine.tuning.data.files import TEXTS, DataFile, digest, find
from kaito.engine.tuning.data.forms import Example, Form, Unfit
from kaito.engine.tuning.data.problems import Broken, Place, Record, invalid, shown
from kaito.engine.tuning.data.text import check_head

TOLD = 3  # broken records that are told one by one
FOUND = 8  # columns that are told
COLUMN = 32  # characters of a column's name that is told

Sink = Callable[[Example], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A dataset that can be trained with."""

    kind: str
    """chat, instruction or plain."""
    described: str
    examples: int
    files: tuple[str, ...]
    size: int
    """Bytes."""
    digest: str
    """SHA-256 of names and contents."""
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Count:
    """How the records of one file were."""

    good: int = 0
    broken: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, place: Place, why: str) -> None:
        self.broken += 1
        if len(self.first) < TOLD:
            self.first.append(f"{place} {why}")


def check(directory: Path, dataset: Mapping[str, object], *, limit: int, sink: Sink) -> Checked:
    """Hand every example of the dataset to `sink`, as DatasetConfig says.

    Ended with DATASET_INVALID or DATASET_TOO_LARGE when it cannot be trained with.
    """
    found = find(
        directory,
        path=str(dataset.get("dataset_path") or ""),
        extension=str(dataset.get("dataset_extension") or ""),
        limit=limit,
    )
    good, form, before = 0, forms.asked(dataset), ""
    told = form is not None
    chosen: Form | None = None
    for file in found.files:
        if file.size == 0:
            raise invalid(file.name, "is empty", "take it out, or fill it")
        if file.kind in TEXTS:
            check_head(file.path, file.name)
        if not told:
            form = _form(file)
        assert form is not None
        if chosen is not None and chosen.kind != form.kind:
            raise invalid(
                file.name,
                f"holds {form.described}, and {shown(before)} {chosen.described}",
                "bring them into one form",
            )
        chosen, before = form, file.name
        good += _go_through(file, form, sink)
    assert chosen is not None
    return Checked(
        kind=chosen.kind,
        described=chosen.described,
        examples=good,
        files=tuple(each.name for each in found.files),
        size=found.size,
        digest=digest(found.files),
        notices=(_others(found.others),) if found.others else (),
    )


def _go_through(file: DataFile, form: Form, sink: Sink) -> int:
    count = _Count()
    if file.kind not in ("json", "jsonl"):
        _has_columns(file, form)
    for each in _records(file, form.columns):
        match each:
            case Broken(place, why):
                count.add(place, why)
            case Record(place, value):
                try:
                    example = form.example(_object(value))
                except Unfit as why:
                    count.add(place, str(why))
                else:
                    count.good += 1
                    # Nobody trains with it once there is a broken one.
                    if not count.broken:
                        sink(example)
    if count.broken:
        raise _broken(file, form, count)
    if not count.good:
        raise invalid(file.name, "has no record", "take it out, or fill it")
    return count.good


def _records(file: DataFile, wanted: tuple[str, ...]) -> Iterator[Record | Broken]:
    match file.kind:
        case "json" | "jsonl":
            return jsons.records(file.path, file.name, lined=file.kind == "jsonl")
        case "csv":
            return tables.csv_records(file.path, file.name)
    return tables.records(file.path, file.name, file.kind, wanted)


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Unfit("is no object with columns")
    return value


def _form(file: DataFile) -> Form:
    """The form that the file itself shows."""
    names = _columns(file)
    form = forms.choose(names)
    if form is not None:
        return form
    seen = [each for each in names if len(each) <= COLUMN and each.isidentifier()][:FOUND]
    # The first line of a table without names is data.
    has = f", but {', '.join(seen)}" if seen and file.kind != "csv" else ""
    head = " in its first line" if file.kind == "csv" else ""
    raise invalid(
        file.name,
        f"has none of the columns that are known{head}{has}",
        f"name them {forms.KNOWN}, or say in DatasetConfig which column is which",
    )


def _columns(file: DataFile) -> list[str]:
    match file.kind:
        case "csv":
            return tables.csv_columns(file.path, file.name)[1]
        case "json" | "jsonl":
            for each in _records(file, ()):
                if isinstance(each, Record) and isinstance(each.value, Mapping):
                    return list(each.value)
            raise invalid(file.name, "has no record that is an object", "put each into { }")
    return tables.columns(file.path, file.name, file.kind)


def _has_columns(file: DataFile, form: Form) -> None:
    names = _columns(file)
    # A text that a request is about, and a system's, may be missing from all.
    needed = form.columns[:2] if isinstance(form, forms.Instruction) else form.columns
    missing = [each for each in needed if each not in names]
    if missing:
        raise invalid(
            file.name,
            f"has no column {missing[0]}",
            "add it, or say in DatasetConfig which column is which",
        )


def _broken(file: DataFile, form: Form, count: _Count) -> Ended:
    of = f"{count.broken} of {count.broken + count.good} records"
    more = "" if count.broken <= TOLD else f", and {count.broken - TOLD} more"
    return Ended(
        Ending.DATASET_INVALID,
        f"The dataset file {shown(file.name)} holds {form.described}, and {of} are broken: "
        f"{'; '.join(count.first)}{more}: mend or remove them.",
    )


def _others(count: int) -> str:
    many = "other file of the data is" if count == 1 else "other files of the data are"
    return f"{count} {many} none of records, and {'is' if count == 1 else 'are'} not read."
