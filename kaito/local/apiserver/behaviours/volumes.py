"""PersistentVolumes."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.claims import OLD_CLASS, OLD_CLASS_SAYS, check_basic
from kaito.local.apiserver.behaviours.pod_updates import difference
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    no_backsteps,
)
from kaito.local.apiserver.behaviours.podspec.claims import MODES
from kaito.local.apiserver.behaviours.podspec.placement import check_node_selector
from kaito.local.apiserver.behaviours.podspec.sources import CHECKS, driver
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    listed,
    required,
    unchangeable,
    wrong,
)
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
RECLAIM = ("Delete", "Recycle", "Retain")
RECYCLED = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
    "recommended approach is to use dynamic provisioning."
)
FIXED = "spec.persistentvolumesource is immutable after creation"
# Where volumes of a cluster come from, in the order in which a server looks at them.
SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)


def default(volume: Object) -> None:
    spec = volume.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    volume.setdefault("status", {}).setdefault("phase", "Pending")


def stamp_phase(volume: Object, uid: str) -> None:
    """A volume is in its first phase since it was made."""
    made = volume["metadata"]["creationTimestamp"]
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": made}


def validate(volume: Object) -> list[FieldError]:
    spec = volume.get("spec") or {}
    capacity, modes = spec.get("capacity"), spec.get("accessModes") or []
    errors = [] if modes else [required("spec.accessModes")]
    for mode in modes:
        errors += chosen(mode, MODES, "spec.accessModes")
    if "ReadWriteOncePod" in modes and {*modes} & {*MODES[:3]}:
        says = "may not use ReadWriteOncePod with other access modes"
        errors.append(denied("spec.accessModes", says))
    if not capacity:
        errors.append(required("spec.capacity"))
    if set(capacity or ()) != {"storage"}:
        errors.append(listed("spec.capacity", capacity, ("storage",)))
    errors += check_basic(capacity or {}, "spec.capacity")
    for name, text in sorted((capacity or {}).items()):
        if quantity.value(text) <= 0:
            errors.append(wrong(f"spec.capacity[{name}]", text, "must be greater than zero"))
    policy, path = spec.get("persistentVolumeReclaimPolicy"), "spec.persistentVolumeReclaimPolicy"
    errors += chosen(policy, RECLAIM, path) + _source(spec)
    whole = "hostPath" in spec and not spec["hostPath"].get("path", "").strip("/")
    if policy == "Recycle" and whole:
        errors.append(denied(path, "may not be 'recycle' for a hostPath mount of '/'"))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        where = "spec.nodeAffinity.required"
        if "required" in affinity:
            errors += check_node_selector(affinity["required"], where)
        else:
            errors.append(required(where, "must specify required node constraints"))
    if spec.get("storageClassName"):
        errors += by(names.subdomain, spec["storageClassName"], "spec.storageClassName")
    return errors + chosen(spec.get("volumeMode"), ("Block", "Filesystem"), "spec.volumeMode")


def _source(spec: Object) -> list[FieldError]:
    found = [kind for kind in SOURCES if kind in spec]
    if not found:
        return [required("spec", "must specify a volume type")]
    first, *more = found
    check = {**CHECKS, "local": _local, "csi": _csi}[first]
    errors = check(spec[first], f"spec.{first}")
    if first == "local" and "nodeAffinity" not in spec:
        errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    return errors + [
        denied(f"spec.{kind}", "may not specify more than 1 volume type") for kind in more
    ]


def _local(source: Object, path: str) -> list[FieldError]:
    where = source.get("path", "")
    return no_backsteps(where, f"{path}.path") if where else [required(f"{path}.path")]


def _csi(source: Object, path: str) -> list[FieldError]:
    errors = driver(source.get("driver", ""), f"{path}.driver")
    if not source.get("volumeHandle"):
        errors.append(required(f"{path}.volumeHandle"))
    for name, secret in source.items():
        if name.endswith("SecretRef"):
            errors += [
                required(f"{path}.{name}.{part}")
                for part in ("name", "namespace")
                if not secret.get(part)
            ]
    return errors


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors = validate(new) * 2  # looked at as a volume and as a change of one
    mine, was = ({k: s[k] for k in SOURCES if k in s} for s in (spec, before))
    if mine != was:
        diff = difference("PersistentVolumeSource", was, mine)
        errors.append(denied("spec.persistentvolumesource", f"{FIXED}\n{diff}"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(unchangeable("volumeMode", spec.get("volumeMode")))
    affinity = spec.get("nodeAffinity")
    if "nodeAffinity" in before and affinity != before["nodeAffinity"]:
        shown = None if affinity is None else compact("VolumeNodeAffinity", affinity)
        says = "field is immutable, except for updating from beta label to GA"
        errors.append(wrong("nodeAffinity", shown, says))
    return errors


def warnings(volume: Object) -> list[str]:
    found: list[str] = []
    if OLD_CLASS in (volume["metadata"].get("annotations") or {}):
        found.append(OLD_CLASS_SAYS)
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(RECYCLED)
    return found


VOLUMES = Behaviour(
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    after_identity=stamp_phase,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)
