"""The sizes of nodes that a Workspace names: its first, and those to ask for instead. Pure.

`resource.instanceType` comes first; the annotation may list it again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaito.api import labels
from kaito.api.workspace import Workspace
from kaito.runtime import Object

MOST = 10  # alternatives


def sizes_of(workspace: Object) -> tuple[str, ...]:
    """The sizes that a Workspace names, in order; read without trust in its shape."""
    resource = workspace.get("resource")
    first = resource.get("instanceType") if isinstance(resource, dict) else None
    if not isinstance(first, str) or not first:
        return ()
    found = {each.lower(): each for each in alternatives(_annotations(workspace))}
    found.pop(first.lower(), None)
    return (first, *list(found.values())[:MOST])


def alternatives(annotations: Mapping[str, object]) -> tuple[str, ...]:
    """The sizes that the annotation lists, as they are written."""
    text = annotations.get(labels.INSTANCE_TYPES)
    listing = text.split(",") if isinstance(text, str) and text.strip() else []
    return tuple(each.strip() for each in listing)


def sized(workspace: Object, size: str) -> Object:
    """The Workspace as if it had asked for this size from the first."""
    resource = workspace.get("resource")
    if not size or not isinstance(resource, dict) or resource.get("instanceType") == size:
        return workspace
    return {**workspace, "resource": {**resource, "instanceType": size}}


def with_size(workspace: Workspace, size: str) -> Workspace:
    """The same of a Workspace that has been read."""
    resource = workspace.resource.model_copy(update={"instance_type": size})
    return workspace.model_copy(update={"resource": resource})


def _annotations(workspace: Object) -> Mapping[str, object]:
    found = workspace.get("metadata", {}).get("annotations")
    return found if isinstance(found, dict) else {}
