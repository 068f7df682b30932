"""The container that moves data: downloads, pulls, pushes, stores. Pure.

It runs as nobody in particular, on a read-only file system. What a user wrote is an argument, and
there is no shell that could take it for a command.
"""

from __future__ import annotations

from collections.abc import Sequence

from kaito.controllers.workspace.security import contained
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

USER = 65532  # nobody's files are this user's; the user of our images
COMMAND = ("python3", "-m", "kaito.engine.moving")


def mover(
    name: str, arguments: Sequence[str], mounts: Sequence[Object], settings: Settings
) -> Object:
    """The container that does this. What is unfinished it keeps in its target."""
    return {
        "name": name,
        "image": settings.image,
        "command": [*COMMAND, *map(literal, arguments)],
        "volumeMounts": [*mounts],
        # What went wrong is read in the Pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            **contained(settings.engine_user or USER),
            "readOnlyRootFilesystem": True,
        },
    }


def literal(word: str) -> str:
    """A word of a command as it is to arrive: in commands a kubelet puts variables in the place of
    $(NAME), and one dollar in that of two."""
    return word.replace("$", "$$")
