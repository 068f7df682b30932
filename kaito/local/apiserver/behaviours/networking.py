"""Ingresses, their classes, and NetworkPolicies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import values
from kaito.local.apiserver.behaviours.job_rules import manager
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    label_selector,
    needed,
    port,
    port_name,
    port_number,
)
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    listed,
    required,
    unchangeable,
    wrong,
)

Object = dict[str, Any]
OLD_CLASS = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
NOT_AT_ENDS = ("/..", "/.")
LONGEST_CONTROLLER = 250


def default_policy(policy: Object) -> None:
    spec = policy.setdefault("spec", {})
    for part in ("ingress", "egress"):
        for rule in spec.get(part) or ():
            for entry in rule.get("ports") or ():
                entry.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def check_policy(policy: Object, old: Object | None = None) -> list[FieldError]:
    spec = policy.get("spec") or {}
    known = [*_networks((old or {}).get("spec") or {})]
    errors = label_selector(spec.get("podSelector"), "spec.podSelector")
    for part, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(part) or ()):
            path = f"spec.{part}[{i}]"
            for j, entry in enumerate(rule.get("ports") or ()):
                errors += [*_policy_port(entry, f"{path}.ports[{j}]")]
            for j, peer in enumerate(rule.get(peers) or ()):
                errors += [*_peer(peer, f"{path}.{peers}[{j}]", known)]
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        says = "may not specify more than two policyTypes"
        return [*errors, wrong("spec.policyTypes", types, says)]
    for i, kind in enumerate(types):
        errors += chosen(kind, ("Ingress", "Egress"), f"spec.policyTypes[{i}]")
    return errors


def _networks(spec: Object) -> Iterator[str]:
    """The ranges that a policy names."""
    for part, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(part) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield from (block.get("cidr", ""), *(block.get("except") or ()))


def _policy_port(entry: Object, path: str) -> Iterator[FieldError]:
    number, last = entry.get("port"), entry.get("endPort")
    yield from chosen(entry.get("protocol"), ("TCP", "UDP", "SCTP"), f"{path}.protocol")
    if number is not None:
        yield from port(number, f"{path}.port")
    if last is None:
        return
    if isinstance(number, int):
        if last < number:
            yield wrong(f"{path}.endPort", number, "must be greater than or equal to `port`")
        yield from port_number(last, f"{path}.endPort")
    else:
        what = "not specified" if number is None else "non-numeric"
        yield wrong(f"{path}.endPort", last, f"may not be specified when `port` is {what}")


def _peer(peer: Object, path: str, known: list[str]) -> Iterator[FieldError]:
    for part in ("podSelector", "namespaceSelector"):
        yield from label_selector(peer.get(part), f"{path}.{part}")
    if "ipBlock" in peer:
        yield from _block(peer["ipBlock"], f"{path}.ipBlock", known)
    if not peer:
        yield required(path, "must specify a peer")
    elif "ipBlock" in peer and len(peer) > 1:
        yield denied(path, "may not specify both ipBlock and another peer")


def _block(block: Object, path: str, known: list[str]) -> Iterator[FieldError]:
    text = block.get("cidr", "")
    if not text:
        yield required(f"{path}.cidr")
        return
    yield from values.network(text, f"{path}.cidr", known)
    whole = values.parse_network(text)
    for i, inner in enumerate(block.get("except") or ()):
        where = f"{path}.except[{i}]"
        yield from values.network(inner, where, known)
        part = values.parse_network(inner)
        if whole is None or part is None:
            continue
        if part.network_address not in whole or whole.prefixlen >= part.prefixlen:
            yield wrong(where, inner, "must be a strict subset of `cidr`")


def policy_warnings(policy: Object) -> list[str]:
    found: list[str] = []
    for part, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(policy["spec"].get(part) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                path, block = f"spec.{part}[{i}].{peers}[{j}].ipBlock", peer.get("ipBlock") or {}
                found += values.network_warnings(block.get("cidr", ""), f"{path}.cidr")
                for k, text in enumerate(block.get("except") or ()):
                    found += values.network_warnings(text, f"{path}.except[{k}]")
    return found


NETWORK_POLICIES = Behaviour(
    default=default_policy,
    validate=check_policy,
    validate_update=check_policy,
    warnings=policy_warnings,
    generation=True,
)


def check_ingress(ingress: Object) -> list[FieldError]:
    spec, name = ingress.get("spec") or {}, (ingress.get("spec") or {}).get("ingressClassName")
    old = (ingress["metadata"].get("annotations") or {}).get(OLD_CLASS)
    errors = _ingress_spec(spec)
    if old is not None and name is not None and old != name:
        says = "must match `ingressClassName` when both are specified"
        errors.append(wrong(f"annotations.{OLD_CLASS}", old, says))
    return errors


def _ingress_spec(spec: Object) -> list[FieldError]:
    rules, errors = spec.get("rules") or [], []
    if not rules and "defaultBackend" not in spec:
        says = "either `defaultBackend` or `rules` must be specified"
        errors.append(wrong("spec", spec.get("rules"), says))
    if "defaultBackend" in spec:
        errors += [*_backend(spec["defaultBackend"], "spec.defaultBackend")]
    for i, rule in enumerate(rules):
        errors += [*_rule(rule, f"spec.rules[{i}]")]
    for i, tls in enumerate(spec.get("tls") or ()):
        for j, host in enumerate(tls.get("hosts") or ()):
            errors += _host(host, f"spec.tls[{i}].hosts[{j}]")
        if tls.get("secretName"):
            errors += by(names.subdomain, tls["secretName"], f"spec.tls[{i}].secretName")
    if "ingressClassName" in spec:
        errors += by(names.subdomain, spec["ingressClassName"], "spec.ingressClassName")
    return errors


def _host(host: str, path: str) -> list[FieldError]:
    return by(names.wildcard if "*" in host else names.subdomain, host, path)


def _rule(rule: Object, path: str) -> Iterator[FieldError]:
    host = rule.get("host", "")
    if host:
        yield from values.not_an_address(host, f"{path}.host")
        yield from _host(host, f"{path}.host")
    if "http" not in rule:
        return
    paths = (rule["http"] or {}).get("paths") or []
    if not paths:
        yield required(f"{path}.http.paths")
    for i, entry in enumerate(paths):
        yield from _path(entry, f"{path}.http.paths[{i}]")


def _path(entry: Object, path: str) -> Iterator[FieldError]:
    kind, text, where = entry.get("pathType"), entry.get("path", ""), f"{path}.path"
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    strict = kind in {"Exact", "Prefix"}
    if not strict and kind != "ImplementationSpecific":
        yield listed(f"{path}.pathType", kind, PATH_TYPES)
    elif not text.startswith("/") and (strict or text):
        yield wrong(where, text, "must be an absolute path")
    if strict:
        for part in NOT_IN_PATHS:
            if part in text:
                yield wrong(where, text, f"must not contain '{part}'")
        for end in NOT_AT_ENDS:
            if text.endswith(end):
                yield wrong(where, text, f"cannot end with '{end}'")
    yield from _backend(entry.get("backend") or {}, f"{path}.backend")


def _backend(backend: Object, path: str) -> Iterator[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield wrong(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference(resource, f"{path}.resource")
    elif service is None:
        yield wrong(path, "", "resource or service backend is required")
    else:
        yield from needed(names.label, service.get("name", ""), f"{path}.service.name")
        yield from _backend_port(service.get("port") or {}, path)


def _backend_port(entry: Object, path: str) -> Iterator[FieldError]:
    name, number = entry.get("name", ""), entry.get("number", 0)
    if name and number:
        yield wrong(path, "", "cannot set both port name & port number")
    elif name:
        yield from by(port_name, name, f"{path}.service.port.name")
    elif number:
        yield from port_number(number, f"{path}.service.port.number")
    else:
        yield required(path, "port name or number is required")


def _reference(reference: Object, path: str) -> Iterator[FieldError]:
    if reference.get("apiGroup") is not None:
        yield from by(names.subdomain, reference["apiGroup"], f"{path}.apiGroup")
    for part in ("kind", "name"):
        yield from needed(names.path_segment, reference.get(part, ""), f"{path}.{part}")


def check_ingress_status(new: Object, old: Object) -> list[FieldError]:
    points, before = (
        ((o.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [] for o in (new, old)
    )
    known = [p["ip"] for p in before if p.get("ip")]
    errors: list[FieldError] = []
    for i, point in enumerate(points):
        path, host = f"status.loadBalancer.ingress[{i}]", point.get("hostname", "")
        if point.get("ip"):
            errors += values.address(point["ip"], f"{path}.ip", known)
        if host:
            errors += by(names.subdomain, host, f"{path}.hostname")
            errors += values.not_an_address(host, f"{path}.hostname")
    return errors


def old_class_warnings(ingress: Object) -> list[str]:
    if OLD_CLASS not in (ingress["metadata"].get("annotations") or {}):
        return []
    return [f"annotation \"{OLD_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]


INGRESSES = Behaviour(
    validate=check_ingress,
    validate_update=lambda new, old: _ingress_spec(new.get("spec") or {}),
    validate_status=check_ingress_status,
    name_warnings=old_class_warnings,
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)


def default_class(obj: Object) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def check_class(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    text, parameters, path = spec.get("controller", ""), spec.get("parameters"), "spec.parameters"
    errors = manager(text, "spec.controller", limit=LONGEST_CONTROLLER)
    if parameters is None:
        return errors
    errors += [*_reference(parameters, path)]
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    errors += chosen(scope, ("Cluster", "Namespace"), f"{path}.scope")
    where = f"{path}.namespace"
    if scope == "Namespace":
        says = "`parameters.scope` is set to 'Namespace'"
        errors += by(names.label, namespace, where) if namespace else [required(where, says)]
    elif scope == "Cluster" and namespace is not None:
        errors.append(denied(where, "`parameters.scope` is set to 'Cluster'"))
    return errors


def update_class(new: Object, old: Object) -> list[FieldError]:
    errors = check_class(new)
    mine = (new.get("spec") or {}).get("controller", "")
    if mine != (old.get("spec") or {}).get("controller", ""):
        errors.append(unchangeable("spec.controller", mine))
    return errors


INGRESS_CLASSES = Behaviour(
    default=default_class, validate=check_class, validate_update=update_class
)
