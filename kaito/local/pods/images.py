"""Which container images run as which local program; every other image is simulated."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kaito.runtime import Object

ADAPTERS = "/mnt/adapter/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How an image runs here.

    `image` is a shell pattern over the image's last path element, over the whole reference where
    it holds a slash, and over the name without its tag where it names none. `command` makes the
    argument list from the container, the pod and the local port that stands for `port`, the
    container port on which the program listens (0 when none is known). `simulated` says what
    about it is not real, "" when nothing is.

    `health` is the path at which it answers what exec probes ask of the image; "" where they always
    succeed.

    `own_commands` says that commands of the pod mean something to the program: its command and
    arguments are run as they are, and so are exec probes, hooks and `kubectl exec`. Whoever may
    create pods may then run anything on this machine.
    """

    image: str
    port: int
    command: Callable[[Mapping[str, Any], Object, int], Sequence[str]]
    simulated: str = ""
    own_commands: bool = False
    health: str = ""

    def stands_for(self, image: str) -> bool:
        """Whether an image reference is this program's."""
        name = image.partition("@")[0]
        if "/" not in self.image:
            name = name.rsplit("/", 1)[-1]
        if ":" not in self.image:
            # The host of a registry may have a colon, too.
            head, slash, last = name.rpartition("/")
            name = f"{head}{slash}{last.partition(':')[0]}"
        return fnmatchcase(name, self.image)

    def asked(self, container: Mapping[str, Any]) -> Mapping[str, Any]:
        """The container with probes that this program understands."""
        instead = {"httpGet": {"path": self.health, "port": self.port}}
        return dict(container) | {
            field: {k: v for k, v in container[field].items() if k != "exec"} | instead
            for field in ("startupProbe", "livenessProbe", "readinessProbe")
            if self.health and "exec" in container.get(field, ())
        }


class Images:
    """The registry. Earlier programs win."""

    def __init__(self, programs: Iterable[Program]) -> None:
        self._programs = tuple(programs)

    def program(self, image: str) -> Program | None:
        """The program of an image reference, None when it is not known."""
        return next((each for each in self._programs if each.stands_for(image)), None)


def entrypoint(image: str, command: Sequence[str]) -> Program:
    """A program that stands for an image's entrypoint, by Kubernetes' rules: a pod's `command`
    takes its place, a pod's `args` follow it."""

    def line(container: Mapping[str, Any], _pod: Object, _port: int) -> list[str]:
        own = container.get("command")
        return [*(own or command), *(container.get("args") or ())]

    return Program(image=image, port=0, command=line, own_commands=True)


def parse_program(text: str) -> Program:
    """A program from PATTERN=COMMAND. ValueError says what is wrong.

    The command is split as by a shell; none is run. It may be empty: then pods must say theirs.
    """
    pattern, equals, command = text.partition("=")
    if not equals or not pattern.strip():
        raise ValueError(f"{text!r} is not PATTERN=COMMAND, such as 'python:*=python3'.")
    return entrypoint(pattern.strip(), shlex.split(command))


def _simulated_engine(container: Mapping[str, Any], pod: Object, port: int) -> list[str]:
    module = "kaito.local.simulated_engine"
    line = [sys.executable, "-m", module, "--port", str(port), "--model", served_name(container)]
    for name in adapter_names(container):
        line += ["--adapter", name]
    return line


def engine(command: Sequence[str]) -> Program:
    """A real engine in the place of the simulated one: a program of this machine that is told
    --port and --served_model_name, and answers /health. Whatever model it serves, it does so
    under the name that the pod says."""

    def line(container: Mapping[str, Any], _pod: Object, port: int) -> list[str]:
        return [*command, f"--port={port}", f"--served_model_name={served_name(container)}"]

    return Program(image=KAITO_BASE.image, port=KAITO_BASE.port, command=line, health="/health")


def served_name(container: Mapping[str, Any]) -> str:
    """The model name that a container is told to serve under, from its command line.

    Flags of the engines we generate commands for; the container's name when none is given.
    """
    words: list[str] = []
    for word in [*(container.get("command") or ()), *(container.get("args") or ())]:
        # A command line may be one word for a shell.
        words += str(word).split()
    for flag in ("--served-model-name", "--served_model_name", "--model"):
        for position, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == flag:
                found = value if equals else "".join(words[position + 1 : position + 2])
                return found.strip("'\"") or str(container["name"])
    return str(container["name"])


def adapter_names(container: Mapping[str, Any]) -> list[str]:
    """The adapters that a container finds: directories in the place where engines look."""
    mounts = (str(each["mountPath"]) for each in container.get("volumeMounts") or ())
    return [path.removeprefix(ADAPTERS) for path in mounts if path.startswith(ADAPTERS)]


KAITO_BASE = Program(
    image="kaito-base:*",
    port=5000,
    command=_simulated_engine,
    simulated="a stand-in answers instead of the model",
    health="/health",
)
