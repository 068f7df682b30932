"""Fields of a manifest that no Workspace has, such as misspelt ones: an API server would drop them
silently. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError

from kaito.api.rules import joined
from kaito.api.words import shown
from kaito.api.workspace import Workspace
from kaito.runtime import Object

# Kubernetes' own: our view of it is partial.
NOT_OURS = ("metadata", "status")


def unknown_fields(workspace: Object) -> Iterator[str]:
    """A sentence for each; none for a manifest that cannot be read."""
    try:
        read = Workspace.as_written(workspace)
    except ValidationError:
        return
    for path, name, known in _extras(read, ""):
        near = difflib.get_close_matches(name, known, n=1)
        meant = f": {joined(path, near[0])} is" if near else ""
        yield f"{joined(path, shown(name))} is no field of a Workspace, and is left out{meant}."


def _extras(value: object, path: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Where a field is that nobody knows, its name, and the names there are.

    Maps are not looked into: their keys are the user's own.
    """
    if isinstance(value, BaseModel):
        fields = {f.alias or name: name for name, f in type(value).model_fields.items()}
        for name in value.model_extra or ():
            yield path, name, [*fields]
        for alias, name in fields.items():
            if path or alias not in NOT_OURS:
                yield from _extras(getattr(value, name), joined(path, alias))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, each in enumerate(value):
            yield from _extras(each, f"{path}[{place}]")
