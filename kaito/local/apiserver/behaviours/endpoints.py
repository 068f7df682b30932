"""Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import values
from kaito.local.apiserver.behaviours.podspec.checks import by, needs_choice, port_number
from kaito.local.apiserver.behaviours.service_rules import PROTOCOLS
from kaito.local.apiserver.fields import FieldError, required

Object = dict[str, Any]


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
