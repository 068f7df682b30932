"""PersistentVolumeClaims."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_updates import difference
from kaito.local.apiserver.behaviours.podspec.claims import check_claim_spec
from kaito.local.apiserver.fields import FieldError, denied, unchangeable, wrong

Object = dict[str, Any]
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
OLD_CLASS_SAYS = (
    f'metadata.annotations[{OLD_CLASS}]: deprecated since v1.8; use "storageClassName" attribute '
    "instead"
)
FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)
SNAPSHOT = ("snapshot.storage.k8s.io", "VolumeSnapshot")


def default(claim: Object) -> None:
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def before_create(claim: Object) -> None:
    claim["status"] = {"phase": "Pending"}
    settle_sources(claim["spec"])


def settle_sources(spec: Object) -> None:
    """Sources that nobody serves are dropped; the old and the new field say the same."""
    source, wide = spec.get("dataSource"), spec.get("dataSourceRef")
    if wide is not None and wide.get("namespace"):
        del spec["dataSourceRef"]
        wide = None
    if source is not None and wide is None:
        kind = (source.get("apiGroup") or "", source.get("kind", ""))
        if kind not in {SNAPSHOT, ("", "PersistentVolumeClaim")}:
            del spec["dataSource"]
        else:
            spec["dataSourceRef"] = dict(source)
    elif wide is not None and source is None:
        spec["dataSource"] = {k: v for k, v in wide.items() if k != "namespace"}


def validate(claim: Object) -> list[FieldError]:
    return check_claim_spec(claim.get("spec") or {}, "spec")


def _storage(holder: Object, part: str) -> Decimal:
    return quantity.value((holder.get(part) or {}).get("storage", "0"))


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors = validate(new)
    mine, kept = dict(spec), dict(before)
    if not before.get("volumeName") and "volumeName" in spec:
        kept["volumeName"] = spec["volumeName"]
    errors += _class_annotation(new, old)
    if "storageClassName" not in before and "storageClassName" in spec:
        kept["storageClassName"] = spec["storageClassName"]
    if (new.get("status") or {}).get("phase") == "Bound":
        for name in ("resources", "volumeAttributesClassName"):
            mine.pop(name, None)
            if name in kept:
                mine[name] = kept[name]
    if mine != kept:
        diff = difference("PersistentVolumeClaimSpec", kept, mine)
        errors.append(denied("spec", f"{FIXED}\n{diff}"))
    size = _storage(spec.get("resources") or {}, "requests")
    smaller = size < _storage(before.get("resources") or {}, "requests")
    if smaller and size <= _storage(old.get("status") or {}, "capacity"):
        path = "spec.resources.requests.storage"
        errors.append(denied(path, "field can not be less than status.capacity"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(unchangeable("volumeMode", spec.get("volumeMode")))
    return errors


def _class_annotation(new: Object, old: Object) -> list[FieldError]:
    mine, was = ((o["metadata"].get("annotations") or {}).get(OLD_CLASS, "") for o in (new, old))
    return [] if mine == was else [unchangeable(f"metadata.annotations.{OLD_CLASS}", mine)]


def validate_status(new: Object, old: Object) -> list[FieldError]:
    capacity = (new.get("status") or {}).get("capacity") or {}
    return check_basic(capacity, "status.capacity")


def check_basic(amounts: dict[str, str], path: str) -> list[FieldError]:
    """Amounts may not be negative; a wrong one is shown as a number."""
    return [
        wrong(f"{path}[{name}]", int(value), "must be a valid resource quantity")
        for name, text in sorted(amounts.items())
        if (value := quantity.value(text)) < 0
    ]


def warnings(claim: Object) -> list[str]:
    old_class = OLD_CLASS in (claim["metadata"].get("annotations") or {})
    return [*([OLD_CLASS_SAYS] if old_class else ()), *spec_warnings(claim["spec"], "spec")]


def spec_warnings(spec: Object, path: str) -> list[str]:
    resources = spec.get("resources") or {}
    return [
        f'{path}.resources.{part}[storage]: fractional byte value "{amount}" is invalid, must be '
        "an integer"
        for part in ("requests", "limits")
        if quantity.fractional(
            quantity.value(amount := (resources.get(part) or {}).get("storage", "0"))
        )
    ]


CLAIMS = Behaviour(
    default=default,
    before_create=before_create,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=warnings,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)
