"""Templates of claims that volumes and stateful sets make."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    label_selector,
    missing_parts,
)
from kaito.local.apiserver.behaviours.values import labels
from kaito.local.apiserver.fields import FieldError, denied, listed, required, wrong
from kaito.local.apiserver.meta import annotation_errors

Object = dict[str, Any]
MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def check_claim_template(template: Object, path: str) -> list[FieldError]:
    meta = template.get("metadata") or {}
    errors = annotation_errors(meta.get("annotations"), f"{path}.metadata.annotations")
    errors += labels(meta.get("labels"), f"{path}.metadata.labels")
    for name in sorted(set(meta) - {"annotations", "labels", "creationTimestamp"}):
        errors.append(denied(f"{path}.metadata.{name}", "cannot be set"))
    return errors + check_claim_spec(template.get("spec") or {}, f"{path}.spec")


def check_claim_spec(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    errors += label_selector(spec.get("selector"), f"{path}.selector")
    for mode in modes:
        errors += chosen(mode, MODES, f"{path}.accessModes")
    if "ReadWriteOncePod" in modes and {*modes} & {*MODES[:3]}:
        says = "may not use ReadWriteOncePod with other access modes"
        errors.append(denied(f"{path}.accessModes", says))
    errors += _storage(spec, f"{path}.resources[storage]")
    if spec.get("storageClassName"):
        errors += by(names.subdomain, spec["storageClassName"], f"{path}.storageClassName")
    if spec.get("volumeMode") not in {None, "Block", "Filesystem"}:
        where = f"{path}.volumeMode"
        errors.append(listed(where, spec["volumeMode"], ("Block", "Filesystem")))
    for part in ("dataSource", "dataSourceRef"):
        if part in spec:
            errors += _data_source(spec[part], f"{path}.{part}")
    errors += _sources_differ(spec, path)
    if spec.get("volumeAttributesClassName"):
        where = f"{path}.volumeAttributesClassName"
        errors += by(names.subdomain, spec["volumeAttributesClassName"], where)
    return errors


def _storage(spec: Object, path: str) -> list[FieldError]:
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is None:
        return [required(path)]
    if quantity.value(asked) <= 0:
        return [wrong(path, asked, "must be greater than zero")]
    return []


def _sources_differ(spec: Object, path: str) -> list[FieldError]:
    """Both fields name one source, but one in another namespace stands alone."""
    source, wide = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is None or wide is None:
        return []
    if wide.get("namespace"):
        says = "may not be specified when dataSourceRef.namespace is specified"
        return [wrong(path, {}, says)]
    keys = ("apiGroup", "kind", "name")
    if all(source.get(k) == wide.get(k) for k in keys):
        return []
    return [wrong(path, {}, "must match dataSourceRef")]


def _data_source(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("name", "kind"), path)
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if group:
        errors += by(names.subdomain, group, f"{path}.apiGroup")
    elif kind != "PersistentVolumeClaim":
        says = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(wrong(path, kind, says))
    if source.get("namespace"):
        errors += by(names.label, source["namespace"], f"{path}.namespace")
    return errors
