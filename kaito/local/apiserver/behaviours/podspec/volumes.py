"""The volumes of a pod and how containers mount them."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import (
    chosen,
    descending,
    missing_parts,
    needed,
)
from kaito.local.apiserver.behaviours.podspec.sources import check_source
from kaito.local.apiserver.fields import FieldError, denied, duplicate, missing, required, wrong

Object = dict[str, Any]
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def check_volumes(
    volumes: list[Object], path: str, pod: str = ""
) -> tuple[dict[str, Object], list[FieldError]]:
    """The volumes that containers may mount, and faults; `pod` is a real pod's name."""
    known: dict[str, Object] = {}
    errors: list[FieldError] = []
    made = {f"{pod}-{v.get('name', '')}" for v in volumes if pod and "ephemeral" in v}
    for i, volume in enumerate(volumes):
        where, name = f"{path}[{i}]", volume.get("name", "")
        faults = check_source(volume, where) + _iscsi_name(volume, where)
        if f"{pod}-{name}" in made and name:
            claim = f"{pod}-{name}"
            faults += [
                wrong(f"{where}.name", name, f'PVC name "{claim}": {f}')
                for f in names.subdomain(claim)
            ]
        faults += needed(names.label, name, f"{where}.name")
        if name in known:
            faults.append(duplicate(f"{where}.name", name))
        if not faults:
            known[name] = volume
        errors += faults
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in made:
            says = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(wrong(f"{where}.persistentVolumeClaim.claimName", claim, says))
    return known, errors


def _iscsi_name(volume: Object, path: str) -> list[FieldError]:
    source, name = volume.get("iscsi") or {}, volume.get("name", "")
    if "initiatorName" not in source or len(f"{name}:{source.get('targetPortal', '')}") <= 64:
        return []
    says = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
        "iscsi.initiatorName is specified."
    )
    return [wrong(f"{path}.name", name, says)]


def check_mounts(container: Object, path: str, known: dict[str, Object]) -> list[FieldError]:
    where = f"{path}.volumeMounts"
    errors: list[FieldError] = []
    devices = {d.get("name", ""): d.get("devicePath", "") for d in _devices(container)}
    seen: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        item, name, target = f"{where}[{i}]", mount.get("name", ""), mount.get("mountPath", "")
        errors += missing_parts(mount, ("name",), item)
        if name not in known:
            errors.append(missing(f"{item}.name", name))
        errors += missing_parts(mount, ("mountPath",), item)
        if target in seen:
            errors.append(wrong(f"{item}.mountPath", target, "must be unique"))
        seen.add(target)
        if name in devices:
            errors.append(wrong(f"{item}.name", name, "must not already exist in volumeDevices"))
        if target in devices.values():
            says = "must not already exist as a path in volumeDevices"
            errors.append(wrong(f"{item}.mountPath", target, says))
        errors += _below(mount, where, item) + _sharing(mount, container, where)
    return errors


def _devices(container: Object) -> list[Object]:
    return container.get("volumeDevices") or []


def _below(mount: Object, path: str, item: str) -> list[FieldError]:
    """The part of the volume; faults of it name the list of mounts."""
    errors: list[FieldError] = []
    if mount.get("subPath"):
        errors += descending(mount["subPath"], f"{path}.subPath")
    expression = mount.get("subPathExpr", "")
    if expression:
        if mount.get("subPath"):
            says = "subPathExpr and subPath are mutually exclusive"
            errors.append(wrong(f"{item}.subPathExpr", expression, says))
        errors += descending(expression, f"{path}.subPathExpr")
    return errors


def _sharing(mount: Object, container: Object, path: str) -> list[FieldError]:
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    errors = chosen(propagation, PROPAGATIONS, f"{path}.mountPropagation")
    privileged = (container.get("securityContext") or {}).get("privileged")
    if propagation == "Bidirectional" and not privileged:
        says = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(denied(f"{path}.mountPropagation", says))
    where = f"{path}.recursiveReadOnly"
    if recursive in {"Enabled", "IfPossible"}:
        if not mount.get("readOnly"):
            errors.append(denied(where, "may only be specified when readOnly is true"))
        if propagation not in {None, "None"}:
            says = "may only be specified when mountPropagation is None or not specified"
            errors.append(denied(where, says))
    return errors + chosen(recursive, RECURSIVE, where)


def check_devices(container: Object, path: str, known: dict[str, Object]) -> list[FieldError]:
    errors: list[FieldError] = []
    mounts = {
        m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts") or ()
    }
    found_names: set[str] = set()
    found_paths: set[str] = set()
    for i, device in enumerate(_devices(container)):
        item, name, target = f"{path}.volumeDevices[{i}]", device.get("name", ""), ""
        target = device.get("devicePath", "")
        if not name:
            errors.append(required(f"{item}.name"))
        if name in found_names:
            errors.append(wrong(f"{item}.name", name, "must be unique"))
        volume = known.get(name)
        if volume is None:
            errors.append(missing(f"{item}.name", name))
        elif not volume.keys() & {"persistentVolumeClaim", "ephemeral"}:
            says = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for "
                "block mode"
            )
            errors.append(wrong(f"{item}.name", name, says))
        if not target:
            errors.append(required(f"{item}.devicePath"))
        if target in found_paths:
            errors.append(wrong(f"{item}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(wrong(f"{item}.devicePath", target, "can not contain backsteps ('..')"))
        else:
            found_paths.add(target)
        if name in mounts:
            errors.append(wrong(f"{item}.name", name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            says = "must not already exist as a path in volumeMounts"
            errors.append(wrong(f"{item}.devicePath", target, says))
        if name:
            found_names.add(name)
    return errors
