"""Checkpoints: only one that is whole is gone on from.

A checkpoint is sealed once all its files are on the disk, with their digests; one without a seal,
or that differs from it, was torn by the end of a process, a node or a disk. They lie in a directory
named by all that is trained, so that what has been edited begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

SEAL = "whole.json"
NAMED = re.compile(r"checkpoint-([0-9]+)")  # transformers' names
KEY_LENGTH = 16
KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


def key(parts: Iterable[str]) -> str:
    """The name of the directory for what is trained by all of this."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_LENGTH]


def prepare(root: Path, name: str) -> Path:
    """The directory of that key; those of other keys are removed, for nobody goes on from them."""
    place = root / name
    place.mkdir(parents=True, exist_ok=True)
    for each in root.iterdir():
        if KEY.fullmatch(each.name) and each != place:
            shutil.rmtree(each)
    return place


def last_whole(place: Path) -> Path | None:
    """The latest checkpoint that is whole. Those that are not are removed."""
    found = [
        (int(match[1]), each) for each in place.iterdir() if (match := NAMED.fullmatch(each.name))
    ]
    for _, each in sorted(found, reverse=True):
        if is_whole(each):
            return each
        shutil.rmtree(each)
    return None


def seal(checkpoint: Path) -> None:
    """Say that a checkpoint is whole, once it is on the disk."""
    (checkpoint / SEAL).unlink(missing_ok=True)
    files = {each.name: _digest(each, written=True) for each in _files(checkpoint)}
    half = checkpoint / f"{SEAL}.half"
    with half.open("w") as file:
        json.dump(files, file)
        file.flush()
        os.fsync(file.fileno())
    half.rename(checkpoint / SEAL)
    for directory in (checkpoint, checkpoint.parent):
        sync_directory(directory)


def is_whole(checkpoint: Path) -> bool:
    """Whether every file is what it was when the checkpoint was sealed."""
    try:
        said = json.loads((checkpoint / SEAL).read_text())
        return isinstance(said, dict) and all(
            _digest(checkpoint / name) == digest for name, digest in said.items()
        )
    except (OSError, ValueError):
        return False


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _files(checkpoint: Path) -> list[Path]:
    return sorted(each for each in checkpoint.iterdir() if each.is_file())


def _digest(path: Path, *, written: bool = False) -> str:
    with path.open("rb") as file:
        if written:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
