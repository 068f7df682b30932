"""Services: defaults by type, addresses and node ports, what may change."""

from __future__ import annotations

import zlib
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_rules import PROTOCOLS, port_name_faults
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
OUTSIDE = {"NodePort", "LoadBalancer"}
FIRST_PORT, PORTS = 30000, 2768


def default(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10800)
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if kind in OUTSIDE or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in {"ClusterIP", *OUTSIDE}:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def address(uid: str) -> str:
    """A cluster address in 10.0.0.0/16 that follows from a service's identity."""
    number = zlib.crc32(uid.encode()) % 65000 + 256
    return f"10.0.{number >> 8}.{number & 255}"


def before_create(service: Object) -> None:
    spec = service["spec"]
    meta = service["metadata"]
    if spec.get("type") == "ExternalName":
        return
    allocate(service, f"{meta.get('namespace')}/{meta.get('name')}")


def allocate(service: Object, seed: str) -> None:
    """Addresses, families and node ports that the user did not choose."""
    spec = service["spec"]
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    if not spec.get("clusterIP"):
        spec["clusterIP"] = (spec.get("clusterIPs") or [address(seed)])[0]
    spec["clusterIPs"] = spec.get("clusterIPs") or [spec["clusterIP"]]
    if spec["type"] not in OUTSIDE:
        return
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        return
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            key = f"{seed}/{port.get('port')}/{port.get('protocol')}"
            port["nodePort"] = FIRST_PORT + zlib.crc32(key.encode()) % PORTS


def before_update(new: Object, old: Object) -> None:
    spec, before = new["spec"], old.get("spec") or {}
    if spec["type"] == "ExternalName":
        if before.get("type") != "ExternalName":
            for name in (
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "internalTrafficPolicy",
            ):
                if spec.get(name) == before.get(name):
                    spec.pop(name, None)
        return
    if not spec.get("clusterIP") and not spec.get("clusterIPs"):
        for name in ("clusterIP", "clusterIPs"):
            if name in before:
                spec[name] = before[name]
    elif (
        spec.get("clusterIP")
        and spec.get("clusterIP") != before.get("clusterIP")
        and spec.get("clusterIPs") == before.get("clusterIPs")
    ):
        spec["clusterIPs"] = [spec["clusterIP"]]
    for name in ("ipFamilies", "ipFamilyPolicy"):
        if name not in spec and name in before:
            spec[name] = before[name]
    taken = {
        (p.get("port"), p.get("protocol")): p.get("nodePort") for p in before.get("ports") or ()
    }
    for port in spec.get("ports") or ():
        if spec["type"] in OUTSIDE:
            known = taken.get((port.get("port"), port.get("protocol")))
            if known and not port.get("nodePort"):
                port["nodePort"] = known
        elif before.get("type") in OUTSIDE and port.get("nodePort") == taken.get(
            (port.get("port"), port.get("protocol"))
        ):
            port.pop("nodePort", None)
    if spec["type"] not in OUTSIDE and before.get("type") in OUTSIDE:
        for name in (
            "externalTrafficPolicy",
            "allocateLoadBalancerNodePorts",
            "healthCheckNodePort",
        ):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
    allocate(new, f"{new['metadata'].get('namespace')}/{new['metadata']['name']}")


def validate(service: Object) -> list[FieldError]:
    spec = service.get("spec") or {}
    errors: list[FieldError] = []
    kind = spec.get("type", "")
    ports = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if kind == "ExternalName":
        target = spec.get("externalName", "")
        if target:
            faults = names.subdomain(target.removesuffix("."))
            errors += [wrong("spec.externalName", target, f) for f in faults]
        else:
            errors.append(required("spec.externalName"))
        if spec.get("clusterIP"):
            errors.append(denied("spec.clusterIPs", "may not be set when `type` is 'ExternalName'"))
    elif kind == "LoadBalancer" and headless:
        errors.append(
            wrong(
                "spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"
            )
        )
    elif kind == "NodePort" and headless:
        errors.append(
            wrong("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")
        )
    seen: set[str] = set()
    pairs: set[tuple[Any, ...]] = set()
    for i, port in enumerate(ports):
        errors += _port(port, f"spec.ports[{i}]", len(ports) > 1, seen)
        pair = (port.get("protocol"), port.get("port"))
        if pair in pairs:
            errors.append(duplicate(f"spec.ports[{i}]", dict(port)))
        pairs.add(pair)
    for key, value in sorted((spec.get("selector") or {}).items()):
        errors += [wrong("spec.selector", key, f) for f in names.qualified(key)]
        errors += [wrong("spec.selector", value, f) for f in names.label_value(value)]
    affinity = spec.get("sessionAffinity", "")
    if not affinity:
        errors.append(required("spec.sessionAffinity"))
    elif affinity not in {"ClientIP", "None"}:
        errors.append(unsupported("spec.sessionAffinity", affinity, ["ClientIP", "None"]))
    if not kind:
        errors.append(required("spec.type"))
    elif kind not in TYPES:
        errors.append(unsupported("spec.type", kind, TYPES))
    if kind == "ClusterIP":
        errors += [
            denied(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
            for i, p in enumerate(ports)
            if p.get("nodePort")
        ]
    return errors


def _port(port: Object, path: str, named: bool, seen: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    name = port.get("name", "")
    if named and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += [wrong(f"{path}.name", name, f) for f in names.label(name)]
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    number = port.get("port", 0)
    if not 1 <= number <= 65535:
        errors.append(wrong(f"{path}.port", number, "must be between 1 and 65535, inclusive"))
    protocol = port.get("protocol", "")
    if not protocol:
        errors.append(required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        errors.append(unsupported(f"{path}.protocol", protocol, PROTOCOLS))
    goal = port.get("targetPort")
    if isinstance(goal, int) and not 1 <= goal <= 65535:
        errors.append(wrong(f"{path}.targetPort", goal, "must be between 1 and 65535, inclusive"))
    elif isinstance(goal, str):
        errors += [wrong(f"{path}.targetPort", goal, f) for f in port_name_faults(goal)]
    chosen = port.get("nodePort")
    if chosen and not FIRST_PORT <= chosen < FIRST_PORT + PORTS:
        errors.append(
            wrong(
                f"{path}.nodePort",
                chosen,
                "provided port is not in the valid range. The range of valid ports is "
                f"{FIRST_PORT}-{FIRST_PORT + PORTS - 1}",
            )
        )
    return errors


def validate_update(new: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    spec, before = new["spec"], old.get("spec") or {}
    if (
        before.get("type") != "ExternalName"
        and spec.get("type") != "ExternalName"
        and before.get("clusterIP")
        and spec.get("clusterIP") != before["clusterIP"]
    ):
        errors.append(
            wrong("spec.clusterIPs[0]", spec.get("clusterIPs"), "may not change once set")
        )
    return errors + validate(new)


def selectable(service: Object) -> dict[str, str]:
    spec = service.get("spec") or {}
    return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}


SERVICES = Behaviour(
    default=default,
    before_create=before_create,
    before_update=before_update,
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectors=frozenset({"spec.clusterIP", "spec.type"}),
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    name_rule="short",
)
