"""Which containers run as which local program; those of every other image are simulated."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from kaito.runtime import Object

Container: TypeAlias = Mapping[str, Any]


def _nothing(_container: Container) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How an image runs here.

    `image` is a shell pattern over the image's last path element, over the whole reference where
    it holds a slash, and over the name without its tag where it names none. `entry` are the first
    words of the commands that are meant, any where it is empty: an image may hold several programs.
    `command` makes the first words of the argument list from the container, the pod and the local
    port that stands for `port`, the container port on which the program listens (0 when none is
    known). `words` follow; they are the container's own, whose paths, ports and names become those
    of this machine. `simulated` says what about it is not real, "" when nothing is.

    `health` is the path at which it answers what exec probes ask of the image; "" where they always
    succeed.

    `gathers` are directories of the container that the program looks through, where volumes are
    mounted below.

    `own_commands` says that commands of the pod mean something to the program: its command and
    arguments are run as they are, and so are exec probes, hooks and `kubectl exec`. Whoever may
    create pods may then run anything on this machine. Programs without it are one of ours, whatever
    a pod says: the paths that they are told must lie in volumes, and no variable may say what else
    they load.
    """

    image: str
    port: int = 0
    command: Callable[[Container, Object, int], Sequence[str]]
    words: Callable[[Container], Sequence[str]] = _nothing
    entry: tuple[str, ...] = ()
    simulated: str = ""
    own_commands: bool = False
    health: str = ""
    gathers: tuple[str, ...] = ()

    def stands_for(self, container: Container) -> bool:
        """Whether a container is to run this program."""
        line = spoken(container)
        return self._is_of(str(container.get("image", ""))) and (
            line[: len(self.entry)] == list(self.entry)
        )

    def _is_of(self, image: str) -> bool:
        name = image.partition("@")[0]
        if "/" not in self.image:
            name = name.rsplit("/", 1)[-1]
        if ":" not in self.image:
            # The host of a registry may have a colon, too.
            head, slash, last = name.rpartition("/")
            name = f"{head}{slash}{last.partition(':')[0]}"
        return fnmatchcase(name, self.image)

    def asked(self, container: Container) -> Container:
        """The container with probes that this program understands."""
        instead = {"httpGet": {"path": self.health, "port": self.port}}
        return dict(container) | {
            field: {k: v for k, v in container[field].items() if k != "exec"} | instead
            for field in ("startupProbe", "livenessProbe", "readinessProbe")
            if self.health and "exec" in container.get(field, ())
        }


class Images:
    """The programs that are known. Earlier ones win."""

    def __init__(self, programs: Iterable[Program]) -> None:
        self._programs = tuple(programs)

    def program(self, container: Container) -> Program | None:
        """What a container runs, None when nothing stands for it."""
        return next((each for each in self._programs if each.stands_for(container)), None)


def spoken(container: Container) -> list[str]:
    """The words of a container: its command, and what follows it."""
    return [*(container.get("command") or ()), *(container.get("args") or ())]


def entrypoint(image: str, command: Sequence[str]) -> Program:
    """A program that stands for an image's entrypoint, by Kubernetes' rules: a pod's `command`
    takes its place, a pod's `args` follow it."""

    def line(container: Container) -> list[str]:
        return [*(container.get("command") or command), *(container.get("args") or ())]

    return Program(image=image, command=lambda *_: (), words=line, own_commands=True)


def command_line(text: str) -> list[str]:
    """The words of a command, split as by a shell; none is run. None are no words.

    Containers have working directories of their own, so a program that is named by a path is the
    one seen from here. ValueError when there is none.
    """
    words = shlex.split(text)
    if words and "/" in words[0]:
        if not shutil.which(words[0]):
            raise ValueError(f"{text!r} begins with {words[0]}, which is no program here.")
        # Links are kept: by its own path Python finds a virtual environment.
        words[0] = str(Path(words[0]).absolute())
    return words


def parse_program(text: str) -> Program:
    """A program from PATTERN=COMMAND, which may be empty: then pods must say theirs. ValueError
    says what is wrong."""
    pattern, equals, command = text.partition("=")
    if not equals or not pattern.strip():
        raise ValueError(f"{text!r} is not PATTERN=COMMAND, such as 'python:*=python3'.")
    return entrypoint(pattern.strip(), command_line(command))
