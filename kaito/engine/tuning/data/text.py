"""Files of text as lines of UTF-8; what is in another encoding is named.

A file is read piece by piece, so that its size does not matter.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from kaito.engine.endings import Ended
from kaito.engine.tuning.data.problems import invalid

LONGEST = 16 * 2**20  # bytes of a record; no model reads one that long
# The longer ones first, for one mark begins with another.
MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# How files begin that are no text, and what is to be done with them.
OTHERS = (
    (b"\x1f\x8b", "is compressed with gzip", "unpack it"),
    (b"BZh", "is compressed with bzip2", "unpack it"),
    (b"\xfd7zXZ\x00", "is compressed with xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it"),
    (b"PK\x03\x04", "is a zip archive or a spreadsheet", "unpack it, or export it as CSV"),
    (b"%PDF", "is a PDF", "give JSON, JSONL, CSV or parquet"),
)
PAGES = (b"<!doctype html", b"<html")
HEAD = 4096  # bytes that tell what a file is


def check_head(path: Path, name: str) -> None:
    """Ended when the beginning of a file shows that it is no text in UTF-8."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            raise _encoded(name, encoding)
    for mark, what, cure in OTHERS:
        if head.startswith(mark):
            raise invalid(name, what, cure)
    if head.lstrip().lower().startswith(PAGES):
        raise invalid(name, "is a web page", "give the address of the file itself")
    if encoding := _wide(head):
        raise _encoded(name, encoding)
    if b"\0" in head:
        raise invalid(name, "is no text", "give JSON, JSONL, CSV or parquet")


def lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers and their ends. Ended for what is no UTF-8 and for a line that
    is too long."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise invalid(
                    name,
                    f"has more than {LONGEST >> 20} MiB in line {number}",
                    "put each record on a line of its own",
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield number, line.decode()
            except UnicodeDecodeError as error:
                raise undecodable(name, number, error) from None


def undecodable(name: str, line: int, error: UnicodeDecodeError) -> Ended:
    """What is said of a line that is no UTF-8."""
    encoding = _narrow(bytes(error.object))
    if not encoding:
        return invalid(
            name, f"is not in UTF-8: line {line} has bytes that are none", "save it as UTF-8"
        )
    return invalid(
        name,
        f"is not in UTF-8: line {line} looks like {encoding}",
        f"convert it, with iconv -f {encoding.partition(' ')[0]} -t UTF-8",
    )


def _encoded(name: str, encoding: str) -> Ended:
    return invalid(name, f"is in {encoding}", f"convert it, with iconv -f {encoding} -t UTF-8")


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: every other byte is 0 in the text of most languages' JSON."""
    for first in (0, 1):
        zeros, others = head[first::2], head[1 - first :: 2]
        if len(head) > 1 and zeros and not any(zeros) and all(others):
            return "UTF-16BE" if first == 0 else "UTF-16LE"
    return ""


def _narrow(line: bytes) -> str:
    """The encoding of one byte a character that a line may have, "" for none."""
    high = {each for each in line if each >= 0x80}
    if not high:
        return ""
    if min(high) >= 0xA0:
        return "ISO-8859-1 (Latin-1)"
    try:
        line.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return "WINDOWS-1252"
