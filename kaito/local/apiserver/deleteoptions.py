"""The options of a deletion: from the body where there is one, else from the query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.bodies import read_delete_options
from kaito.local.apiserver.fields import FieldError, wrong
from kaito.local.apiserver.http import Query, Request
from kaito.local.apiserver.options import dry_errors
from kaito.local.apiserver.schema import TypeTable
from kaito.local.apiserver.status import invalid

PROPAGATIONS = ("Foreground", "Background", "Orphan")


@dataclass(slots=True)
class DeleteOptions:
    """`uid` and `resource_version` are preconditions; None asks for nothing."""

    uid: str | None = None
    resource_version: str | None = None
    grace: int | None = None
    propagation: str = ""
    orphan: bool | None = None
    dry_run: bool = False

    @property
    def silent(self) -> bool:
        """Nothing was said about dependents."""
        return self.orphan is None and not self.propagation


def read(request: Request, query: Query, types: TypeTable) -> DeleteOptions:
    """Raises StatusError."""
    if not request.body:
        return _of_query(query)
    return of_body(read_delete_options(request, types))


def of_body(body: Mapping[str, Any]) -> DeleteOptions:
    """Options of a decoded body. Raises StatusError (422)."""
    conditions = body.get("preconditions") or {}
    return _checked(
        DeleteOptions(
            conditions.get("uid"),
            conditions.get("resourceVersion"),
            body.get("gracePeriodSeconds"),
            orphan=body.get("orphanDependents"),
        ),
        body.get("propagationPolicy"),
        body.get("dryRun") or [],
    )


def _of_query(query: Query) -> DeleteOptions:
    return _checked(
        DeleteOptions(
            query.get("uid") if "uid" in query else None,
            query.get("resourceVersion") if "resourceVersion" in query else None,
            query.number("gracePeriodSeconds"),
            orphan=query.flag("orphanDependents") if "orphanDependents" in query else None,
        ),
        query.get("propagationPolicy") if "propagationPolicy" in query else None,
        query.all("dryRun"),
    )


def _checked(options: DeleteOptions, propagation: str | None, dry: list[str]) -> DeleteOptions:
    errors: list[FieldError] = []
    if options.orphan is not None and propagation is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(wrong("propagationPolicy", propagation, why))
    if propagation is not None and propagation not in PROPAGATIONS:
        why = 'supported values: "Foreground", "Background", "Orphan", "nil"'
        errors.append(FieldError("propagationPolicy", "Unsupported value", propagation, why))
    errors += dry_errors(dry)
    if errors:
        raise invalid("meta.k8s.io", "DeleteOptions", "", errors)
    options.propagation, options.dry_run = propagation or "", bool(dry)
    return options
