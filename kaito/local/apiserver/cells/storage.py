"""The cells of volumes and what makes them."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.cells.pieces import NONE, UNSET, Object, made, name


def claim(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    capacity = (status.get("capacity") or {}).get("storage", "") if bound else ""
    return [
        name(obj),
        phase,
        spec.get("volumeName", ""),
        capacity,
        modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or UNSET,
        made(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def volume(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ref = spec.get("claimRef") or {}
    owner = f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        owner,
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        made(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def modes(found: Any) -> str:
    return ",".join(MODES[m] for m in MODES if m in (found or ()))


def storage_class(obj: Object, now: float) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get(
        "storageclass.kubernetes.io/is-default-class"
    ) == "true"
    return [
        name(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        made(obj, now),
    ]


def driver(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    audiences = spec.get("tokenRequests")
    tokens = UNSET if audiences is None else ",".join(a.get("audience", "") for a in audiences)
    return [
        name(obj),
        spec.get("attachRequired", True),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        tokens,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        made(obj, now),
    ]


def storage_node(obj: Object, now: float) -> list[Any]:
    drivers = (obj.get("spec") or {}).get("drivers") or ()
    return [name(obj), len(drivers), made(obj, now)]


def attachment(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        name(obj),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool((obj.get("status") or {}).get("attached")),
        made(obj, now),
    ]


def attributes_class(obj: Object, now: float) -> list[Any]:
    return [name(obj), obj.get("driverName", ""), made(obj, now)]
