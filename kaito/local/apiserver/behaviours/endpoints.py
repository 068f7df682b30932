"""Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import values
from kaito.local.apiserver.behaviours.job_rules import at_most
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    needs_choice,
    port_number,
)
from kaito.local.apiserver.behaviours.service_rules import PROTOCOLS, family_of
from kaito.local.apiserver.fields import FieldError, duplicate, required, unchangeable, wrong

Object = dict[str, Any]
TYPES = ("FQDN", "IPv4", "IPv6")
MOST_ADDRESSES, MOST_HINTS = 100, 8  # of one endpoint


def default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def check_endpoints(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, subset in enumerate(obj.get("subsets") or ()):
        path = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for part in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(part) or ()):
                errors += [*_address(address, f"{path}.{part}[{j}]")]
        ports = subset.get("ports") or []
        for j, port in enumerate(ports):
            errors += [*_port(port, f"{path}.ports[{j}]", named=len(ports) > 1)]
    return errors


def _address(address: Object, path: str) -> Iterator[FieldError]:
    ip = address.get("ip", "")
    yield from values.address(ip, f"{path}.ip")
    if address.get("hostname"):
        yield from by(names.label, address["hostname"], f"{path}.hostname")
    if "nodeName" in address:
        yield from by(names.subdomain, address["nodeName"], f"{path}.nodeName")
    yield from values.reachable(ip, f"{path}.ip")


def _port(port: Object, path: str, *, named: bool) -> Iterator[FieldError]:
    name = port.get("name", "")
    if name:
        yield from by(names.label, name, f"{path}.name")
    elif named:
        yield required(f"{path}.name")
    yield from port_number(port.get("port", 0), f"{path}.port")
    yield from needs_choice(port.get("protocol", ""), PROTOCOLS, f"{path}.protocol")
    if "appProtocol" in port:
        yield from by(names.qualified, port["appProtocol"], f"{path}.appProtocol")


def update_endpoints(new: Object, old: Object) -> list[FieldError]:
    """Subsets that were kept from before are not looked at."""
    return [] if new.get("subsets") == old.get("subsets") else check_endpoints(new)


ENDPOINTS = Behaviour(
    default=default_endpoints, validate=check_endpoints, validate_update=update_endpoints
)


def default_slice(obj: Object) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def settle_topology(obj: Object) -> None:
    """The old map of a place in the cluster is not written any more."""
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def check_slice(obj: Object) -> list[FieldError]:
    kind, endpoints = obj.get("addressType", ""), obj.get("endpoints") or []
    errors = needs_choice(kind, TYPES, "addressType")
    seen: set[str] = set()
    for i, port in enumerate(obj.get("ports") or ()):
        path, name = f"ports[{i}]", port.get("name", "")
        errors += by(names.label, name, f"{path}.name") if name else []
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        errors += chosen(port.get("protocol"), PROTOCOLS, f"{path}.protocol")
        if "appProtocol" in port:
            errors += by(names.qualified, port["appProtocol"], f"{path}.appProtocol")
    for i, endpoint in enumerate(endpoints):
        errors += [*_endpoint(endpoint, kind, f"endpoints[{i}]")]
    return errors


def _endpoint(endpoint: Object, kind: str, path: str) -> Iterator[FieldError]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    yield from at_most(MOST_ADDRESSES, len(addresses), f"{path}.addresses")
    for i, text in enumerate(addresses):
        where = f"{path}.addresses[{i}]"
        if kind == "FQDN":
            yield from full_name(text, where)
            continue
        faults = (values.address if kind == "IPv4" else values.exact_address)(text, where)
        yield from faults
        if not faults and kind in {"IPv4", "IPv6"}:
            if family_of(text) != kind:
                yield wrong(f"{path}.addresses", text, f"must be an {kind} address")
            yield from values.reachable(text, where)
    if "nodeName" in endpoint:
        yield from by(names.subdomain, endpoint["nodeName"], f"{path}.nodeName")
    if "hostname" in endpoint:
        yield from by(names.label, endpoint["hostname"], f"{path}.hostname")
    yield from values.labels(endpoint.get("deprecatedTopology"), f"{path}.deprecatedTopology")
    hints = endpoint.get("hints") or {}
    for part, rule in (("forZones", names.label_value), ("forNodes", names.subdomain)):
        given = [hint.get("name", "") for hint in hints.get(part) or ()]
        yield from at_most(MOST_HINTS, len(given), f"{path}.hints.{part}")
        for i, name in enumerate(given):
            if name in given[:i]:
                yield duplicate(f"{path}.hints.{part}[{i}].name", name)
            yield from by(rule, name, f"{path}.hints.{part}[{i}].name")


def full_name(text: str, path: str) -> list[FieldError]:
    """A domain name of two labels or more; it may end in a dot."""
    if not text:
        return [required(path)]
    text = text.removesuffix(".")
    faults = by(names.subdomain, text, path)
    if not faults and "." not in text:
        return [
            wrong(path, text, "should be a domain with at least two segments separated by dots")
        ]
    return faults


def update_slice(new: Object, old: Object) -> list[FieldError]:
    same = new.get("endpoints") == old.get("endpoints")
    errors = [e for e in check_slice(new) if not (same and e.field.startswith("endpoints"))]
    if new.get("addressType") != old.get("addressType"):
        errors.append(unchangeable("addressType", new.get("addressType", "")))
    return errors


def slice_warnings(obj: Object) -> list[str]:
    found: list[str] = []
    for i, endpoint in enumerate(obj.get("endpoints") or ()):
        for j, text in enumerate(endpoint.get("addresses") or ()):
            found += values.address_warnings(text, f"endpoints[{i}].addresses[{j}]")
    return found


def type_warnings(obj: Object) -> list[str]:
    if obj.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"]
    return []


SLICES = Behaviour(
    default=default_slice,
    before_create=settle_topology,
    before_update=lambda new, old: settle_topology(new),
    validate=check_slice,
    validate_update=update_slice,
    warnings=slice_warnings,
    name_warnings=type_warnings,
)
