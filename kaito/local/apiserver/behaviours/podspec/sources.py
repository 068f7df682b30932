"""Where the content of a volume comes from: one check for each type, and exactly one type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviours.podspec.checks import (
    between,
    by,
    chosen,
    descending,
    missing_parts,
    needed,
    needs_choice,
    no_backsteps,
)
from kaito.local.apiserver.behaviours.podspec.claims import check_claim_template
from kaito.local.apiserver.behaviours.podspec.files import (
    check_config,
    check_downward,
    check_projected,
)
from kaito.local.apiserver.fields import FieldError, denied, listed, required, too_long, wrong

Object = dict[str, Any]
Check = Callable[[Object, str], list[FieldError]]
HOST_PATHS = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
PULLS = ("Always", "IfNotPresent", "Never")
DRIVER_LIMIT = 63
MANAGED_DISK = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/"
    "{disk-id}"
)
BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([\w.-]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"eui.[0-9A-Za-z]{16}$"),
    "naa": re.compile(r"naa.[0-9A-Za-z]{32}$"),
}
RESERVED_OPTIONS = (".kubernetes.io", ".k8s.io")


def has(*parts: str) -> Check:
    """A source that only must have some parts."""
    return lambda source, path: missing_parts(source, parts, path)


def disk(name: str) -> Check:
    """A disk that may name one of its partitions; zero is the whole disk."""
    return lambda source, path: (
        missing_parts(source, (name,), path)
        + (between(source.get("partition") or None, 1, 255, f"{path}.partition"))
    )


def empty_dir(source: Object, path: str) -> list[FieldError]:
    if quantity.value(source.get("sizeLimit", "0")) < 0:
        says = "SizeLimit field must be a valid resource quantity"
        return [denied(f"{path}.sizeLimit", says)]
    return []


def host_path(source: Object, path: str) -> list[FieldError]:
    if not source.get("path"):
        return [required(f"{path}.path")]
    errors = no_backsteps(source["path"], f"{path}.path")
    return errors + chosen(source.get("type"), HOST_PATHS, f"{path}.type")


def git_repo(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("repository",), path)
    return errors + descending(source.get("directory", ""), f"{path}.directory")


def nfs(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("server", "path"), path)
    if not source.get("path", "").startswith("/"):
        errors.append(wrong(f"{path}.path", source.get("path", ""), "must be an absolute path"))
    return errors


def _initiator(name: str, path: str) -> list[FieldError]:
    pattern = INITIATORS.get(name[:3])
    if pattern is None:
        return [wrong(path, name, "must be valid format starting with iqn, eui, or naa")]
    found = pattern.search(name) if name.startswith("iqn") else pattern.match(name)
    return [] if found else [wrong(path, name, "must be valid format")]


def iscsi(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("targetPortal", "iqn"), path)
    if source.get("iqn"):
        errors += _initiator(source["iqn"], f"{path}.iqn")
    errors += between(source.get("lun", 0), 0, 255, f"{path}.lun")
    if source.get("chapAuthDiscovery") or source.get("chapAuthSession"):
        errors += [] if "secretRef" in source else [required(f"{path}.secretRef")]
    if "initiatorName" in source:
        errors += _initiator(source["initiatorName"], f"{path}.initiatorname")
    return errors


def fibre_channel(source: Object, path: str) -> list[FieldError]:
    names_, ids = source.get("targetWWNs") or [], source.get("wwids") or []
    where = f"{path}.targetWWNs"
    if not names_ and not ids:
        return [required(where, "must specify either targetWWNs or wwids, but not both")]
    errors: list[FieldError] = []
    if names_ and ids:
        says = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(wrong(where, names_, says))
    if names_ and source.get("lun") is None:
        errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif names_:
        errors += between(source["lun"], 0, 255, f"{path}.lun")
    return errors


def flocker(source: Object, path: str) -> list[FieldError]:
    name, uid = source.get("datasetName", ""), source.get("datasetUUID", "")
    errors: list[FieldError] = []
    if not name and not uid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        says = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(wrong(path, "resource", says))
    if "/" in name:
        errors.append(wrong(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def with_secret(*parts: str) -> Check:
    """A source that has some parts, and a name where it refers to a secret."""

    def check(source: Object, path: str) -> list[FieldError]:
        errors = missing_parts(source, parts, path)
        if "secretRef" in source:
            errors += missing_parts(source["secretRef"], ("name",), f"{path}.secretRef")
        return errors

    return check


def storage_os(source: Object, path: str) -> list[FieldError]:
    errors = needed(names.label, source.get("volumeName", ""), f"{path}.volumeName")
    if source.get("volumeNamespace"):
        errors += by(names.label, source["volumeNamespace"], f"{path}.volumeNamespace")
    return errors + with_secret()(source, path)


def quobyte(source: Object, path: str) -> list[FieldError]:
    says = "must be a host:port pair or multiple pairs separated by commas"
    registry, errors = source.get("registry", ""), []
    if not registry:
        errors.append(required(f"{path}.registry", says))
    elif len(source.get("tenant", "")) >= 65:
        limit = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(required(f"{path}.tenant", limit))
    else:
        pairs = (p for p in registry.split(",") if p.count(":") != 1)
        errors += [wrong(f"{path}.registry", registry, says) for _ in pairs]
    return errors + missing_parts(source, ("volume",), path)


def flex(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("driver",), path)
    for key in sorted(source.get("options") or {}):
        if f".{key.partition('/')[0].lower()}".endswith(RESERVED_OPTIONS):
            says = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(wrong(f"{path}.options[{key}]", key, says))
    return errors


def azure_disk(source: Object, path: str) -> list[FieldError]:
    errors = missing_parts(source, ("diskName", "diskURI"), path)
    caching, kind = source.get("cachingMode"), source.get("kind")
    uri, where = source.get("diskURI", ""), f"{path}.diskURI"
    errors += chosen(caching, ("None", "ReadOnly", "ReadWrite"), f"{path}.cachingMode")
    errors += chosen(kind, ("Dedicated", "Managed", "Shared"), f"{path}.kind")
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(listed(where, uri, (MANAGED_DISK,)))
    elif kind is not None and kind != "Managed" and not uri.startswith("https://"):
        errors.append(listed(where, uri, (BLOB_DISK,)))
    return errors


def driver(name: str, path: str) -> list[FieldError]:
    """The name of a storage driver."""
    if not name:
        return [required(path)]
    errors = [too_long(path, DRIVER_LIMIT)] if len(name) > DRIVER_LIMIT else []
    return errors + [wrong(path, name, f) for f in names.subdomain(name.lower())]


def csi(source: Object, path: str) -> list[FieldError]:
    errors = driver(source.get("driver", ""), f"{path}.driver")
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))
    elif secret is not None:
        errors += by(names.subdomain, secret["name"], f"{path}.name")
    return errors


def ephemeral(source: Object, path: str) -> list[FieldError]:
    where = f"{path}.volumeClaimTemplate"
    if "volumeClaimTemplate" not in source:
        return [required(where)]
    return check_claim_template(source["volumeClaimTemplate"], where)


def image(source: Object, path: str) -> list[FieldError]:
    return needs_choice(source.get("pullPolicy", ""), PULLS, f"{path}.pullPolicy")


def secret(source: Object, path: str) -> list[FieldError]:
    return check_config(source, "secretName", path)


def config_map(source: Object, path: str) -> list[FieldError]:
    return check_config(source, "name", path)


# In the order in which a server looks at them.
CHECKS: dict[str, Check] = {
    "emptyDir": empty_dir,
    "hostPath": host_path,
    "gitRepo": git_repo,
    "gcePersistentDisk": disk("pdName"),
    "awsElasticBlockStore": disk("volumeID"),
    "secret": secret,
    "nfs": nfs,
    "iscsi": iscsi,
    "glusterfs": has("endpoints", "path"),
    "flocker": flocker,
    "persistentVolumeClaim": has("claimName"),
    "rbd": has("monitors", "image"),
    "cinder": with_secret("volumeID"),
    "cephfs": has("monitors"),
    "quobyte": quobyte,
    "downwardAPI": check_downward,
    "fc": fibre_channel,
    "flexVolume": flex,
    "configMap": config_map,
    "azureFile": has("secretName", "shareName"),
    "vsphereVolume": has("volumePath"),
    "photonPersistentDisk": has("pdID"),
    "portworxVolume": has("volumeID"),
    "azureDisk": azure_disk,
    "storageos": storage_os,
    "projected": check_projected,
    "scaleIO": has("gateway", "system", "volumeName"),
    "csi": csi,
    "ephemeral": ephemeral,
    "image": image,
}
# Words of a server that differ from the names of the fields.
SHOWN = {"gcePersistentDisk": "persistentDisk"}
SHOWN_AGAIN = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def check_source(volume: Object, path: str) -> list[FieldError]:
    """Exactly one source, and that one in order."""
    found = [kind for kind in CHECKS if kind in volume]
    if not found:
        return [required(path, "must specify a volume type")]
    first, *more = found
    errors = CHECKS[first](volume[first] or {}, f"{path}.{SHOWN.get(first, first)}")
    for kind in more:
        where = f"{path}.{SHOWN_AGAIN.get(kind, kind)}"
        errors.append(denied(where, "may not specify more than 1 volume type"))
    return errors
