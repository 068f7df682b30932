"""Services: defaults by type, and what a change of type takes with it.

Addresses and node ports are handed out by `service_addresses`, before any of this is checked.
"""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.service_rules import (
    OUTSIDE,
    exposed,
    health_checked,
    status_warnings,
    validate,
    validate_status,
    validate_update,
    warnings,
)

Object = dict[str, Any]


def default(service: Object) -> None:
    spec = service.setdefault("spec", {})
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10800)
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if exposed(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in {"ClusterIP", *OUTSIDE}:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for point in _balancer_status(service).get("ingress") or ():
            if point.get("ip"):
                point.setdefault("ipMode", "VIP")


def _balancer_status(service: Object) -> Object:
    found: Object = (service.get("status") or {}).get("loadBalancer") or {}
    return found


def before_create(service: Object) -> None:
    """A name elsewhere has no traffic of its own."""
    if service["spec"].get("type") == "ExternalName":
        service["spec"].pop("internalTrafficPolicy", None)


def before_update(new: Object, old: Object) -> None:
    """Drop what the new type has no use for, unless it was changed by the same write."""
    before_create(new)
    spec, before = new["spec"], old.get("spec") or {}
    kind, was = spec.get("type"), before.get("type")
    if kind == "ExternalName" != was:
        if all(spec.get(n) == before.get(n) for n in ("clusterIP", "clusterIPs")):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        _drop_same(spec, before, "ipFamilies", "ipFamilyPolicy")
    if was in OUTSIDE and kind not in OUTSIDE and _node_ports(spec) <= _node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if health_checked(before) and not health_checked(spec):
        _drop_same(spec, before, "healthCheckNodePort")
    if kind != "LoadBalancer":
        if was == "LoadBalancer":
            _drop_same(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}
    if exposed(before) and not exposed(spec):
        _drop_same(spec, before, "externalTrafficPolicy")


def _drop_same(spec: Object, before: Object, *names: str) -> None:
    for name in names:
        if name in spec and spec[name] == before.get(name):
            del spec[name]


def _node_ports(spec: Object) -> set[int]:
    return {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}


def selectable(service: Object) -> dict[str, str]:
    spec = service.get("spec") or {}
    return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}


SERVICES = Behaviour(
    default=default,
    before_create=before_create,
    before_update=before_update,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=warnings,
    status_warnings=status_warnings,
    selectable=selectable,
    selectors=frozenset({"spec.clusterIP", "spec.type"}),
    has_status=True,
    create_by_update=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    name_rule="label",
)
