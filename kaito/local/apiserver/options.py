"""The options of a write, from the query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kaito.local.apiserver.fields import FieldError, unsupported
from kaito.local.apiserver.meta import manager_errors
from kaito.local.apiserver.status import invalid

if TYPE_CHECKING:
    from kaito.local.apiserver.core import Call

VALIDATIONS = ("", "Ignore", "Warn", "Strict")


@dataclass(slots=True)
class WriteOptions:
    """How to write. `warnings` collects what the answer's Warning headers will say."""

    manager: str
    validation: str = "Warn"
    dry_run: bool = False
    force: bool = False
    warnings: list[str] = field(default_factory=list)
    user: str = ""
    groups: tuple[str, ...] = ()

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def agent(headers: Mapping[str, str]) -> str:
    """The default field manager: the user agent up to the slash, at most 128 characters."""
    text = headers.get("user-agent", "").partition("/")[0]
    return "".join(c if c.isprintable() else "" for c in text)[:128] or "unknown"


def write_options(
    call: Call, kind: str, *, apply: bool = False, patch: bool = False
) -> WriteOptions:
    """Raises StatusError where an option makes no sense. `kind` is CreateOptions and so on.

    What the options come to warn of, the call warns of.
    """
    query = call.query
    errors: list[FieldError] = []
    manager = query.get("fieldManager")
    errors += manager_errors(manager, "fieldManager")
    force = query.flag("force")
    if patch:
        if apply:
            if not manager:
                errors.insert(
                    0,
                    FieldError(
                        "fieldManager", "Required value", detail="is required for apply patch"
                    ),
                )
        elif "force" in query:
            errors.insert(
                0,
                FieldError("force", "Forbidden", detail="may not be specified for non-apply patch"),
            )
    dry = query.all("dryRun")
    errors += dry_errors(dry)
    validation = query.get("fieldValidation")
    if validation not in VALIDATIONS:
        errors.append(unsupported("fieldValidation", validation, list(VALIDATIONS)))
    if errors:
        raise invalid("meta.k8s.io", kind, "", errors)
    return WriteOptions(
        manager or agent(call.request.headers),
        validation or "Warn",
        bool(dry),
        force,
        call.warnings,
    )


def dry_errors(values: list[str]) -> list[FieldError]:
    if all(v == "All" for v in values):
        return []
    return [unsupported("dryRun", values, ["All"])]
