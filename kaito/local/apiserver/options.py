"""The options of a write: from the query, and for deletions from the body too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.fields import FieldError, unsupported, wrong
from kaito.local.apiserver.http import Query, Request
from kaito.local.apiserver.meta import manager_errors
from kaito.local.apiserver.status import StatusError, invalid

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
    request: Request, query: Query, kind: str, *, apply: bool = False, patch: bool = False
) -> WriteOptions:
    """Raises StatusError where an option makes no sense. `kind` is CreateOptions and so on."""
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
    dry = [v for v in query.all("dryRun") if v]
    errors += dry_errors(dry)
    validation = query.get("fieldValidation")
    if validation not in VALIDATIONS:
        errors.append(unsupported("fieldValidation", validation, list(VALIDATIONS)))
    if errors:
        raise invalid("meta.k8s.io", kind, "", errors)
    return WriteOptions(manager or agent(request.headers), validation or "Warn", bool(dry), force)


def dry_errors(values: list[str]) -> list[FieldError]:
    if all(v == "All" for v in values):
        return []
    return [unsupported("dryRun", values, ["All"])]


@dataclass(slots=True)
class DeleteOptions:
    uid: str = ""
    resource_version: str = ""
    grace: int | None = None
    propagation: str = ""
    orphan: bool | None = None
    dry_run: bool = False


PROPAGATIONS = ("Foreground", "Background", "Orphan")


def delete_options(body: Mapping[str, Any], query: Query) -> DeleteOptions:
    """Options of the body where there is one, else of the query. Raises StatusError."""
    if body:
        conditions = body.get("preconditions") or {}
        grace = body.get("gracePeriodSeconds")
        propagation = body.get("propagationPolicy") or ""
        orphan = body.get("orphanDependents")
        dry = body.get("dryRun") or []
        uid, version = conditions.get("uid") or "", conditions.get("resourceVersion") or ""
    else:
        text = query.get("gracePeriodSeconds")
        grace = None
        if text:
            try:
                grace = int(text)
            except ValueError as error:
                raise StatusError(
                    400, "BadRequest", f'strconv.ParseInt: parsing "{text}": invalid syntax'
                ) from error
        propagation = query.get("propagationPolicy")
        orphan = query.flag("orphanDependents") if "orphanDependents" in query else None
        dry = [v for v in query.all("dryRun") if v]
        uid = version = ""
    errors: list[FieldError] = []
    if orphan is not None and propagation:
        errors.append(
            wrong(
                "propagationPolicy",
                propagation,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if propagation and propagation not in PROPAGATIONS:
        errors.append(
            FieldError(
                "propagationPolicy",
                "Unsupported value",
                propagation,
                'supported values: "Foreground", "Background", "Orphan", "nil"',
            )
        )
    errors += dry_errors(dry)
    if errors:
        raise invalid("meta.k8s.io", "DeleteOptions", "", errors)
    return DeleteOptions(uid, version, grace, propagation, orphan, bool(dry))
