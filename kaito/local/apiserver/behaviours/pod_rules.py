"""What is wrong with a pod spec: required parts, cross-checks and allowed values."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    missing,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
POLICIES = ["Always", "IfNotPresent", "Never"]
PROTOCOLS = ["SCTP", "TCP", "UDP"]
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
STANDARD = {"cpu", "memory", "ephemeral-storage", "storage"}
CONTAINER_STANDARD = {"cpu", "memory", "ephemeral-storage"}
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"


def not_negative(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and value < 0:
        return [wrong(path, value, NOT_NEGATIVE)]
    return []


def listed(field: str, value: Any, allowed: list[str]) -> FieldError:
    """An unsupported value whose alternatives keep the order given."""
    from kaito.local.apiserver.fields import go_quote

    return FieldError(
        field,
        "Unsupported value",
        value,
        "supported values: " + ", ".join(go_quote(a) for a in allowed),
    )


def check_spec(spec: Object, path: str, *, restart: list[str] | None = None) -> list[FieldError]:
    """Faults of a pod spec. `restart` limits the restart policies, as templates do."""
    errors: list[FieldError] = []
    volumes: set[str] = set()
    for i, volume in enumerate(spec.get("volumes") or ()):
        errors += check_volume(volume, f"{path}.volumes[{i}]", volumes)
    containers = spec.get("containers") or []
    if not containers:
        errors.append(required(f"{path}.containers"))
    seen: set[str] = set()
    for i, container in enumerate(containers):
        errors += check_container(container, f"{path}.containers[{i}]", volumes, seen)
    for i, container in enumerate(spec.get("initContainers") or ()):
        errors += check_container(container, f"{path}.initContainers[{i}]", volumes, seen)
    policy = spec.get("restartPolicy", "")
    if not policy:
        errors.append(required(f"{path}.restartPolicy"))
    elif policy not in {"Always", "OnFailure", "Never"}:
        errors.append(listed(f"{path}.restartPolicy", policy, ["Always", "OnFailure", "Never"]))
    elif restart is not None and policy not in restart:
        errors.append(unsupported(f"{path}.restartPolicy", policy, restart))
    dns = spec.get("dnsPolicy", "")
    if dns not in {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}:
        errors.append(
            listed(
                f"{path}.dnsPolicy",
                dns,
                ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
            )
        )
    for key, value in sorted((spec.get("nodeSelector") or {}).items()):
        errors += [wrong(f"{path}.nodeSelector", key, f) for f in names.qualified(key)]
        errors += [wrong(f"{path}.nodeSelector", value, f) for f in names.label_value(value)]
    account = spec.get("serviceAccountName", "")
    if account:
        errors += [
            wrong(f"{path}.serviceAccountName", account, f) for f in names.subdomain(account)
        ]
    node = spec.get("nodeName", "")
    if node:
        errors += [wrong(f"{path}.nodeName", node, f) for f in names.subdomain(node)]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        errors.append(
            wrong(
                f"{path}.activeDeadlineSeconds",
                deadline,
                "must be between 1 and 2147483647, inclusive",
            )
        )
    errors += check_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    for part in ("hostname", "subdomain"):
        if spec.get(part):
            errors += [wrong(f"{path}.{part}", spec[part], f) for f in names.label(spec[part])]
    priority = spec.get("priorityClassName", "")
    if priority:
        errors += [
            wrong(f"{path}.priorityClassName", priority, f) for f in names.subdomain(priority)
        ]
    return errors


def check_volume(volume: Object, path: str, known: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    name = volume.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        faults = names.label(name)
        errors += [wrong(f"{path}.name", name, f) for f in faults]
        if name in known:
            errors.append(duplicate(f"{path}.name", name))
    sources = [s for s in volume if s != "name"]
    order = (
        "emptyDir",
        "hostPath",
        "gitRepo",
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "secret",
        "nfs",
        "iscsi",
        "glusterfs",
        "flocker",
        "persistentVolumeClaim",
        "rbd",
        "cinder",
        "cephfs",
        "quobyte",
        "downwardAPI",
        "fc",
        "flexVolume",
        "configMap",
        "azureFile",
        "vsphereVolume",
        "photonPersistentDisk",
        "portworxVolume",
        "azureDisk",
        "storageos",
        "projected",
        "scaleIO",
        "csi",
        "ephemeral",
        "image",
    )
    found = [s for s in order if s in sources]
    if not found:
        errors.append(required(path, "must specify a volume type"))
    for extra in found[1:]:
        errors.append(denied(f"{path}.{extra}", "may not specify more than 1 volume type"))
    if len(found) == 1:
        errors += _volume_source(volume, found[0], path)
    if not errors:
        known.add(name)
    return errors


def _volume_source(volume: Object, kind: str, path: str) -> list[FieldError]:
    source = volume[kind] or {}
    match kind:
        case "hostPath":
            if not source.get("path"):
                return [required(f"{path}.hostPath.path")]
            if ".." in source["path"].split("/"):
                return [wrong(f"{path}.hostPath.path", source["path"], "must not contain '..'")]
        case "persistentVolumeClaim":
            if not source.get("claimName"):
                return [required(f"{path}.persistentVolumeClaim.claimName")]
        case "secret":
            if not source.get("secretName"):
                return [required(f"{path}.secret.secretName")]
        case "configMap":
            if not source.get("name"):
                return [required(f"{path}.configMap.name")]
        case "emptyDir":
            size = source.get("sizeLimit")
            if size is not None and quantity.value(size) < 0:
                return [
                    denied(
                        f"{path}.emptyDir.sizeLimit",
                        "SizeLimit field must be a valid resource quantity",
                    )
                ]
        case "nfs":
            return [required(f"{path}.nfs.{n}") for n in ("server", "path") if not source.get(n)]
    return []


def check_container(
    container: Object, path: str, volumes: set[str], seen: set[str]
) -> list[FieldError]:
    errors: list[FieldError] = []
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        faults = names.label(name)
        errors += [wrong(f"{path}.name", name, f) for f in faults]
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(wrong(f"{path}.image", image, "must not have leading or trailing whitespace"))
    policy = container.get("terminationMessagePolicy", "")
    if policy not in {"File", "FallbackToLogsOnError"}:
        errors.append(
            unsupported(
                f"{path}.terminationMessagePolicy", policy, ["File", "FallbackToLogsOnError"]
            )
        )
    errors += check_ports(container.get("ports") or [], f"{path}.ports")
    errors += check_env(container.get("env") or [], f"{path}.env")
    mounts: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{i}]"
        if not mount.get("name"):
            errors.append(required(f"{where}.name"))
        elif mount["name"] not in volumes:
            errors.append(missing(f"{where}.name", mount["name"]))
        if not mount.get("mountPath"):
            errors.append(required(f"{where}.mountPath"))
        elif mount["mountPath"] in mounts:
            errors.append(wrong(f"{where}.mountPath", mount["mountPath"], "must be unique"))
        mounts.add(mount.get("mountPath", ""))
    pull = container.get("imagePullPolicy", "")
    if not pull:
        errors.append(required(f"{path}.imagePullPolicy"))
    elif pull not in POLICIES:
        errors.append(unsupported(f"{path}.imagePullPolicy", pull, POLICIES))
    errors += check_resources(container.get("resources") or {}, f"{path}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            errors += check_probe(container[probe], f"{path}.{probe}", probe)
    return errors


def check_ports(ports: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        where = f"{path}[{i}]"
        name = port.get("name")
        if name:
            faults = port_name_faults(name)
            errors += [wrong(f"{where}.name", name, f) for f in faults]
            if name in seen:
                errors.append(duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            errors.append(required(f"{where}.containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(
                wrong(f"{where}.containerPort", number, "must be between 1 and 65535, inclusive")
            )
        host = port.get("hostPort", 0)
        if host and not 1 <= host <= 65535:
            errors.append(
                wrong(f"{where}.hostPort", host, "must be between 1 and 65535, inclusive")
            )
        protocol = port.get("protocol", "")
        if not protocol:
            errors.append(required(f"{where}.protocol"))
        elif protocol not in PROTOCOLS:
            errors.append(unsupported(f"{where}.protocol", protocol, PROTOCOLS))
    return errors


def port_name_faults(name: str) -> list[str]:
    import re

    faults = []
    if len(name) > 15:
        faults.append(names.too_long(15))
    if not re.fullmatch(r"[-a-z0-9]+", name):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        faults.append("must contain at least one letter (a-z)")
    if "--" in name:
        faults.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        faults.append("must not begin or end with a hyphen")
    return faults


def check_env(env: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, entry in enumerate(env):
        where = f"{path}[{i}]"
        if not entry.get("name"):
            errors.append(required(f"{where}.name"))
        source = entry.get("valueFrom")
        if source is None:
            continue
        if not source:
            errors.append(
                wrong(
                    f"{where}.valueFrom",
                    "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, "
                    "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
                )
            )
        if entry.get("value"):
            errors.append(
                wrong(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
            )
        if len(source) > 1:
            errors.append(
                wrong(
                    f"{where}.valueFrom", "", "may not have more than one field specified at a time"
                )
            )
        for part in ("configMapKeyRef", "secretKeyRef"):
            if part in source:
                errors += [
                    required(f"{where}.valueFrom.{part}.{n}")
                    for n in ("name", "key")
                    if not source[part].get(n)
                ]
    return errors


def check_resources(resources: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, table in (("limits", limits), ("requests", requests)):
        for name, value in sorted(table.items()):
            where = f"{path}.{part}.{name}"
            errors += _resource_name(name, f"{path}.{part}")
            if quantity.value(value) < 0:
                errors.append(wrong(f"{path}.{part}[{name}]", value, NOT_NEGATIVE))
            if "/" in name and quantity.value(value) % 1:
                errors.append(wrong(where, value, "must be an integer"))
    for name, value in sorted(requests.items()):
        limit = limits.get(name)
        if limit is not None:
            if quantity.value(value) != quantity.value(limit) and whole(name):
                errors.append(
                    wrong(f"{path}.requests", value, f"must be equal to {name} limit of {limit}")
                )
            elif quantity.value(value) > quantity.value(limit):
                errors.append(
                    wrong(
                        f"{path}.requests",
                        value,
                        f"must be less than or equal to {name} limit of {limit}",
                    )
                )
        elif whole(name):
            errors.append(
                required(f"{path}.limits", "Limit must be set for non overcommitable resources")
            )
    return errors


def whole(name: str) -> bool:
    """May a resource not be overcommitted? Extended resources and huge pages may not."""
    return name.startswith("hugepages-") or ("/" in name and "kubernetes.io/" not in name)


def _resource_name(name: str, path: str) -> list[FieldError]:
    faults = names.qualified(name)
    if faults:
        return [wrong(path, name, f) for f in faults]
    if "/" not in name and name not in CONTAINER_STANDARD and not name.startswith("hugepages-"):
        return [wrong(path, name, "must be a standard resource for containers")]
    return []


HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def check_probe(probe: Object, path: str, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    found = [h for h in HANDLERS if h in probe]
    if not found:
        errors.append(required(path, "must specify a handler type"))
    errors += [denied(f"{path}.{e}", "may not specify more than 1 handler type") for e in found[1:]]
    for handler in found[:1]:
        errors += _handler(probe[handler] or {}, handler, f"{path}.{handler}")
    for name in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        errors += not_negative(probe.get(name), f"{path}.{name}")
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(wrong(f"{path}.terminationGracePeriodSeconds", grace, POSITIVE))
    if kind in {"livenessProbe", "startupProbe"} and probe.get("successThreshold", 1) not in {1}:
        errors.append(wrong(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def _handler(action: Object, kind: str, path: str) -> list[FieldError]:
    if kind == "exec":
        return [] if action.get("command") else [required(f"{path}.command")]
    errors: list[FieldError] = []
    if kind == "httpGet" and not action.get("path"):
        errors.append(required(f"{path}.path"))
    if kind in {"httpGet", "tcpSocket"}:
        port = action.get("port", 0)
        if isinstance(port, int) and not 1 <= port <= 65535:
            errors.append(wrong(f"{path}.port", port, "must be between 1 and 65535, inclusive"))
        elif isinstance(port, str):
            errors += [wrong(f"{path}.port", port, f) for f in port_name_faults(port)]
    if kind == "httpGet" and action.get("scheme") not in {"HTTP", "HTTPS"}:
        errors.append(unsupported(f"{path}.scheme", action.get("scheme", ""), ["HTTP", "HTTPS"]))
    return errors


def check_tolerations(tolerations: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(tolerations):
        where = f"{path}[{i}]"
        key, operator = item.get("key", ""), item.get("operator", "")
        if key:
            errors += [wrong(f"{where}.key", key, f) for f in names.qualified(key)]
        elif operator != "Exists":
            errors.append(
                wrong(
                    f"{where}.operator",
                    operator,
                    "operator must be Exists when `key` is empty, which means "
                    '"match all values and all keys"',
                )
            )
        if item.get("tolerationSeconds") is not None and item.get("effect") != "NoExecute":
            errors.append(
                wrong(
                    f"{where}.effect",
                    item.get("effect", ""),
                    "effect must be 'NoExecute' when `tolerationSeconds` is set",
                )
            )
        if operator in {"", "Equal"}:
            errors += [
                wrong(f"{where}.operator", item.get("value", ""), f)
                for f in names.label_value(item.get("value", ""))
            ]
        elif operator == "Exists":
            if item.get("value"):
                errors.append(
                    wrong(
                        f"{where}.operator",
                        {**item},
                        "value must be empty when `operator` is 'Exists'",
                    )
                )
        else:
            errors.append(unsupported(f"{where}.operator", operator, ["Equal", "Exists"]))
        if item.get("effect") and item["effect"] not in EFFECTS:
            errors.append(listed(f"{where}.effect", item["effect"], EFFECTS))
    return errors
