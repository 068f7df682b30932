"""Environment variables of a container and where their values come from."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    config_key,
    missing_parts,
    needed,
    no_backsteps,
    variable,
)
from kaito.local.apiserver.fields import FieldError, listed, required, wrong

Object = dict[str, Any]
SUBSCRIPT = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL)
FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
FILE_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
CONVERTIBLE = {
    *FIELDS,
    *FILE_FIELDS,
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
}
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
HUGE = ("requests.hugepages-", "limits.hugepages-")
BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
DIVISORS = {
    "cpu": ("cpu", ("1m", "1"), "1m and 1"),
    "memory": ("memory", BYTES, ", ".join(BYTES)),
    "ephemeral-storage": ("local ephemeral storage", BYTES, ", ".join(BYTES)),
    "hugepages": ("hugepages", BYTES, ", ".join(BYTES)),
}
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def check_env(env: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, entry in enumerate(env):
        errors += needed(variable, entry.get("name", ""), f"{path}[{i}].name")
        if entry.get("valueFrom") is not None:
            errors += _value_from(entry, f"{path}[{i}].valueFrom")
    return errors


def _value_from(entry: Object, path: str) -> list[FieldError]:
    source = entry["valueFrom"]
    found = [s for s in SOURCES if s in source]
    errors: list[FieldError] = []
    for kind in found:
        given, where = source[kind], f"{path}.{kind}"
        if kind == "fieldRef":
            errors += field_reference(given, FIELDS, where)
        elif kind == "resourceFieldRef":
            errors += resource_reference(given, where, in_volume=False)
        elif kind == "fileKeyRef":
            errors += _file_key(given, where)
        else:
            errors += by(names.subdomain, given.get("name", ""), f"{where}.name")
            errors += needed(config_key, given.get("key", ""), f"{where}.key")
    if not found:
        wanted = ", ".join(f"`{s}`" for s in SOURCES[:-1])
        errors.append(wrong(path, "", f"must specify one of: {wanted} or `{SOURCES[-1]}`"))
    elif entry.get("value"):
        errors.append(wrong(path, "", "may not be specified when `value` is not empty"))
    elif len(found) > 1:
        errors.append(wrong(path, "", "may not have more than one field specified at a time"))
    return errors


def _file_key(given: Object, path: str) -> list[FieldError]:
    return [
        *needed(variable, given.get("key", ""), f"{path}.key"),
        *needed(names.label, given.get("volumeName", ""), f"{path}.volumeName"),
        *missing_parts(given, ("path",), path),
        *no_backsteps(given.get("path", ""), f"{path}.path"),
    ]


def field_reference(given: Object, allowed: Collection[str], path: str) -> list[FieldError]:
    """A field of the pod itself that a variable or a file shows."""
    version, name = given.get("apiVersion", ""), given.get("fieldPath", "")
    if not version:
        return [required(f"{path}.apiVersion")]
    if not name:
        return [required(f"{path}.fieldPath")]
    found = SUBSCRIPT.fullmatch(name)
    fault = ""
    if version != "v1":
        fault = f"unsupported pod version: {version}"
    elif found and found[1] not in {"metadata.annotations", "metadata.labels"}:
        fault = f"field label does not support subscript: {name}"
    elif not found and name not in CONVERTIBLE and name != "spec.host":
        fault = f"field label not supported: {name}"
    if fault:
        return [wrong(f"{path}.fieldPath", name, f"error converting fieldPath: {fault}")]
    if found:
        key = found[2].lower() if found[1] == "metadata.annotations" else found[2]
        return by(names.qualified, key, path)
    name = "spec.nodeName" if name == "spec.host" else name
    return [] if name in allowed else [listed(f"{path}.fieldPath", name, sorted(allowed))]


def resource_reference(given: Object, path: str, *, in_volume: bool) -> list[FieldError]:
    """A request or limit of a container that a variable or a file shows."""
    name, errors = given.get("resource", ""), []
    if in_volume and not given.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not name:
        errors.append(required(f"{path}.resource"))
    elif name not in RESOURCES and not name.startswith(HUGE):
        errors.append(listed(f"{path}.resource", name, RESOURCES))
    divisor = given.get("divisor", "0")
    kind = "hugepages" if name.startswith(HUGE) else name.partition(".")[2]
    if divisor != "0" and kind in DIVISORS and (name in RESOURCES or kind == "hugepages"):
        shown, allowed, text = DIVISORS[kind]
        if divisor not in allowed:
            says = f"only divisor's values {text} are supported with the {shown} resource"
            errors.append(wrong(f"{path}.divisor", name, says))
    return errors


def check_env_from(sources: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, source in enumerate(sources):
        if source.get("prefix"):
            errors += by(variable, source["prefix"], f"{path}[{i}].prefix")
        found = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in found:
            where = f"{path}[{i}].{kind}.name"
            errors += needed(prefix_of_name, source[kind].get("name", ""), where)
        if not found:
            errors.append(wrong(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(found) > 1:
            errors.append(wrong(path, "", "may not have more than one field specified at a time"))
    return errors


def prefix_of_name(text: str) -> list[str]:
    return names.name_faults("subdomain", text, prefix=True)
