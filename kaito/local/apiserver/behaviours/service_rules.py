"""What is wrong with a Service, what may not change in it, and what is worth a warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours import values
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    needs_choice,
    port,
    port_number,
)
from kaito.local.apiserver.fields import FieldError, Raw, denied, duplicate, required, wrong

Object = dict[str, Any]
TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
PROTOCOLS = ("SCTP", "TCP", "UDP")
SCOPES = ("Cluster", "Local")
OUTSIDE = {"NodePort", "LoadBalancer"}
FAMILIES = {4: "IPv4", 6: "IPv6"}
FAMILY_POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"]
DISTRIBUTIONS = ["PreferClose", "PreferSameZone", "PreferSameNode"]
LONGEST_AFFINITY = 86400  # seconds
HINTS, MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
FIXED = "may not change once set"


def headless(spec: Object) -> bool:
    return spec.get("clusterIPs") == ["None"]


def exposed(spec: Object) -> bool:
    """Can it be reached from outside the cluster?"""
    kind = spec.get("type")
    return kind in OUTSIDE or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def health_checked(spec: Object) -> bool:
    """Does it get a port at which balancers ask each node whether it has a pod?"""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate(service: Object, old: Object | None = None) -> list[FieldError]:
    spec = service.get("spec") or {}
    before = (old or {}).get("spec") or {}
    kind = spec.get("type", "")
    errors = [*_annotations(service, old), *_by_type(spec), *_ports(spec), *_affinity(spec)]
    errors += values.labels(spec.get("selector"), "spec.selector")
    errors += addresses(spec, before)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{i}]"
        errors += values.address(
            address, path, before.get("externalIPs") or ()
        ) or values.reachable(address, path)
    errors += needs_choice(kind, TYPES, "spec.type")
    errors += [*_balancer(spec, before), *_traffic(spec)]
    return errors


def _annotations(service: Object, old: Object | None) -> Iterator[FieldError]:
    notes = service["metadata"].get("annotations") or {}
    if HINTS in notes and notes.get(MODE, notes[HINTS]) != notes[HINTS]:
        yield wrong(
            f"metadata.annotations[{MODE}]",
            notes[MODE],
            f"must match annotations[{HINTS}] when both are specified",
        )
    spec = service.get("spec") or {}
    if RANGES in notes and not spec.get("loadBalancerSourceRanges"):
        path = f"metadata.annotations[{RANGES}]"
        if spec.get("type") != "LoadBalancer":
            yield denied(path, BALANCER_ONLY)
        before = (old or {"metadata": {}})["metadata"].get("annotations") or {}
        if notes[RANGES].strip() and before.get(RANGES) != notes[RANGES]:
            for part in notes[RANGES].split(","):
                yield from values.network(part.strip(), path)


def _by_type(spec: Object) -> Iterator[FieldError]:
    kind = spec.get("type", "")
    if not spec.get("ports") and not headless(spec) and kind != "ExternalName":
        yield required("spec.ports")
    if kind in OUTSIDE and headless(spec):
        yield wrong("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if name in spec:
                yield denied(f"spec.{name}", "may not be set for ExternalName services")
        target = spec.get("externalName", "").removesuffix(".")
        if target:
            yield from by(names.subdomain, target, "spec.externalName")
        else:
            yield required("spec.externalName")


def _ports(spec: Object) -> Iterator[FieldError]:
    ports = spec.get("ports") or []
    seen: set[object] = set()
    for i, entry in enumerate(ports):
        path = f"spec.ports[{i}]"
        name, number = entry.get("name", ""), entry.get("port", 0)
        protocol, chosen = entry.get("protocol", ""), entry.get("nodePort", 0)
        if name:
            yield from by(names.label, name, f"{path}.name")
            if name in seen:
                yield duplicate(f"{path}.name", name)
        elif len(ports) > 1:
            yield required(f"{path}.name")
        yield from port_number(number, f"{path}.port")
        yield from needs_choice(protocol, PROTOCOLS, f"{path}.protocol")
        yield from port(entry.get("targetPort") or 0, f"{path}.targetPort")
        if "appProtocol" in entry:
            yield from by(names.qualified, entry["appProtocol"], f"{path}.appProtocol")
        if chosen and spec.get("type") == "ClusterIP":
            yield denied(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'")
        if chosen and ("node", protocol, chosen) in seen:
            yield duplicate(f"{path}.nodePort", chosen)
        if (protocol, number) in seen:
            yield duplicate(path, Raw(_port_key(protocol, number)))
        seen |= {name, (protocol, number), ("node", protocol, chosen)}


def _port_key(protocol: str, number: int) -> str:
    return (
        f'{{"Name":"","Protocol":"{protocol}","AppProtocol":null,"Port":{number},'
        '"TargetPort":0,"NodePort":0}'
    )


def _affinity(spec: Object) -> Iterator[FieldError]:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    yield from needs_choice(affinity, ("ClientIP", "None"), "spec.sessionAffinity")
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        yield denied(path, "must not be set when session affinity is None")
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds", 0)
        if not 0 < seconds <= LONGEST_AFFINITY:
            yield wrong(
                f"{path}.clientIP.timeoutSeconds",
                seconds,
                f"must be greater than 0 and less than {LONGEST_AFFINITY}",
            )


def addresses(spec: Object, before: Object) -> list[FieldError]:
    """Faults of the cluster addresses and of the families that they belong to."""
    if spec.get("type") == "ExternalName":
        return []
    errors: list[FieldError] = []
    path, all_of_them = "spec.clusterIPs", spec.get("clusterIPs") or []
    if spec.get("clusterIP"):
        if not all_of_them:
            errors.append(required(path))
        elif all_of_them[0] != spec["clusterIP"]:
            errors.append(wrong(path, all_of_them, "first value must match `clusterIP`"))
    elif all_of_them:
        errors.append(wrong(path, all_of_them, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for i, family in enumerate(families):
        errors += chosen(family, ("IPv4", "IPv6"), f"spec.ipFamilies[{i}]")
        if family in families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    errors += chosen(spec.get("ipFamilyPolicy"), FAMILY_POLICIES, "spec.ipFamilyPolicy")
    faulty: list[FieldError] = []
    for i, text in enumerate(all_of_them):
        if i == 0 and text == "None":
            if len(all_of_them) > 1:
                faulty.append(wrong(path, all_of_them, "'None' must be the first and only value"))
        else:
            faulty += values.address(text, f"{path}[{i}]", before.get("clusterIPs") or ())
    if len(all_of_them) > 2:
        errors.append(wrong(path, all_of_them, "may only hold up to 2 values"))
    if faulty:
        return errors + faulty
    kinds = [family_of(text) for text in all_of_them]
    if len(all_of_them) > 1 and not {"IPv4", "IPv6"} <= set(kinds):
        errors.append(
            wrong(path, all_of_them, "may specify no more than one IP for each IP family")
        )
    if not headless(spec):
        errors += [
            wrong(
                f"{path}[{i}]",
                text,
                f"expected an {family} value as indicated by `ipFamilies[{i}]`",
            )
            for i, (text, family) in enumerate(zip(all_of_them, families, strict=False))
            if family in FAMILIES.values() and family_of(text) != family
        ]
    return errors


def family_of(text: str) -> str:
    found = values.parse_address(text)
    return FAMILIES[found.version] if found else "unknown"


def _balancer(spec: Object, before: Object) -> Iterator[FieldError]:
    balancer = spec.get("type") == "LoadBalancer"
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"
    if ranges and not balancer:
        yield denied(path, BALANCER_ONLY)
    known = {text.strip() for text in before.get("loadBalancerSourceRanges") or ()}
    for i, text in enumerate(ranges):
        yield from values.network(text.strip(), f"{path}[{i}]", known)
    if "allocateLoadBalancerNodePorts" in spec and not balancer:
        yield denied("spec.allocateLoadBalancerNodePorts", BALANCER_ONLY)
    yield from _class(spec)


def _class(spec: Object) -> list[FieldError]:
    path = "spec.loadBalancerClass"
    if "loadBalancerClass" not in spec:
        return []
    if spec.get("type") != "LoadBalancer":
        return [denied(path, BALANCER_ONLY)]
    return by(names.qualified, spec["loadBalancerClass"], path)


def _traffic(spec: Object) -> Iterator[FieldError]:
    outer, check = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    path = "spec.externalTrafficPolicy"
    if exposed(spec):
        yield from needs_choice(outer, SCOPES, path)
    elif outer:
        yield wrong(path, outer, "may only be set for externally-accessible services")
    path = "spec.healthCheckNodePort"
    if health_checked(spec):
        yield from port_number(check, path) if check else [required(path)]
    elif check:
        yield wrong(
            path,
            check,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )
    yield from chosen(spec.get("internalTrafficPolicy"), SCOPES, "spec.internalTrafficPolicy")
    yield from chosen(spec.get("trafficDistribution"), DISTRIBUTIONS, "spec.trafficDistribution")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new["spec"], old.get("spec") or {}
    errors: list[FieldError] = []
    if "ExternalName" not in {spec.get("type"), before.get("type")}:
        if not (headless(spec) and headless(before)):
            errors += _same_first(spec, before, "clusterIPs")
        if not headless(spec) and not headless(before):
            errors += _same_first(spec, before, "ipFamilies")
    if spec.get("type") == before.get("type") == "LoadBalancer":
        mine = spec.get("loadBalancerClass")
        if mine != before.get("loadBalancerClass"):
            errors.append(wrong("spec.loadBalancerClass", mine, FIXED))
    errors += _class(spec)  # looked at once more with everything else
    if health_checked(spec) and health_checked(before):
        mine = spec.get("healthCheckNodePort")
        if mine != before.get("healthCheckNodePort"):
            errors.append(denied("spec.healthCheckNodePort", "field is immutable"))
    return errors + validate(new, old)


def _same_first(spec: Object, before: Object, name: str) -> list[FieldError]:
    """The first of a list that only ever grows or shrinks at its end."""
    mine, was = spec.get(name) or [], before.get(name) or []
    if mine[:1] != was[:1] and mine and was:
        return [wrong(f"spec.{name}[0]", mine, FIXED)]
    return []


def validate_status(new: Object, old: Object) -> list[FieldError]:
    path = "status.loadBalancer.ingress"
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    before = ((old.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        return [denied(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    errors: list[FieldError] = []
    for i, point in enumerate(ingress):
        errors += _ingress(point, f"{path}[{i}]", [p["ip"] for p in before if "ip" in p])
    return errors


def _ingress(point: Object, path: str, known: list[str]) -> Iterator[FieldError]:
    ip, mode, host = point.get("ip", ""), point.get("ipMode"), point.get("hostname", "")
    if ip:
        yield from values.address(ip, f"{path}.ip", known)
        if mode is None:
            yield required(f"{path}.ipMode", "must be specified when `ip` is set")
        else:
            yield from chosen(mode, ("Proxy", "VIP"), f"{path}.ipMode")
    elif mode is not None:
        yield denied(f"{path}.ipMode", "may not be specified when `ip` is not set")
    if host:
        yield from by(names.subdomain, host, f"{path}.hostname")
        yield from values.not_an_address(host, f"{path}.hostname")


def warnings(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    kind, bare = spec.get("type"), spec.get("clusterIP") == "None"
    found: list[str] = []
    if HINTS in (service["metadata"].get("annotations") or {}):
        found.append(f"annotation {HINTS} is deprecated, please use {MODE} instead")
    if not bare:
        for i, text in enumerate(spec.get("clusterIPs") or ()):
            found += values.address_warnings(text, f"spec.clusterIPs[{i}]")
    elif kind == "ClusterIP":
        ignored = {
            "loadBalancerIP": spec.get("loadBalancerIP"),
            "externalIPs": spec.get("externalIPs"),
            "SessionAffinity": spec.get("sessionAffinity") != "None",
        }
        found += [
            f"spec.{n} is ignored for headless services" for n, used in ignored.items() if used
        ]
    outer = spec.get("externalIPs") or []
    for i, text in enumerate(outer):
        found += values.address_warnings(text, f"spec.externalIPs[{i}]")
    if outer and kind != "ExternalName" and not (bare and kind == "ClusterIP"):
        found.append(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        )
    found += values.address_warnings(spec.get("loadBalancerIP", ""), "spec.loadBalancerIP")
    for i, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += values.network_warnings(text, f"spec.loadBalancerSourceRanges[{i}]")
    if kind == "ExternalName" and outer:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def status_warnings(service: Object) -> list[str]:
    found: list[str] = []
    points = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    for i, point in enumerate(points):
        found += values.address_warnings(point.get("ip", ""), f"status.loadBalancer.ingress[{i}]")
    return found
