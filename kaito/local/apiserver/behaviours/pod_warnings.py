"""What a server says about pods and templates that it takes though they are odd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviours.podspec.annotations import (
    APP_ARMOR,
    SECCOMP_CONTAINER,
    SECCOMP_POD,
)
from kaito.local.apiserver.behaviours.podspec.placement import PREFERRED, REQUIRED
from kaito.local.apiserver.behaviours.podspec.security import containers_of
from kaito.local.apiserver.behaviours.values import address_warnings
from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.gotext import plain

Object = dict[str, Any]
NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": (
        "deprecated since v1.22; use Taints and Tolerations instead"
    ),
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
    "security.alpha.kubernetes.io/unsafe-sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
}
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
MATCHES_NOTHING = "a null labelSelector results in matching no pod"


def pod_warnings(pod: Object) -> list[str]:
    name = pod["metadata"].get("name", "")
    faults = names.label(name)
    found: list[str] = []
    if faults:
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising "
            f"behavior; a DNS label is recommended: [{' '.join(faults)}]"
        )
    spec = pod.get("spec") or {}
    return [*found, *_settled(pod, spec), *_all(pod["metadata"], spec, "")]


def _settled(pod: Object, spec: Object) -> Iterator[str]:
    """Annotations that a field was made of, or that no field can be made of."""
    annotations = pod["metadata"].get("annotations") or {}
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    for part in ("initContainers", "containers"):
        for container in spec.get(part) or ():
            name = container.get("name", "")
            key = APP_ARMOR + name
            if key in annotations and not _writes_profile(pod, part, name):
                profile = app_armor(annotations[key])
                if profile is None or profile != whole:
                    yield f"metadata.annotations[{key}]: {APP_ARMOR_SAYS}"


def _writes_profile(pod: Object, part: str, name: str) -> bool:
    """Did a writer set the field? What the server sets belongs to nobody."""
    path = ("f:spec", f"f:{part}", f'k:{{"name":"{name}"}}', "f:securityContext")
    for entry in pod["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        for step in path:
            fields = fields.get(step) or {}
        if "f:appArmorProfile" in fields:
            return True
    return False


def template_warnings(template: Object, path: str) -> list[str]:
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    return list(_all(meta, spec, f"{path}."))


def _all(meta: Object, spec: Object, at: str) -> Iterator[str]:
    """`at` ends with a dot where it is not empty."""
    path, annotations = f"{at}spec", meta.get("annotations") or {}
    yield from _labels(spec, path)
    for key, text in ANNOTATIONS.items():
        if key in annotations:
            yield f"{at}metadata.annotations[{key}]: {text}"
    for i, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"{path}.volumes[{i}]")
    for volume in spec.get("volumes") or ():
        yield from _overlaps(volume)
    yield from _repeated(spec, path)
    yield from _fractions(spec.get("overhead") or {}, f"{path}.overhead")
    yield from _profiles(annotations, spec, at)
    for container, where in containers_of(spec, path):
        resources = container.get("resources") or {}
        for part in ("limits", "requests"):
            yield from _fractions(resources.get(part) or {}, f"{where}.resources.{part}")
        yield from _variables(container.get("env") or [], f"{where}.env")
    yield from _ports(spec, path)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid "
            "and will be treated as 1"
        )
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    for i, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from address_warnings(server, f"{path}.dnsConfig.nameservers[{i}]")
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        yield from address_warnings(alias.get("ip", ""), f"{path}.hostAliases[{i}].ip")


def _labels(spec: Object, path: str) -> Iterator[str]:
    """Labels of nodes that have a new name, and spreading that counts nothing."""
    for key in spec.get("nodeSelector") or {}:
        if key in NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {NODE_LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    where = f"{path}.affinity.nodeAffinity"
    for i, term in enumerate((affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from _term(term, f"{where}.{REQUIRED}.nodeSelectorTerms[{i}]", values=False)
    for i, weighted in enumerate(affinity.get(PREFERRED) or ()):
        term = weighted.get("preference") or {}
        yield from _term(term, f"{where}.{PREFERRED}[{i}].preference", values=True)
    for i, item in enumerate(spec.get("topologySpreadConstraints") or ()):
        at, key = f"{path}.topologySpreadConstraints[{i}]", item.get("topologyKey", "")
        if key in NODE_LABELS:
            yield f"{at}.topologyKey: {key} is {NODE_LABELS[key]}"
        if "labelSelector" not in item:
            yield f"{at}.labelSelector: {MATCHES_NOTHING}"


def _term(term: Object, path: str, *, values: bool) -> Iterator[str]:
    for i, rule in enumerate(term.get("matchExpressions") or ()):
        where, key = f"{path}.matchExpressions[{i}]", rule.get("key", "")
        if key in NODE_LABELS:
            yield f"{where}.key: {key} is {NODE_LABELS[key]}"
        for j, value in enumerate((rule.get("values") or ()) if values else ()):
            for fault in names.label_value(value):
                yield f"{where}.values[{j}]: {value} is invalid, {fault}"


def _volume(volume: Object, path: str) -> Iterator[str]:
    for kind, text in VOLUMES.items():
        if kind in volume:
            yield f"{path}.{'storageOS' if kind == 'storageos' else kind}: {text}"
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
    resources = (template.get("spec") or {}).get("resources") or {}
    where = f"{path}.ephemeral.volumeClaimTemplate.spec.resources"
    for part in ("requests", "limits"):
        storage = (resources.get(part) or {}).get("storage", "0")
        if quantity.fractional(quantity.value(storage)):
            yield f"{where}.{part}[storage]: {_fractional(storage)}"


def _fractional(text: str) -> str:
    return f'fractional byte value "{text}" is invalid, must be an integer'


def _fractions(amounts: Object, path: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        if name in amounts and quantity.fractional(quantity.value(amounts[name])):
            yield f"{path}[{name}]: {_fractional(amounts[name])}"


def _repeated(spec: Object, path: str) -> Iterator[str]:
    for part, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for i, item in enumerate(spec.get(part) or ()):
            value = item.get(key, "")
            if value in seen:
                yield f"{path}.{part}[{i}].{key}: duplicate {key} {go_quote(value)}"
            seen.add(value)
    for i, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            yield f'{path}.imagePullSecrets[{i}].name: invalid empty name ""'


def _profiles(annotations: dict[str, str], spec: Object, at: str) -> Iterator[str]:
    """Annotations that fields have replaced."""
    says = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    pod = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and "seccompProfile" not in pod:
        yield f"{at}metadata.annotations[{SECCOMP_POD}]: {says}"
    for container, _ in containers_of(spec, ""):
        own, name = container.get("securityContext") or {}, container.get("name", "")
        key = SECCOMP_CONTAINER + name
        if key in annotations and "seccompProfile" not in own:
            yield f"{at}metadata.annotations[{key}]: {says}"
        key = APP_ARMOR + name
        if at and key in annotations and "appArmorProfile" not in own:
            profile = app_armor(annotations[key])
            if profile is None or profile != pod.get("appArmorProfile"):
                yield f"{at}metadata.annotations[{key}]: {APP_ARMOR_SAYS}"


APP_ARMOR_SAYS = 'deprecated since v1.30; use the "appArmorProfile" field instead'


def app_armor(annotation: str) -> Object | None:
    """The profile that an old annotation stands for."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    name = annotation.removeprefix("localhost/")
    if name and name != annotation:
        return {"type": "Localhost", "localhostProfile": name}
    return None


