"""Records of JSON files: one on each line, or one after the other, or in one array.

An array is read piece by piece: it may be larger than the memory.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path

from kaito.engine.endings import Ended
from kaito.engine.tuning.data.problems import Broken, Place, Record, invalid
from kaito.engine.tuning.data.text import LONGEST, lines, undecodable

PIECE = 2**18  # bytes read at a time
SPACE = " \t\r\n"


def records(path: Path, name: str, *, lined: bool) -> Iterator[Record | Broken]:
    """All of them; `lined` says that each is on a line unless the file is an array.

    Ended where nothing after a mistake can be read either.
    """
    begins = _first(path)
    if begins != "[" and (lined or (begins == "{" and _by_lines(path, name))):
        return _lines(path, name)
    return _values(path, name)


def _by_lines(path: Path, name: str) -> bool:
    """Whether the first line that is not empty is a whole object, as one of many can be."""
    first = next((line for _, line in lines(path, name) if line.strip()), "")
    # A broken first line of many is a broken record, not a sign of another layout.
    return (first.rstrip().endswith("}") and first.strip() != "{}") or _whole(first)


def _first(path: Path) -> str:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if text := piece.removeprefix(codecs.BOM_UTF8).lstrip(SPACE.encode()):
                return chr(text[0])
    return ""


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(path: Path, name: str) -> Iterator[Record | Broken]:
    for number, line in lines(path, name):
        if not line.strip():
            continue
        place = Place("line", number)
        try:
            yield Record(place, json.loads(line.strip()))
        except json.JSONDecodeError as error:
            yield Broken(place, f"is no JSON at column {error.colno}")
        except RecursionError:
            yield Broken(place, "nests too deep")
        except ValueError:
            yield Broken(place, "holds a number that is too long")


def _values(path: Path, name: str) -> Iterator[Record]:
    decoder, source = json.JSONDecoder(), _Source(path, name)
    array = source.next() == "["
    if array:
        source.take(1)
    first = True
    while (following := source.next()) not in ("", "]"):
        if not first and array:
            if following != ",":
                raise source.wrong("a comma is missing between two records")
            source.take(1)
            source.next()
        first = False
        place = Place("line", source.line)
        yield Record(place, source.value(decoder))
    if array:
        if not following:
            raise source.wrong("the array does not end: the file may be cut off")
        source.take(1)
        following = source.next()
    if following:
        raise source.wrong("something follows the end of the array")


class _Source:
    """The text of a file, of which a piece is held."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.line = 1
        self._pieces = _decoded(path, name)
        self._text, self._at, self._ended = "", 0, False

    def next(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in SPACE:
                    return self._text[self._at]
                self.line += self._text[self._at] == "\n"
                self._at += 1
            if not self._more():
                return ""

    def take(self, count: int) -> None:
        """Go on."""
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def value(self, decoder: json.JSONDecoder) -> object:
        """The value that stands here."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise self.wrong("it nests too deep") from None
            except json.JSONDecodeError as error:
                # It may only not be there yet, but for what is wrong far from the end.
                if len(self._text) - self._at > LONGEST or not self._more(double=True):
                    self.take(max(error.pos - self._at, 0))
                    raise self.wrong("it is no JSON") from None
            except ValueError:
                raise self.wrong("a number is too long") from None
            else:
                if end < len(self._text) or not self._more():
                    self.take(end - self._at)
                    return value

    def wrong(self, why: str) -> Ended:
        """What is said of a mistake here."""
        return invalid(self.name, f"cannot be read on from line {self.line}", f"{why}; mend it")

    def _more(self, *, double: bool = False) -> bool:
        kept, wanted = self._text[self._at :], PIECE
        if double:
            wanted = max(PIECE, len(kept))
        pieces, size = [kept], 0
        while size < wanted and not self._ended:
            piece = next(self._pieces, "")
            self._ended = not piece
            pieces.append(piece)
            size += len(piece)
        self._text, self._at = "".join(pieces), 0
        return size > 0


def _decoded(path: Path, name: str) -> Iterator[str]:
    """The file in pieces of text, none of them empty."""
    decoder, line = codecs.getincrementaldecoder("utf-8-sig")(), 1
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            try:
                text = decoder.decode(piece)
            except UnicodeDecodeError as error:
                line += bytes(error.object).count(b"\n", 0, error.start)
                raise undecodable(name, line, error) from None
            line += text.count("\n")
            if text:
                yield text
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise undecodable(name, line, error) from None
