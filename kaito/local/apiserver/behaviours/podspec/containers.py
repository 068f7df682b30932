"""Containers of a pod: regular ones, those that run before, and those added for debugging."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec import security
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    missing_parts,
    needed,
    needs_choice,
    port_name,
    port_number,
)
from kaito.local.apiserver.behaviours.podspec.env import check_env, check_env_from
from kaito.local.apiserver.behaviours.podspec.handlers import (
    PROBES,
    check_lifecycle,
    check_probe,
)
from kaito.local.apiserver.behaviours.podspec.resources import check_resources
from kaito.local.apiserver.behaviours.podspec.volumes import check_devices, check_mounts
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    missing,
    required,
    too_many,
    wrong,
)

Object = dict[str, Any]
PULLS = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGES = ("File", "FallbackToLogsOnError")
RESTARTS = ("Always", "Never", "OnFailure")
ACTIONS = ("Restart", "RestartAllContainers")
RULES, CODES = 20, 255  # most rules of a container, and exit codes of a rule
NOT_EPHEMERAL = (
    "ports",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    *PROBES,
    "lifecycle",
)


@dataclass(frozen=True, slots=True)
class Pod:
    """What the containers of one pod share."""

    volumes: dict[str, Object]
    claims: Collection[str]
    grace: int | None
    restart: str
    host_users: bool


def check_containers(spec: Object, path: str, pod: Pod) -> list[FieldError]:
    containers = spec.get("containers") or []
    regular, names_ = {c.get("name", "") for c in containers}, set[str]()
    errors: list[FieldError] = []
    if not containers:
        errors.append(required(f"{path}.containers"))
    for i, container in enumerate(containers):
        where = f"{path}.containers[{i}]"
        errors += _common(container, where, pod)
        errors += _unique(container, where, names_)
        errors += _running(container, where, pod) + _restart(container, where)
    errors += _host_ports(containers, f"{path}.containers")
    for i, container in enumerate(spec.get("initContainers") or ()):
        where = f"{path}.initContainers[{i}]"
        errors += _common(container, where, pod)
        errors += _restart(container, where)
        if container.get("name"):
            errors += _unique(container, where, regular)
        errors += _host_ports([container], f"{path}.initContainers")
        errors += _before(container, where, pod)
    return errors + _debugging(spec, path, pod)


def _unique(container: Object, path: str, seen: set[str]) -> list[FieldError]:
    name = container.get("name", "")
    if name in seen:
        return [duplicate(f"{path}.name", name)]
    seen.add(name)
    return []


def _common(container: Object, path: str, pod: Pod) -> list[FieldError]:
    """What holds for every container."""
    errors = needed(names.label, container.get("name", ""), f"{path}.name")
    errors += missing_parts(container, ("image",), path)
    message = container.get("terminationMessagePolicy", "")
    errors += needs_choice(message, MESSAGES, f"{path}.terminationMessagePolicy")
    errors += _ports(container.get("ports") or [], f"{path}.ports")
    errors += check_env(container.get("env") or [], f"{path}.env")
    errors += check_env_from(container.get("envFrom") or [], f"{path}.envFrom")
    errors += check_mounts(container, path, pod.volumes)
    errors += check_devices(container, path, pod.volumes)
    pull = container.get("imagePullPolicy", "")
    errors += needs_choice(pull, PULLS, f"{path}.imagePullPolicy")
    resources = container.get("resources") or {}
    if resources:
        errors += check_resources(resources, f"{path}.resources", pod.claims)
    if container.get("resizePolicy"):
        errors += _resize(container["resizePolicy"], f"{path}.resizePolicy", pod.restart)
    context = container.get("securityContext")
    if context:
        where = f"{path}.securityContext"
        errors += security.check_container(context, where, host_users=pod.host_users)
    return errors


def _ports(ports: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        where, name, number = f"{path}[{i}]", port.get("name", ""), port.get("containerPort", 0)
        faults = by(port_name, name, f"{where}.name") if name else []
        if name and not faults:
            if name in seen:
                faults.append(duplicate(f"{where}.name", name))
            seen.add(name)
        errors += faults
        at = f"{where}.containerPort"
        errors += port_number(number, at) if number else [required(at)]
        if port.get("hostPort"):
            errors += port_number(port["hostPort"], f"{where}.hostPort")
        errors += needs_choice(port.get("protocol", ""), PROTOCOLS, f"{where}.protocol")
    return errors


def _host_ports(containers: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in seen:
                errors.append(duplicate(f"{path}[{i}].ports[{j}].hostPort", key))
            seen.add(key)
    return errors


def _resize(policies: list[Object], path: str, restart: str) -> list[FieldError]:
    """Faults name the list and not the entry, as a server's do."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, entry in enumerate(policies):
        name, policy = entry.get("resourceName", ""), entry.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
        errors += needs_choice(name, ("cpu", "memory"), path)
        errors += needs_choice(policy, ("NotRequired", "RestartContainer"), path)
        if restart == "Never" and policy != "NotRequired":
            says = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(wrong(path, policy, says))
    return errors


