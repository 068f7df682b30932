"""Classes and drivers: StorageClasses, CSIDrivers, VolumeAttachments and RuntimeClasses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by, chosen, needed
from kaito.local.apiserver.behaviours.podspec.sources import driver
from kaito.local.apiserver.fields import FieldError, duplicate, required, unchangeable, wrong

Object = dict[str, Any]
FIXED = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 2**32  # seconds


def default_class(obj: Object) -> None:
    if not obj.get("reclaimPolicy"):
        obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def check_class(obj: Object) -> list[FieldError]:
    provisioner = obj.get("provisioner", "")
    errors = [] if provisioner else [required("provisioner")]
    if provisioner:
        errors += by(names.qualified, provisioner.lower(), "provisioner")
    if "" in (obj.get("parameters") or {}):
        errors.append(wrong("parameters", "", "field can not be empty."))
    policy = obj.get("reclaimPolicy") or None
    errors += chosen(policy, ("Delete", "Retain"), "reclaimPolicy")
    modes = ("Immediate", "WaitForFirstConsumer")
    errors += chosen(obj.get("volumeBindingMode"), modes, "volumeBindingMode")
    return [*errors, *_topologies(obj.get("allowedTopologies") or [])]


def _topologies(terms: list[Object]) -> Iterator[FieldError]:
    seen: list[dict[str, set[str]]] = [{}]
    for i, term in enumerate(terms):
        path = f"allowedTopologies[{i}].matchLabelExpressions"
        found: dict[str, set[str]] = {}
        for j, rule in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = rule.get("key", ""), rule.get("values") or []
            yield from by(names.qualified, key, f"{path}[{j}].key")
            if key in found:
                yield duplicate(f"{path}[{j}].key", key)
            if not values:
                yield required(f"{path}[{j}].values")
            for k, value in enumerate(values):
                if value in values[:k]:
                    yield duplicate(f"{path}[{j}].values[{k}]", value)
                yield from by(names.label_value, value, f"{path}[{j}].values[{k}]")
            found[key] = set(values)
        if found in seen:
            yield duplicate(path, "")
        seen.append(found)


def update_class(new: Object, old: Object) -> list[FieldError]:
    changed = [n for n in FIXED if new.get(n) != old.get(n)]
    return check_class(new) + [unchangeable(n, new.get(n)) for n in changed]


STORAGE_CLASSES = Behaviour(
    default=default_class, validate=check_class, validate_update=update_class
)


def default_driver(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    for name in ("podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"):
        spec.setdefault(name, False)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def check_driver(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    errors += chosen(spec.get("fsGroupPolicy"), policies, "spec.fsGroupPolicy")
    for mode in spec.get("volumeLifecycleModes") or ():
        errors += chosen(mode, ("Persistent", "Ephemeral"), "spec.volumeLifecycleModes")
    seen: set[str] = set()
    for i, request in enumerate(spec.get("tokenRequests") or ()):
        path, audience = f"spec.tokenRequests[{i}]", request.get("audience", "")
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < SHORTEST_TOKEN:
            says = "may not specify a duration less than 10 minutes"
            errors.append(wrong(f"{path}.expirationSeconds", seconds, says))
        elif seconds is not None and seconds > LONGEST_TOKEN:
            says = "may not specify a duration larger than 2^32 seconds"
            errors.append(wrong(f"{path}.expirationSeconds", seconds, says))
    return errors


def update_driver(new: Object, old: Object) -> list[FieldError]:
    name = "volumeLifecycleModes"
    mine = (new.get("spec") or {}).get(name)
    changed = mine != (old.get("spec") or {}).get(name)
    return check_driver(new) + ([unchangeable(f"spec.{name}", mine)] if changed else [])


CSI_DRIVERS = Behaviour(
    default=default_driver, validate=check_driver, validate_update=update_driver
)


def check_attachment(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    source, path = spec.get("source") or {}, "spec.source"
    errors = driver(spec.get("attacher", ""), "spec.attacher")
    errors += by(names.subdomain, spec.get("nodeName", ""), "spec.nodeName")
    one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if not source:
        errors.append(required(path, one))
    elif len(source) > 1:
        errors.append(wrong(path, source, one))
    elif "persistentVolumeName" in source:
        name, where = source["persistentVolumeName"], f"{path}.persistentVolumeName"
        if not name:
            errors.append(required(where, "must specify non empty persistentVolumeName"))
        errors += by(names.subdomain, name, where)
    return errors


def update_attachment(new: Object, old: Object) -> list[FieldError]:
    changed = new.get("spec") != old.get("spec")
    fault = [wrong("spec", new.get("spec"), "field is immutable")] if changed else []
    return check_attachment(new) + fault


VOLUME_ATTACHMENTS = Behaviour(validate=check_attachment, validate_update=update_attachment)


def check_runtime(obj: Object) -> list[FieldError]:
    return needed(names.label, obj.get("handler", ""), "handler")


def update_runtime(new: Object, old: Object) -> list[FieldError]:
    mine = new.get("handler", "")
    return [] if mine == old.get("handler", "") else [unchangeable("handler", mine)]


RUNTIME_CLASSES = Behaviour(validate=check_runtime, validate_update=update_runtime)
