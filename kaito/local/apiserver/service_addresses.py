"""Cluster addresses and node ports: handed out to Services, each to one at a time.

Runs as the last admission plugin, so that a choice of a webhook counts and no writer ever owns
what was handed out. What is taken is learnt from the stored Services.
"""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from typing import Any

from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.behaviours.service_rules import (
    OUTSIDE,
    addresses,
    family_of,
    headless,
    health_checked,
)
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.fields import FieldError, wrong
from kaito.local.apiserver.status import internal, invalid
from kaito.local.apiserver.storage import Event, Record

Object = dict[str, Any]
RANGE = ipaddress.ip_network("10.0.0.0/24")  # what one may choose from; 10.0.0.1 is the API itself
LOW_ADDRESSES = 16  # left to those who choose their address
SPARE = ipaddress.ip_network("10.0.0.0/16")  # handed out where the range is full
FIRST_PORT, LAST_PORT = 30000, 32767
LOW_PORTS = 86  # left to those who choose their port
TRIES = 64  # guesses at a free one before all are looked at
DUAL = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"


class Taken:
    """What the stored Services use; follows the store from its first use on."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._ports: Counter[int] = Counter()
        self._ips: Counter[str] = Counter()
        self._following = False

    def _follow(self) -> None:
        if self._following:
            return
        bucket = self._core.store.bucket("/services")
        bucket.join(self)
        self._following = True
        for record in bucket.objects.values():
            self._count(record, 1)

    def push(self, event: Event) -> None:
        if event.new is not None:
            self._count(event.new, 1)
        if event.old is not None:
            self._count(event.old, -1)

    def _count(self, record: Record, step: int) -> None:
        spec = record.value().get("spec") or {}
        for port in _ports(spec):
            self._ports[port] += step
        if health_checked(spec):
            self._ports[spec.get("healthCheckNodePort", 0)] += step
        for ip in spec.get("clusterIPs") or ():
            self._ips[ip] += step

    def port(self, port: int) -> bool:
        self._follow()
        return self._ports[port] > 0

    def ip(self, ip: str) -> bool:
        self._follow()
        return self._ips[ip] > 0


class Ports:
    """The node ports that one write asks for. A dry run does not look at their range."""

    def __init__(self, taken: Taken, source: random.Random, *, dry: bool) -> None:
        self._taken = taken
        self._random = source
        self._dry = dry
        self._mine: set[int] = set()

    def claim(self, port: int) -> str:
        """Take a port; tells why it cannot be had."""
        if not self._dry and not FIRST_PORT <= port <= LAST_PORT:
            return (
                "provided port is not in the valid range. The range of valid ports is "
                f"{FIRST_PORT}-{LAST_PORT}"
            )
        if port in self._mine or self._taken.port(port):
            return "provided port is already allocated"
        self._mine.add(port)
        return ""

    def next(self) -> int:
        """A free port; a dry run counts on from beyond the range."""
        if self._dry:
            port = max(0, *self._mine) + 1 if self._mine else LAST_PORT + 2
            self._mine.add(port)
            return port
        for _ in range(TRIES):
            port = self._random.randint(FIRST_PORT + LOW_PORTS, LAST_PORT)
            if not self.claim(port):
                return port
        for port in range(LAST_PORT, FIRST_PORT - 1, -1):
            if not self.claim(port):
                return port
        raise internal("failed to allocate a nodePort: range is full")


class ServiceAddresses:
    """The plugin."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._taken = Taken(core)

    async def mutate(self, review: Review) -> None:
        kind = review.call.kind
        if kind.plural != "services" or kind.group or review.subresource:
            return
        spec = review.object.setdefault("spec", {})
        before = ((review.old or {}).get("spec") or {}) if review.operation == "UPDATE" else None
        ports = Ports(self._taken, self._core.random, dry=review.options.dry_run)
        try:
            if before is None:
                _settle_address(spec, {})
                self._families(spec, {})
                self._addresses(spec, dry=review.options.dry_run)
                self._create_ports(spec, ports)
            else:
                _keep(spec, before)
                _settle_address(spec, before)
                self._families(spec, before)
                if before.get("type") == "ExternalName":
                    self._addresses(spec, dry=review.options.dry_run)
                self._update_ports(spec, before, ports)
            self._check_port(spec, before or {}, ports)
        except Refused as refused:
            name = review.object["metadata"].get("name", "")
            raise invalid("", "Service", name, refused.errors) from refused

    async def validate(self, review: Review) -> None:
        """Nothing is refused later than at the time of handing out."""

    def _families(self, spec: Object, before: Object) -> None:
        """Policy and families that were left open. Raises Refused."""
        if spec.get("type") == "ExternalName":
            return
        free = headless(spec) and not spec.get("selector")
        if "ipFamilyPolicy" not in spec:
            spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or (
                "RequireDualStack" if free else "SingleStack"
            )
        _refuse(addresses(spec, before))
        policy, path = spec["ipFamilyPolicy"], "spec.ipFamilyPolicy"
        ips, families = spec.get("clusterIPs") or [], list(spec.get("ipFamilies") or ())
        if policy == "SingleStack" and before.get("ipFamilies") == families:
            families = families[:1]
        errors = []
        if policy == "SingleStack":
            if len(ips) == 2:
                errors.append(wrong(path, policy, DUAL.format("cluster IPs")))
            if len(families) == 2:
                errors.append(wrong(path, policy, DUAL.format("IP families")))
        elif 0 < len(families) < len(before.get("ipFamilies") or ()):
            why = "must be 'SingleStack' to release the secondary IP family"
            errors.append(wrong(path, policy, why))
        for i, ip in enumerate(ips[len(families) :], len(families)):
            if ip == "None":
                break
            family = family_of(ip)
            if family != "IPv4":
                why = f"{family} is not configured on this cluster"
                errors.append(wrong(f"spec.clusterIPs[{i}]", ips, why))
            else:
                families.append(family)
        _refuse(errors)
        if not free:
            if policy == "RequireDualStack":
                why = "this cluster is not configured for dual-stack services"
                errors.append(wrong(path, policy, why))
            errors += [
                wrong(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")
                for i, family in enumerate(families)
                if family != "IPv4"
            ]
            _refuse(errors)
        families = families or ["IPv4"]
        if free and policy != "SingleStack" and len(families) < 2:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families

    def _addresses(self, spec: Object, *, dry: bool) -> None:
        if spec.get("type") == "ExternalName" or headless(spec):
            return
        chosen = (spec.get("clusterIPs") or [""])[0]
        if not chosen:
            spec["clusterIP"] = str(RANGE[0]) if dry else self._free_address()
            spec["clusterIPs"] = [spec["clusterIP"]]
            return
        if ipaddress.ip_address(chosen) not in RANGE:
            why = (
                f"the provided IP ({chosen}) is not in the valid range. "
                f"The range of valid IPs is {RANGE}"
            )
        elif self._taken.ip(chosen):
            why = "provided IP is already allocated"
        else:
            return
        why = f"failed to allocate IP {chosen}: {why}"
        raise Refused([wrong("spec.clusterIPs", spec["clusterIPs"], why)])

    def _free_address(self) -> str:
        for network in (RANGE, SPARE):
            for _ in range(TRIES):
                number = self._core.random.randrange(LOW_ADDRESSES + 1, network.num_addresses - 1)
                if not self._taken.ip(ip := str(network[number])):
                    return ip
        free = (str(ip) for ip in SPARE.hosts() if not self._taken.ip(str(ip)))
        return next(free)

    def _create_ports(self, spec: Object, ports: Ports) -> None:
        if spec.get("type") not in OUTSIDE:
            return
        given = spec.get("ports") or []
        asked = {p.get("port"): p["nodePort"] for p in reversed(given) if p.get("nodePort")}
        settled: dict[Any, int] = {}
        for i, port in enumerate(given):
            number, chosen = port.get("port"), port.get("nodePort", 0)
            if not chosen and not _allocates(spec):
                continue
            if number not in settled:
                if number in asked:
                    port["nodePort"] = settled[number] = asked[number]
                    _claim(ports, asked[number], i)
                else:
                    port["nodePort"] = settled[number] = ports.next()
            elif not chosen:
                port["nodePort"] = settled[number]
            elif chosen != settled[number]:
                _claim(ports, chosen, i)

    def _update_ports(self, spec: Object, before: Object, ports: Ports) -> None:
        if spec.get("type") not in OUTSIDE:
            return
        had, new = set(_ports(before)), set()
        for i, port in enumerate(spec.get("ports") or ()):
            chosen = port.get("nodePort", 0)
            if not chosen and _allocates(spec):
                port["nodePort"] = ports.next()
            elif chosen and chosen not in had and chosen not in new:
                _claim(ports, chosen, i)
                new.add(chosen)

    def _check_port(self, spec: Object, before: Object, ports: Ports) -> None:
        """The port for health checks, which a service gets once."""
        if not health_checked(spec) or health_checked(before):
            return
        chosen = spec.get("healthCheckNodePort", 0)
        if not chosen:
            spec["healthCheckNodePort"] = ports.next()
        elif why := ports.claim(chosen):
            raise internal(f"failed to allocate requested HealthCheck NodePort {chosen}: {why}")


class Refused(Exception):
    """What was asked for cannot be handed out."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors)
        self.errors = errors


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise Refused(errors)


def _claim(ports: Ports, port: int, index: int) -> None:
    if why := ports.claim(port):
        raise Refused([wrong(f"spec.ports[{index}].nodePort", port, why)])


def _ports(spec: Object) -> list[int]:
    return [p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")]


def _allocates(spec: Object) -> bool:
    return spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer"
        and spec.get("allocateLoadBalancerNodePorts") is not False
    )


def _settle_address(spec: Object, before: Object) -> None:
    """`clusterIP` and `clusterIPs` say the same where only one of them was written."""
    one, was = spec.get("clusterIP", ""), before.get("clusterIP", "")
    if not before:
        if one and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [one]
        return
    same = spec.get("clusterIPs") == before.get("clusterIPs")
    if one != was and same:
        if one:
            spec["clusterIPs"] = [one]
        else:
            spec.pop("clusterIPs", None)


def _keep(spec: Object, before: Object) -> None:
    """What was handed out before and is not mentioned now stays."""
    if "ExternalName" not in {spec.get("type"), before.get("type")}:
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if _allocates(spec) and _allocates(before):
        used = set(_ports(before)) & set(_ports(spec))
        known = {p.get("name", ""): p.get("nodePort", 0) for p in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            kept = known.get(port.get("name", ""), 0)
            if not port.get("nodePort") and kept and kept not in used:
                port["nodePort"] = kept
    if health_checked(spec) and health_checked(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)
