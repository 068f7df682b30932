"""How the texts of a container are made to mean something on this machine. Pure.

A container has a file system, ports and names of its own; a local process has not. So its mount
paths become directories, its own ports the ports that stand for them, and `service:port` the
address that leads there, in commands, arguments and environment variables. What a program has
hard-coded is out of reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaito.local.pods.downward import HERE

_OWN = {"", "*", "0.0.0.0", "127.0.0.1", "localhost", "[::]", "[::1]"}  # noqa: S104 - looked for
_ADDRESS = re.compile(
    r"(?<![\w.\-\]*])(\[::1?\]|\*|[a-z0-9][a-z0-9.-]{0,252}|):([0-9]{1,5})(?![\w.])"
)
_URL = re.compile(r"\b(https?)://([a-z0-9][a-z0-9.-]{0,252})(?=[/?#\s\"']|$)")
_IMPLIED = {"http": 80, "https": 443}
_LISTENS = re.compile(r"port|listen|bind|addr|^-[pPl]$", re.IGNORECASE)
Forward = Callable[[str, int], int | None]
"""The local port that leads to a port of a name of the cluster, None for any other name."""


@dataclass(frozen=True, slots=True)
class Translation:
    """What stands for what. `paths` are by mount path, `ports` by container port."""

    paths: Mapping[str, Path]
    ports: Mapping[int, int]
    forward: Forward
    _mounts: re.Pattern[str] | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mounts", _pattern(self.paths))

    def words(self, words: Sequence[str]) -> list[str]:
        """A command line."""
        found, before = [], ""
        for word in words:
            # A word may be a whole command for a shell.
            parts = re.split(r"(\s+)", word)
            for i, part in enumerate(parts):
                if i % 2 == 0 and part:
                    parts[i], before = self._number(part, before), part
            found.append(self._text("".join(parts)))
        return found

    def variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """An environment. A bare number is a port only where the variable's name says so."""
        return {
            name: self._text(self._number(text, name) if "PORT" in name.upper() else text)
            for name, text in variables.items()
        }

    def path(self, path: str) -> Path | None:
        """The directory that stands for a path, None when it is in no mount."""
        if self._mounts is None or not (found := self._mounts.match(path)):
            return None
        return Path(self._mounted(found) + path[found.end() :])

    def stray(self, words: Sequence[str]) -> str:
        """The first path among words, or values of `--flag=`, that is in no mount; "" for none."""
        for word in words:
            flag, equals, value = word.partition("=")
            path = value if equals and flag.startswith("-") else word
            leads_out = ".." in path.split("/") and "://" not in path
            if leads_out or (path.startswith("/") and self.path(path) is None):
                return path
        return ""

    def _text(self, text: str) -> str:
        text = _ADDRESS.sub(self._address, text)
        text = _URL.sub(self._url, text)
        return self._mounts.sub(self._mounted, text) if self._mounts is not None else text

    def _mounted(self, found: re.Match[str]) -> str:
        return str(self.paths[found[0]])

    def _address(self, found: re.Match[str]) -> str:
        host, port = found[1], int(found[2])
        if host in _OWN:
            return f"{host}:{self.ports.get(port, port)}"
        local = self.forward(host, port)
        return found[0] if local is None else f"{HERE}:{local}"

    def _url(self, found: re.Match[str]) -> str:
        local = self.forward(found[2], _IMPLIED[found[1]])
        return found[0] if local is None else f"{found[1]}://{HERE}:{local}"

    def _number(self, word: str, before: str) -> str:
        """A word, or the value of `--flag=`, that is one of the container's own ports."""
        flag, equals, text = word.rpartition("=")
        told = flag if equals else before
        if not text.isascii() or not text.isdigit() or int(text[:6]) not in self.ports:
            return word
        if (equals or before.startswith("-")) and not _LISTENS.search(told):
            return word
        return f"{flag}{equals}{self.ports[int(text[:6])]}"


def _pattern(paths: Iterable[str]) -> re.Pattern[str] | None:
    """Finds mount paths, the longest first, where a path begins and where its part ends."""
    known = sorted((path for path in paths if path.strip("/")), key=len, reverse=True)
    if not known:
        return None
    either = "|".join(re.escape(path) for path in known)
    return re.compile(rf"(?:(?<=://)|(?<![\w./\-]))(?:{either})(?![\w\-]|\.\w)")
