"""The cells of what names and connects pods."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.cells.pieces import NONE, UNSET, Object, made, name, selector


def service(obj: Object, now: float) -> list[Any]:
    spec = obj["spec"]
    kind = spec.get("type", "ClusterIP")
    ports = ",".join(
        f"{p['port']}:{p['nodePort']}/{p['protocol']}"
        if p.get("nodePort")
        else f"{p['port']}/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports") or ()
    )
    return [
        name(obj),
        kind,
        spec.get("clusterIP") or NONE,
        _outside(obj, kind),
        ports or NONE,
        made(obj, now),
        selector(spec.get("selector")),
    ]


def _outside(obj: Object, kind: str) -> str:
    spec = obj["spec"]
    fixed = ",".join(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return spec.get("externalName") or NONE
    if kind == "LoadBalancer":
        found = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        places = {i.get("ip") or i.get("hostname", "") for i in found}
        shown = short(",".join(sorted(places - {""})))
        return ",".join(s for s in (shown, fixed) if s) or "<pending>"
    return fixed or NONE


def ingress(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [r["host"] for r in spec.get("rules") or () if r.get("host")]
    found = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    addresses = {i.get("ip") or i.get("hostname", "") for i in found}
    return [
        name(obj),
        spec.get("ingressClassName") or NONE,
        few(hosts) if hosts else "*",
        short(",".join(sorted(addresses - {""}))),
        "80, 443" if spec.get("tls") else "80",
        made(obj, now),
    ]


def endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        f"{a.get('ip')}:{p.get('port')}"
        for s in obj.get("subsets") or ()
        for p in s.get("ports") or ()
        for a in s.get("addresses") or ()
    ]
    return [name(obj), few(found) if found else NONE, made(obj, now)]


def network_policy(obj: Object, now: float) -> list[Any]:
    return [name(obj), selector((obj.get("spec") or {}).get("podSelector")), made(obj, now)]


def ingress_class(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    annotations = obj["metadata"].get("annotations") or {}
    default = annotations.get("ingressclass.kubernetes.io/is-default-class") == "true"
    found = spec.get("parameters")
    parameters = NONE
    if found is not None:
        group = f".{found['apiGroup']}" if "apiGroup" in found else ""
        parameters = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    shown = name(obj) + (" (default)" if default else "")
    return [shown, spec.get("controller", ""), parameters, made(obj, now)]


def endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(p.get("port", p.get("name", "*"))) for p in obj.get("ports") or ()]
    addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    kind = obj.get("addressType", "")
    return [name(obj), kind, few(ports), few(addresses), made(obj, now)]


def short(text: str) -> str:
    """At most sixteen characters, as of the addresses of a load balancer."""
    return text if len(text) <= 16 else text[:13] + "..."


def few(found: list[str]) -> str:
    """At most three of many, and how many more there are."""
    if not found:
        return UNSET
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


def address(obj: Object, now: float) -> list[Any]:
    parent = (obj.get("spec") or {}).get("parentRef")
    shown = NONE
    if parent is not None:
        group = f".{parent['group']}" if parent.get("group") else ""
        place = f"/{parent['namespace']}" if parent.get("namespace") else ""
        shown = f"{parent.get('resource', '')}{group}".lower() + f"{place}/{parent.get('name', '')}"
    return [name(obj), shown, made(obj, now)]


def address_range(obj: Object, now: float) -> list[Any]:
    return [name(obj), ",".join((obj.get("spec") or {}).get("cidrs") or ()), made(obj, now)]
