"""Tables: the columns of a kind and the cells of an object, as kubectl prints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver import times

Object = dict[str, Any]
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
NAME_SAYS = (
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name "
    "automatically. Name is primarily intended for creation idempotence and configuration "
    "definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_SAYS = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients "
    "may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the "
    "system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def definition(self) -> Object:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Columns:
    """Column definitions and the function that makes an object's cells at a moment.

    A table of `bare` columns without rows has null for them.
    """

    columns: tuple[Column, ...]
    cells: Callable[[Object, float], list[Any]]
    bare: bool = False

    @classmethod
    def standard(cls) -> Columns:
        """Name and creation, for kinds without columns of their own."""
        return cls(
            (
                Column("Name", format="name", description=NAME_SAYS),
                Column("Created At", "date", description=AGE_SAYS),
            ),
            lambda obj, now: [
                obj["metadata"].get("name", ""),
                obj["metadata"].get("creationTimestamp") or "<unknown>",
            ],
            bare=True,
        )


def age(stamp: str | None, now: float) -> str:
    if not stamp:
        return "<unknown>"
    return duration(now - times.parse(stamp).timestamp())


def duration(seconds: float) -> str:
    """How long, in at most two units, as kubectl shortens it."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    s = int(seconds)
    if s < 120:
        return f"{s}s"
    m = s // 60
    if m < 10:
        return f"{m}m{s % 60}s" if s % 60 else f"{m}m"
    if m < 180:
        return f"{m}m"
    h = s // 3600
    if h < 8:
        return f"{h}h{m % 60}m" if m % 60 else f"{h}h"
    if h < 48:
        return f"{h}h"
    if h < 192:
        return f"{h // 24}d{h % 24}h" if h % 24 else f"{h // 24}d"
    if h < 24 * 365 * 2:
        return f"{h // 24}d"
    if h < 24 * 365 * 8:
        days = h // 24 % 365
        return f"{h // 24 // 365}y{days}d" if days else f"{h // 24 // 365}y"
    return f"{h // 24 // 365}y"


def partial(obj: Object, version: str = "v1") -> Object:
    """An object's metadata, less the annotation that only whole DaemonSets show."""
    meta = obj["metadata"]
    if TEMPLATE_GENERATION in (meta.get("annotations") or ()) and obj.get("kind") == "DaemonSet":
        left = {k: v for k, v in meta["annotations"].items() if k != TEMPLATE_GENERATION}
        meta = {k: v for k, v in meta.items() if k != "annotations" or left}
        if left:
            meta["annotations"] = left
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
    }


def row(columns: Columns, obj: Object, now: float, include: str, version: str = "v1") -> Object:
    found: Object = {"cells": columns.cells(obj, now)}
    if include == "None":
        found["object"] = None
    else:
        found["object"] = obj if include == "Object" else partial(obj, version)
    return found


def table(
    columns: Columns,
    rows: list[Object],
    metadata: Object,
    *,
    version: str = "v1",
    definitions: bool = True,
) -> Object:
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": [c.definition() for c in columns.columns] if definitions else None,
        "rows": None if columns.bare and not rows else rows,
    }
