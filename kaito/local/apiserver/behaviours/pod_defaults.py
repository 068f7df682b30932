"""What the server fills into pods and pod templates, and the fields that it drops from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviours.podspec.resources import HUGE, overcommitted
from kaito.local.apiserver.behaviours.podspec.totals import asked, supported

Object = dict[str, Any]
DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:{DOMAIN}(?:\.{DOMAIN})*(?::[0-9]+)?/)?{PART}(?:/{PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
    r":[0-9a-fA-F]{32,})?",
    re.ASCII,
)
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
MODE = 420  # 0644
FILES = ("secret", "configMap", "downwardAPI", "projected")
DISABLED_PROJECTIONS = ("clusterTrustBundle", "podCertificate")
PARTS = ("initContainers", "containers", "ephemeralContainers")


def pull_policy(image: str) -> str:
    """Always for `latest` and untagged images, IfNotPresent otherwise and for no image at all."""
    found = IMAGE.fullmatch(image)
    if found is None:
        return "IfNotPresent"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def default_probe(probe: Object) -> None:
    for name, value in PROBE.items():
        probe.setdefault(name, value)
    _default_http(probe)
    if "grpc" in probe and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _default_http(holder: Object) -> None:
    action = holder.get("httpGet")
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_field(holder: Object) -> None:
    if "fieldRef" in holder:
        holder["fieldRef"].setdefault("apiVersion", "v1")


def _round(holder: Object, part: str) -> None:
    """Amounts are kept to a thousandth."""
    amounts = holder.get(part)
    if amounts:
        holder[part] = {name: quantity.rounded(text) for name, text in amounts.items()}


def default_container(container: Object) -> None:
    resources = container.get("resources")
    if resources:
        _round(resources, "limits")
        _round(resources, "requests")
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for env in container.get("env") or ():
        source = env.get("valueFrom")
        if source:
            _default_field(source)
            if "fileKeyRef" in source:
                source["fileKeyRef"].setdefault("optional", False)
    for name in PROBES:
        if name in container:
            default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook)


def default_volume(volume: Object) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}
    for name in FILES:
        if name in volume:
            volume[name].setdefault("defaultMode", MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "image" in volume:
        source = volume["image"]
        source.setdefault("pullPolicy", pull_policy(source.get("reference", "")))
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field(item)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _default_field(item)
    for kind, defaults in DISKS.items():
        if kind in volume:
            for name, value in defaults.items():
                volume[kind].setdefault(name, value)
    if "ephemeral" in volume:
        spec = (volume["ephemeral"].get("volumeClaimTemplate") or {}).get("spec")
        if spec is not None:
            spec.setdefault("volumeMode", "Filesystem")
            for part in ("limits", "requests"):
                _round(spec.get("resources") or {}, part)


DISKS: dict[str, Object] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def containers(spec: Object) -> Iterator[Object]:
    for part in PARTS:
        yield from spec.get(part) or ()


def default_spec(spec: Object) -> None:
    """Defaults of a pod spec wherever it stands."""
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in containers(spec):
        default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    _round(spec, "overhead")
    for part in ("limits", "requests"):
        _round(spec.get("resources") or {}, part)


def default_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    default_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    if (spec["terminationGracePeriodSeconds"] or 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1  # what old clients meant by it
    for part in ("initContainers", "containers"):
        for container in spec.get(part) or ():
            resources = container.get("resources") or {}
            if resources.get("limits"):
                requests = resources.setdefault("requests", {})
                for name, value in resources["limits"].items():
                    requests.setdefault(name, value)
        if spec.get("hostNetwork"):
            default_host_ports(spec.get(part) or [])
    if spec.get("resources"):
        default_totals(spec)
    default_addresses(pod.get("status") or {})


def default_host_ports(containers: list[Object]) -> None:
    """On the host's network a port of a container is a port of the host."""
    for container in containers:
        for port in container.get("ports") or ():
            port.setdefault("hostPort", port.get("containerPort", 0))


def default_totals(spec: Object) -> None:
    """What a pod as a whole asks for follows from its limits and its containers."""
    own = spec["resources"]
    requests = own.get("requests") or {}
    if requests or own.get("limits"):
        limits = dict(own.get("limits") or {})
        for name, text in asked(spec, "limits").items():
            if name.startswith(HUGE) and name not in requests:
                limits.setdefault(name, text)
        if limits:
            own["limits"] = limits
    if own.get("limits"):
        requests = dict(requests)
        for name, text in asked(spec, "requests").items():
            if supported(name) and overcommitted(name):
                requests.setdefault(name, text)
        for name, text in own["limits"].items():
            if supported(name):
                requests.setdefault(name, text)
        if requests:
            own["requests"] = requests


def default_addresses(status: Object) -> None:
    """One address and the list of all agree; the single one is what old clients know."""
    single, several = status.get("podIP"), status.get("podIPs") or []
    if single and (not several or several[0].get("ip") != single):
        status["podIPs"] = [{"ip": single}]
    elif several and not single:
        status["podIP"] = several[0].get("ip", "")


def default_template(template: Object) -> None:
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def drop_disabled(spec: Object) -> None:
    """Take out what belongs to features that a server of this version has switched off."""
    spec.pop("schedulingGroup", None)
    for container in containers(spec):
        lifecycle = container.get("lifecycle")
        if lifecycle and lifecycle.pop("stopSignal", None) and not lifecycle:
            del container["lifecycle"]
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            for name in DISABLED_PROJECTIONS:
                source.pop(name, None)
