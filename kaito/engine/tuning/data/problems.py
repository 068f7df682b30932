"""What is wrong with data, in words that hold nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

from kaito.engine.endings import Ended, Ending

SHOWN = 80  # characters of a file's name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: `unit` is what is counted, such as line, and `number` begins at 1."""

    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.unit} {self.number}"


@dataclass(frozen=True, slots=True)
class Record:
    """One that could be read."""

    place: Place
    value: object


@dataclass(frozen=True, slots=True)
class Broken:
    """One that could not; `why` ends a sentence that begins with the place."""

    place: Place
    why: str


def invalid(file: str, what: str, cure: str = "") -> Ended:
    """The end of a run whose data is wrong: the file, what is wrong, and the way out."""
    way = f": {cure}" if cure else ""
    return Ended(Ending.DATASET_INVALID, f"The dataset file {shown(file)} {what}{way}.")


def shown(name: str) -> str:
    """A file's name as it can be told."""
    text = "".join(each if each.isprintable() else "?" for each in name)
    return text if len(text) <= SHOWN else "…" + text[-SHOWN:]
