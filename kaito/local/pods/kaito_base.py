"""What runs here for KAITO's own image: the engine, the trainer, and what moves data.

What moves data is the real program. Engine and trainer are stand-ins, which need neither PyTorch
nor a model, unless a command names real ones. This module says what each is told; it starts none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from kaito.local.pods.images import Container, Program, spoken
from kaito.runtime import Object

IMAGE = "kaito-base:*"
PORT = 5000
ADAPTERS = "/mnt/adapter"
MOVING = ("python3", "-m", "kaito.engine.moving")
TRAINING = ("python3", "/workspace/tfs/fine_tuning.py")
MODEL, REVISION = "--pretrained_model_name_or_path", "--revision"


def kaito_base(*, engine: Sequence[str] = (), trainer: Sequence[str] = ()) -> tuple[Program, ...]:
    """The programs of the image. `engine` and `trainer` are commands of real ones."""
    return (
        MOVER,
        real_trainer(trainer) if trainer else SIMULATED_TRAINER,
        real_engine(engine) if engine else SIMULATED_ENGINE,
    )


def real_engine(command: Sequence[str]) -> Program:
    """A real engine in the place of the simulated one: a program of this machine that is told
    --port, --served_model_name and --adapters_dir, and answers /health. Whatever model it serves,
    it does so under the name that the pod says."""

    def line(container: Container, _pod: Object, port: int) -> list[str]:
        return [*command, f"--port={port}", f"--served_model_name={served_name(container)}"]

    def words(container: Container) -> list[str]:
        return [f"--adapters_dir={ADAPTERS}"] if adapter_names(container) else []

    return Program(
        image=IMAGE, port=PORT, command=line, words=words, health="/health", gathers=(ADAPTERS,)
    )


def real_trainer(command: Sequence[str]) -> Program:
    """A real trainer in the place of the simulated one: a program of this machine that understands
    what the image's does, and --port. What `command` says goes before what the pod says: a model of
    its own, say, of which the pod's revision is none."""
    own = {word.partition("=")[0] for word in command if word.startswith("--")}
    own |= {REVISION} if MODEL in own else set()

    def line(_container: Container, _pod: Object, port: int) -> list[str]:
        return [*command, f"--port={port}"]

    def words(container: Container) -> list[str]:
        return [word for word in _after(TRAINING)(container) if word.partition("=")[0] not in own]

    return Program(image=IMAGE, port=PORT, command=line, words=words, entry=TRAINING)


def served_name(container: Container) -> str:
    """The model name that a container is told to serve under, from its command line.

    Flags of the engines we generate commands for; the container's name when none is given.
    """
    # A command line may be one word for a shell.
    words = [part for word in spoken(container) for part in str(word).split()]
    for flag in ("--served-model-name", "--served_model_name", "--model"):
        for position, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == flag:
                found = value if equals else "".join(words[position + 1 : position + 2])
                return found.strip("'\"") or str(container["name"])
    return str(container["name"])


def adapter_names(container: Container) -> list[str]:
    """The adapters that a container finds: directories in the place where engines look."""
    mounts = (str(each["mountPath"]) for each in container.get("volumeMounts") or ())
    below = f"{ADAPTERS}/"
    return [path.removeprefix(below) for path in mounts if path.startswith(below)]


def _after(entry: Sequence[str]) -> Callable[[Container], list[str]]:
    return lambda container: spoken(container)[len(entry) :]


def _simulated_engine(container: Container, _pod: Object, port: int) -> list[str]:
    module = "kaito.local.simulated_engine"
    line = [sys.executable, "-m", module, "--port", str(port), "--model", served_name(container)]
    for name in adapter_names(container):
        line += ["--adapter", name]
    return line


SIMULATED_ENGINE = Program(
    image=IMAGE,
    port=PORT,
    command=_simulated_engine,
    simulated="a stand-in answers instead of the model",
    health="/health",
)
SIMULATED_TRAINER = Program(
    image=IMAGE,
    port=PORT,
    command=lambda *_: [sys.executable, "-m", "kaito.local.simulated_trainer"],
    words=_after(TRAINING),
    entry=TRAINING,
    simulated="a stand-in writes an adapter that has learnt nothing",
)
MOVER = Program(
    image=IMAGE,
    command=lambda *_: [sys.executable, "-m", "kaito.engine.moving"],
    words=_after(MOVING),
    entry=MOVING,
)
KAITO_BASE = kaito_base()
"""What needs nothing but this package."""
