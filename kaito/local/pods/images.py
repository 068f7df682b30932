"""Which container images run as which local program; every other image is simulated."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kaito.runtime import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How an image runs here. `image` is a shell pattern over the image's last path element.

    `command` makes the argument list from the container, the pod and the local port on which the
    program shall listen; `port` is the container port that this stands for. `simulated` says
    what about it is not real, "" when nothing is.
    """

    image: str
    port: int
    command: Callable[[Mapping[str, Any], Object, int], list[str]]
    simulated: str = ""


class Images:
    """The registry. Earlier programs win."""

    def __init__(self, programs: Iterable[Program]) -> None:
        self._programs = tuple(programs)

    def program(self, image: str) -> Program | None:
        """The program of an image reference, None when it is not known."""
        name = image.partition("@")[0].rsplit("/", 1)[-1]
        return next((each for each in self._programs if fnmatchcase(name, each.image)), None)


def _simulated_engine(container: Mapping[str, Any], pod: Object, port: int) -> list[str]:
    module = "kaito.local.simulated_engine"
    return [sys.executable, "-m", module, "--port", str(port), "--model", served_name(container)]


def served_name(container: Mapping[str, Any]) -> str:
    """The model name that a container is told to serve under, from its command line.

    Flags of the engines we generate commands for; the container's name when none is given.
    """
    words: list[str] = []
    for word in [*(container.get("command") or ()), *(container.get("args") or ())]:
        # A command line may be one word for a shell.
        words += str(word).split()
    for flag in ("--served-model-name", "--model"):
        for position, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == flag:
                found = value if equals else "".join(words[position + 1 : position + 2])
                return found.strip("'\"") or str(container["name"])
    return str(container["name"])


KAITO_BASE = Program(
    image="kaito-base:*",
    port=5000,
    command=_simulated_engine,
    simulated="a stand-in answers instead of the model",
)
