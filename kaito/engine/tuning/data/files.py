"""The files of a dataset: which there are in a directory, of what kind, and how large."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.data.problems import shown
from kaito.engine.tuning.data.text import check_head

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "arrow": "arrow",
        "csv": "csv",
        "json": "json",
        "jsonl": "jsonl",
        "ndjson": "jsonl",
        "parquet": "parquet",
        "pq": "parquet",
        "tsv": "csv",
    }
)
# What begins so is of that kind, whatever it is called.
MARKS = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"{", "json"), (b"[", "json"))
TEXTS = ("csv", "json", "jsonl")
WAY = "give JSON, JSONL, CSV or parquet files"
MOST = 10_000  # files that are looked at
PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of records."""

    path: Path
    name: str
    """Below the directory."""
    kind: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a directory holds."""

    files: tuple[DataFile, ...]
    others: int = 0
    """Files that are no data, and are left alone."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.files)


def find(directory: Path, *, path: str = "", extension: str = "", limit: int) -> Found:
    """The files of records below a directory, or the one that `path` says; `extension` says their
    kind when their names do not. Ended when there are none, or when they are too large."""
    if extension and extension.lstrip(".").lower() not in KINDS:
        raise _none(f"DatasetConfig.dataset_extension must be one of {', '.join(KINDS)}")
    if not directory.is_dir():
        raise _none(f"The directory of the data, {directory}, is not there: has it been mounted?")
    chosen = [_asked(directory, path)] if path else list(_all(directory))
    kinds = [(each, _kind(each, extension)) for each in chosen]
    files = tuple(
        DataFile(
            path=each,
            name=each.relative_to(directory).as_posix(),
            kind=kind,
            size=each.stat().st_size,
        )
        for each, kind in kinds
        if kind
    )
    if not files:
        raise _nothing(directory, chosen)
    found = Found(files=files, others=len(chosen) - len(files))
    if found.size > limit:
        raise Ended(
            Ending.DATASET_TOO_LARGE,
            f"The dataset has {_sized(found.size)}, and at most {_sized(limit)} are allowed: give "
            "less of it, or ask the administrator for a larger --data-limit.",
        )
    return found


def digest(files: Sequence[DataFile]) -> str:
    """Of their names and contents; another order of directories makes no difference."""
    whole = hashlib.sha256()
    for each in files:
        with each.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
        whole.update(f"{found.hexdigest()}  {each.name}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _all(directory: Path) -> Iterator[Path]:
    """Files by their names; hidden ones are somebody's bookkeeping, and links that lead elsewhere
    are none of the data."""
    home, seen = directory.resolve(), []
    for root, directories, names in os.walk(directory):
        directories[:] = sorted(each for each in directories if not each.startswith("."))
        seen += [Path(root) / name for name in names if not name.startswith(".")]
        if len(seen) > MOST:
            raise _none(f"The data has more than {MOST} files: put its records into fewer")
    for each in sorted(seen):
        if each.is_file() and each.resolve().is_relative_to(home):
            yield each


def _asked(directory: Path, path: str) -> Path:
    """Upstream's paths begin at /mnt, with data first; ours at the directory of the data."""
    inner = path.strip("/")
    for place in (directory / inner, directory.parent / inner, Path("/") / inner):
        # What no file can be called is an error of its own.
        with contextlib.suppress(OSError, ValueError):
            inside = place.resolve().is_relative_to(directory.resolve())
            if inside and place.is_file() and place.is_relative_to(directory):
                return place
    raise _none(f"DatasetConfig.dataset_path names no file below {directory}")


def _kind(path: Path, extension: str) -> str:
    if extension:
        return KINDS[extension.lstrip(".").lower()]
    if found := KINDS.get(path.suffix.lstrip(".").lower()):
        return found
    with path.open("rb") as file:
        head = file.read(64).removeprefix(codecs.BOM_UTF8).lstrip()
    return next((kind for mark, kind in MARKS if head.startswith(mark)), "")


def _nothing(directory: Path, others: Sequence[Path]) -> Ended:
    for each in others:
        # Says what an archive or a page is, of which nobody would think that it is ignored.
        check_head(each, each.relative_to(directory).as_posix())
    if not others:
        return _none(f"The dataset is empty: there is no file below {directory}; {WAY}")
    name = shown(others[0].relative_to(directory).as_posix())
    return _none(f"The dataset has no file of a kind that is known, only such as {name}: {WAY}")


def _none(what: str) -> Ended:
    return Ended(Ending.DATASET_INVALID, f"{what}.")


def _sized(size: int) -> str:
    if size < 2**20:
        return f"{size} bytes"
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