def _running(container: Object, path: str, pod: Pod) -> list[FieldError]:
    """Hooks and probes, which make sense only where a container stays."""
    errors: list[FieldError] = []
    if "lifecycle" in container:
        errors += check_lifecycle(container["lifecycle"], f"{path}.lifecycle", pod.grace)
    for probe in PROBES:
        if probe in container:
            errors += check_probe(container[probe], f"{path}.{probe}", probe, pod.grace)
    return errors


def _restart(container: Object, path: str) -> list[FieldError]:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    errors = chosen(policy, RESTARTS, f"{path}.restartPolicy")
    if policy is None and rules:
        says = "must specify restartPolicy when restart rules are used"
        errors.append(required(f"{path}.restartPolicy", says))
    where = f"{path}.restartPolicyRules"
    if len(rules) > RULES:
        errors.append(too_many(where, len(rules), RULES))
    for i, rule in enumerate(rules):
        errors += chosen(rule.get("action", ""), ACTIONS, f"{where}[{i}].action")
        codes, at = rule.get("exitCodes"), f"{where}[{i}].exitCodes"
        if codes is None:
            errors.append(required(at, "must be specified"))
            continue
        errors += chosen(codes.get("operator", ""), ("In", "NotIn"), f"{at}.operator")
        values = codes.get("values") or []
        if len(values) > CODES:
            errors.append(too_many(f"{at}.values", len(values), CODES))
    return errors


def _before(container: Object, path: str, pod: Pod) -> list[FieldError]:
    """Init containers; only those that keep running have hooks and probes."""
    if container.get("restartPolicy") == "Always":
        return _running(container, path, pod)
    says = "may not be set for init containers without restartPolicy=Always"
    errors = [denied(f"{path}.{p}", says) for p in ("lifecycle", *PROBES) if p in container]
    for i, entry in enumerate(container.get("resizePolicy") or ()):
        if entry.get("restartPolicy") == "RestartContainer":
            where = f"{path}.resizePolicy[{i}].restartPolicy"
            says = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            errors.append(wrong(where, "RestartContainer", says))
    return errors


def _debugging(spec: Object, path: str, pod: Pod) -> list[FieldError]:
    """Ephemeral containers."""
    others = {
        c.get("name", "") for part in ("containers", "initContainers") for c in spec.get(part) or ()
    }
    seen, says = set(others), "cannot be set for an Ephemeral Container"
    errors: list[FieldError] = []
    for i, container in enumerate(spec.get("ephemeralContainers") or ()):
        where = f"{path}.ephemeralContainers[{i}]"
        errors += _common(container, where, pod) + padded_image(container, where)
        errors += _unique(container, where, seen)
        target = container.get("targetContainerName", "")
        if target and target not in others:
            errors.append(missing(f"{where}.targetContainerName", target))
        errors += [denied(f"{where}.{name}", says) for name in NOT_EPHEMERAL if name in container]
        if container.get("resources"):
            errors.append(denied(f"{where}.resources", says))
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for part in ("subPath", "subPathExpr"):
                if mount.get(part):
                    errors.append(denied(f"{where}.volumeMounts[{j}].{part}", says))
    return errors


def padded_image(container: Object, path: str) -> list[FieldError]:
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [wrong(f"{path}.image", image, "must not have leading or trailing whitespace")]
