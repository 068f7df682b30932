"""What is wrong with a pod, with a template of pods, or with the spec that both have."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec import network, placement, resources, security
from kaito.local.apiserver.behaviours.podspec.annotations import (
    check_agreement,
    check_annotations,
)
from kaito.local.apiserver.behaviours.podspec.checks import (
    between,
    by,
    needs_choice,
    prefixed,
)
from kaito.local.apiserver.behaviours.podspec.containers import (
    Pod,
    check_containers,
    padded_image,
)
from kaito.local.apiserver.behaviours.podspec.totals import check_totals
from kaito.local.apiserver.behaviours.podspec.volumes import check_volumes
from kaito.local.apiserver.behaviours.values import labels
from kaito.local.apiserver.fields import FieldError, denied, missing, required, wrong
from kaito.local.apiserver.jsontext import encode, parse_json
from kaito.local.apiserver.meta import annotation_errors

Object = dict[str, Any]
RESTARTS = ("Always", "OnFailure", "Never")
DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTIONS = ("PreemptLowerPriority", "Never")


def check_pod(pod: Object) -> list[FieldError]:
    """Faults of a pod beyond its metadata."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    errors = check_annotations(meta, spec, "metadata.annotations")
    errors += check_spec(spec, "spec", pod=meta.get("name", ""))
    for i, volume in enumerate(spec.get("volumes") or ()):
        where = f"spec.volumes[{i}]"
        if not spec.get("serviceAccountName"):
            says = "must not be specified when serviceAccountName is not set"
            errors += [
                denied(f"{where}.projected.sources[{j}].serviceAccountToken", says)
                for j, source in enumerate((volume.get("projected") or {}).get("sources") or ())
                if "serviceAccountToken" in source
            ]
        if "image" in volume and not volume["image"].get("reference"):
            errors.append(required(f"{where}.image.reference"))
    for part in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(part) or ()):
            errors += padded_image(container, f"spec.{part}[{i}]")
    return errors


def check_new_pod(pod: Object) -> list[FieldError]:
    spec = pod.get("spec") or {}
    errors = check_pod(pod)
    if spec.get("ephemeralContainers"):
        errors.append(denied("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        says = "cannot be set until all schedulingGates have been cleared"
        errors.append(denied("spec.nodeName", says))
    return errors + check_agreement(pod["metadata"], spec, "spec")


def check_template(template: Object, path: str) -> list[FieldError]:
    """Faults of a template of pods, whatever it is part of."""
    return list(_template_faults(encode(template), path))


@lru_cache(64)  # most writes of a workload leave its template as it is
def _template_faults(text: bytes, path: str) -> tuple[FieldError, ...]:
    template = parse_json(text)
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = labels(meta.get("labels"), f"{path}.labels")
    errors += annotation_errors(meta.get("annotations"), f"{path}.annotations")
    errors += check_annotations(meta, spec, f"{path}.annotations")
    errors += check_spec(spec, f"{path}.spec") + check_agreement(meta, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        says = "ephemeral containers not allowed in pod template"
        errors.append(denied(f"{path}.spec.ephemeralContainers", says))
    return tuple(errors)


def check_spec(spec: Object, path: str, *, pod: str | None = None) -> list[FieldError]:
    """Faults of a pod spec; `pod` is the name where it is a real pod's."""
    grace = spec.get("terminationGracePeriodSeconds")
    errors = [required(f"{path}.terminationGracePeriodSeconds")] if grace is None else []
    volumes, faults = check_volumes(spec.get("volumes") or [], f"{path}.volumes", pod or "")
    claims = spec.get("resourceClaims") or []
    errors += faults + resources.check_pod_claims(claims, f"{path}.resourceClaims")
    shared = Pod(
        volumes,
        {c["name"] for c in claims if c.get("name")},
        grace,
        spec.get("restartPolicy", ""),
        spec.get("hostUsers") is not False,
    )
    errors += check_containers(spec, path, shared)
    if spec.get("resources") is not None:
        errors += check_totals(spec, f"{path}.resources")
    errors += network.check_host_ports(spec, path, pod=pod is not None)
    errors += needs_choice(spec.get("restartPolicy", ""), RESTARTS, f"{path}.restartPolicy")
    errors += needs_choice(spec.get("dnsPolicy", ""), DNS, f"{path}.dnsPolicy")
    errors += _placement(spec, path)
    errors += security.check_pod(spec, path)
    dns = spec.get("dnsConfig")
    errors += network.check_dns(dns, spec.get("dnsPolicy", ""), f"{path}.dnsConfig")
    errors += security.check_host_process(spec, path)
    errors += security.check_host_users(spec, path)
    errors += network.check_hostname(spec, path)
    errors += network.check_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases")
    errors += _names(spec, path)
    if spec.get("activeDeadlineSeconds") is not None:
        where = f"{path}.activeDeadlineSeconds"
        errors += between(spec["activeDeadlineSeconds"], 1, 2**31 - 1, where)
    if spec.get("overhead"):
        limits = {"limits": spec["overhead"]}
        errors += prefixed(resources.check_resources(limits, "", ()), f"{path}.overhead")
    errors += security.check_os(spec, path)
    return errors + _file_variables(spec, path)


def _placement(spec: Object, path: str) -> list[FieldError]:
    errors = labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    if spec.get("affinity"):
        errors += placement.check_affinity(spec["affinity"], f"{path}.affinity")
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        where = f"{path}.readinessGates[{i}].conditionType"
        errors += by(names.qualified, gate.get("conditionType", ""), where)
    gates = spec.get("schedulingGates") or []
    errors += placement.check_gates(gates, f"{path}.schedulingGates")
    spread = spec.get("topologySpreadConstraints") or []
    errors += placement.check_spread(spread, f"{path}.topologySpreadConstraints")
    tolerations = spec.get("tolerations") or []
    return errors + placement.check_tolerations(tolerations, f"{path}.tolerations")


def _names(spec: Object, path: str) -> list[FieldError]:
    """Names of other objects."""
    errors: list[FieldError] = []
    for part in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(part):
            errors += by(names.subdomain, spec[part], f"{path}.{part}")
    if spec.get("runtimeClassName") is not None:
        where = f"{path}.runtimeClassName"
        errors += by(names.subdomain, spec["runtimeClassName"], where)
    if spec.get("preemptionPolicy") is not None:
        where = f"{path}.preemptionPolicy"
        errors += needs_choice(spec["preemptionPolicy"], PREEMPTIONS, where)
    return errors


def _file_variables(spec: Object, path: str) -> list[FieldError]:
    """Variables read from files come from volumes that containers can write."""
    volumes = {v.get("name", ""): v for v in spec.get("volumes") or ()}
    errors: list[FieldError] = []
    for container, where in security.containers_of(spec, path):
        for i, entry in enumerate(container.get("env") or ()):
            given = (entry.get("valueFrom") or {}).get("fileKeyRef")
            if given is None:
                continue
            name, at = given.get("volumeName", ""), f"{where}.env[{i}].valueFrom.fileKeyRef"
            if name not in volumes:
                errors.append(missing(f"{at}.volumeName", name))
            elif "emptyDir" not in volumes[name]:
                says = "referenced volume must be of type emptyDir"
                errors.append(wrong(f"{at}.volumeName", name, says))
    return errors
