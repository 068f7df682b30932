"""What a kind does beyond the general rules, as one value of functions.

The general machinery calls these hooks; a kind that needs nothing special uses the defaults. All
hooks get decoded objects and may change the new one only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.fields import FieldError
from kaito.local.apiserver.ownership.paths import Path

Object = dict[str, Any]


def nothing(new: Object) -> None:
    """Change nothing."""


def nothing_twice(new: Object, old: Object) -> None:
    """Change nothing."""


def fine(new: Object) -> list[FieldError]:
    return []


def fine_twice(new: Object, old: Object) -> list[FieldError]:
    return []


def no_fields(obj: Object) -> dict[str, str]:
    return {}


def no_text(new: Object) -> list[str]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Hooks of a kind. `generation` counts changes outside metadata and status, with
    `counts_annotations` those of annotations too, with `counts_labels` those of labels,
    with `counts_nothing` none but the first;
    `name_warnings` come with a creation only.

    `keeps_status`: a status sent on creation is stored. `after_identity` gets the new object and
    its uid once both are settled. `hold` marks an object for deletion at a moment in the kind's own
    way and tells whether it stays for now. `ignored` are paths that writers never own.
    """

    default: Callable[[Object], None] = nothing
    before_create: Callable[[Object], None] = nothing
    before_update: Callable[[Object, Object], None] = nothing_twice
    before_status: Callable[[Object, Object], None] = nothing_twice
    validate: Callable[[Object], list[FieldError]] = fine
    validate_update: Callable[[Object, Object], list[FieldError]] = fine_twice
    validate_status: Callable[[Object, Object], list[FieldError]] = fine_twice
    selectable: Callable[[Object], dict[str, str]] = no_fields
    selectors: frozenset[str] = frozenset()
    warnings: Callable[[Object], list[str]] = no_text
    name_warnings: Callable[[Object], list[str]] = no_text
    generation: bool = False
    counts_annotations: bool = False
    counts_labels: bool = False
    counts_nothing: bool = False
    has_status: bool = False
    status_owns_metadata: bool = True
    ignored: tuple[Path, ...] = ()
    status_ignored: tuple[Path, ...] = ()
    name_rule: str = "subdomain"
    create_by_update: bool = False
    blind_update: bool = True
    grace: Callable[[Object], int] | None = None
    scale: ScalePaths | None = None
    orphans_by_default: bool = False
    keeps_status: bool = False
    hold: Callable[[Object, str], bool] | None = None
    after_identity: Callable[[Object, str], None] | None = None
    status_warnings: Callable[[Object], list[str]] = no_text
    parts: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A subresource that writes one part of the object; `prepare` puts back all but that part."""

    prepare: Callable[[Object, Object], None]
    validate: Callable[[Object, Object], list[FieldError]]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers; dotted paths."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ""
    label_selector: bool = field(default=False)
