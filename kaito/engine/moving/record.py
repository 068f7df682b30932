"""What is known of a file that is arriving, on disk, so that another process can go on with it.

A record is in its place whole or not at all. It holds no URL: those may be secrets.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

HIDDEN = ".kaito"
"""The directory, in a target, of what is not finished. Nobody else reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A file that arrives, or has arrived."""

    validator: str = ""
    """What If-Range names, so that two parts are of one file; "" where they may not be."""
    length: int | None = None
    """Bytes of the whole, as the server says."""
    promised: dict[str, str] = field(default_factory=dict)
    """Digests by algorithm, in hex."""
    name: str = ""
    """Its final name, once it is there."""
    sha256: str = ""
    """Of what arrived, once it is there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one URL's file arrives."""

    target: Path
    name: str
    url: str = field(repr=False)

    @property
    def final(self) -> Path:
        """Where it is in the end."""
        return self.target / self.name

    @property
    def part(self) -> Path:
        """What there is of it."""
        return self._hidden("part")

    def known(self) -> Record:
        """What an earlier process wrote down; an empty record where that is nothing."""
        try:
            return Record(**json.loads(self._hidden("json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return Record()

    def note(self, record: Record) -> None:
        """Write down what is known."""
        path = self._hidden("json")
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(path)

    def settle(self, record: Record) -> None:
        """The part is whole and verified: it gets its name."""
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.final)
        self.note(record)

    def is_settled(self, record: Record) -> bool:
        """Whether a record says that the file is there, and it is."""
        return bool(record.name) and record.name == self.name and self.final.is_file()

    def _hidden(self, suffix: str) -> Path:
        key = hashlib.sha256(self.url.encode(errors="replace")).hexdigest()[:32]
        return self.target / HIDDEN / f"{key}.{suffix}"