def _variables(env: list[Object], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, entry in enumerate(env):
        name, value = entry.get("name", ""), entry.get("value", "")
        own = f"$({name})"
        if name in seen and ("valueFrom" in entry or value == own or own not in value):
            yield (
                f"{path}[{i}]: hides previous definition of {go_quote(name)}, which may be "
                "dropped when using apply"
            )
        seen.add(name)


def _ports(spec: Object, path: str) -> Iterator[str]:
    """Ports of any containers that meet."""
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for container, where in containers_of(spec, path):
        for i, port in enumerate(container.get("ports") or ()):
            at, ip, host = f"{where}.ports[{i}]", port.get("hostIP", ""), port.get("hostPort", 0)
            if ip and not host:
                yield f"{at}: hostIP set without hostPort: {plain('ContainerPort', port)}"
            key = (port.get("containerPort", 0), port.get("protocol", ""))
            for other, theirs in known.get(key, ()):
                their_ip, their_host = theirs.get("hostIP", ""), theirs.get("hostPort", 0)
                if (ip, host) == (their_ip, their_host):
                    yield f"{at}: duplicate port definition with {other}"
                elif not host or not their_host:
                    yield f"{at}: overlapping port definition with {other}"
                elif host == their_host and bool(ip) != bool(their_ip):
                    yield f"{at}: dangerously ambiguous port definition with {other}"
            known.setdefault(key, []).append((at, port))
    named: dict[str, str] = {}
    for container, where in containers_of(spec, path):
        for i, port in enumerate(container.get("ports") or ()):
            name, at = port.get("name", ""), f"{where}.ports[{i}]"
            if not name:
                continue
            first = named.setdefault(name, at)
            if first != at:
                yield (
                    f"{at}: duplicate port name {go_quote(name)} with {first}, services and "
                    f"probes that select ports by name will use {first}"
                )


def _affinity(affinity: Object, path: str) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for i, term in enumerate(terms.get(REQUIRED) or ()):
            if "labelSelector" not in term:
                yield f"{path}.{kind}.{REQUIRED}[{i}].labelSelector: {MATCHES_NOTHING}"
        for i, weighted in enumerate(terms.get(PREFERRED) or ()):
            if "labelSelector" not in (weighted.get("podAffinityTerm") or {}):
                where = f"{path}.{kind}.{PREFERRED}[{i}].podAffinityTerm.labelSelector"
                yield f"{where}: {MATCHES_NOTHING}"


def _overlaps(volume: Object) -> Iterator[str]:
    """Files of one volume that would hide each other."""
    name = volume.get("name", "")
    for kind, shown, key in (
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("downwardAPI", "DownwardAPI", ""),
    ):
        source = volume.get(kind) or {}
        title = f"{shown} {go_quote(source.get(key, ''))}" if key else shown
        paths = [(item.get("path", ""), "") for item in source.get("items") or ()]
        for text in _collisions(paths):
            yield f'volume "{name}" ({title}): overlapping paths: {text}'
    paths = []
    for source in (volume.get("projected") or {}).get("sources") or ():
        if not source:
            yield f'volume "{name}" (Projected) has no sources provided'
        paths += _projected(source)
    for text in _collisions(paths):
        yield f'volume "{name}" (Projected): overlapping paths: {text}'


def _projected(source: Object) -> list[tuple[str, str]]:
    for kind, shown in (("configMap", "ConfigMap"), ("secret", "Secret")):
        given = source.get(kind) or {}
        if given.get("items"):
            title = f"{shown} {go_quote(given.get('name', ''))}"
            return [(item.get("path", ""), title) for item in given["items"]]
    items = (source.get("downwardAPI") or {}).get("items") or ()
    if items:
        return [(item.get("path", ""), "DownwardAPI") for item in items]
    if "serviceAccountToken" in source:
        return [(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    return []


def _collisions(paths: list[tuple[str, str]]) -> Iterator[str]:
    before: list[tuple[str, str]] = []
    for given, title in paths:
        path = given.rstrip("/")
        for other, whose in before:
            both = (f"{path}/", f"{other}/")
            if path and other and (both[0].startswith(both[1]) or both[1].startswith(both[0])):
                yield f"{_file(path, title)} with {_file(other, whose)}"
        before.append((path, title))


def _file(path: str, title: str) -> str:
    return f"{go_quote(path)} ({title})" if title else go_quote(path)
