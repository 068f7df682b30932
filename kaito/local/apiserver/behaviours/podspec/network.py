"""Names and addresses of a pod: DNS, host aliases, ports of the host."""

from __future__ import annotations

import re
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import by
from kaito.local.apiserver.behaviours.values import address
from kaito.local.apiserver.fields import FieldError, denied, required, too_long, wrong

Object = dict[str, Any]
NAMESERVERS, SEARCHES, SEARCH_CHARS = 3, 32, 2048  # limits of the resolver of Linux
HOSTNAME_LIMIT = 64
SEARCH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")


def check_dns(config: Object | None, policy: str, path: str) -> list[FieldError]:
    if policy == "None":
        if config is None:
            says = "must provide `dnsConfig` when `dnsPolicy` is None"
            return [required(path, says)]
        if not config.get("nameservers"):
            says = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", says)]
    return [] if config is None else _dns_config(config, path)


def _dns_config(config: Object, path: str) -> list[FieldError]:
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    errors: list[FieldError] = []
    if len(servers) > NAMESERVERS:
        says = f"must not have more than {NAMESERVERS} nameservers"
        errors.append(wrong(f"{path}.nameservers", servers, says))
    for i, server in enumerate(servers):
        errors += address(server, f"{path}.nameservers[{i}]")
    if len(searches) > SEARCHES:
        says = f"must not have more than {SEARCHES} search paths"
        errors.append(wrong(f"{path}.searches", searches, says))
    if len(" ".join(searches)) > SEARCH_CHARS:
        says = (
            f"must not have more than {SEARCH_CHARS} characters (including spaces) in the "
            "search list"
        )
        errors.append(wrong(f"{path}.searches", searches, says))
    for i, search in enumerate(searches):
        if search != ".":
            errors += by(search_path, search.removesuffix("."), f"{path}.searches[{i}]")
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{i}]", "must not be empty"))
    return errors


def search_path(text: str) -> list[str]:
    faults = [] if len(text) <= names.MAX_SUBDOMAIN else [names.too_long(names.MAX_SUBDOMAIN)]
    if not SEARCH.fullmatch(text):
        faults.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'_', '-' or '.', and must start and end with an alphanumeric character (e.g. "
            f"'example.com', regex used for validation is '{SEARCH.pattern}')"
        )
    return faults


def check_aliases(aliases: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, alias in enumerate(aliases):
        errors += address(alias.get("ip", ""), f"{path}[{i}].ip")
        for j, host in enumerate(alias.get("hostnames") or ()):
            errors += by(names.subdomain, host, f"{path}[{i}].hostnames[{j}]")
    return errors


def check_host_ports(spec: Object, path: str, *, pod: bool) -> list[FieldError]:
    """On the host's network a port is the host's own; a template may leave it open."""
    if not spec.get("hostNetwork"):
        return []
    errors: list[FieldError] = []
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (pod or host) and host != port.get("containerPort", 0):
                where = f"{path}.containers[{i}].ports[{j}].hostPort"
                says = "must match `containerPort` when `hostNetwork` is true"
                errors.append(wrong(where, host, says))
    return errors


def check_hostname(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for part in ("hostname", "subdomain"):
        if spec.get(part):
            errors += by(names.label, spec[part], f"{path}.{part}")
    name, where = spec.get("hostnameOverride"), f"{path}.hostnameOverride"
    if name is None:
        return errors
    if spec.get("setHostnameAsFQDN"):
        errors.append(denied(where, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errors.append(denied(where, "may not be specified when hostNetwork is true"))
    if len(name) > HOSTNAME_LIMIT:
        errors.append(too_long(where, HOSTNAME_LIMIT))
    return errors + by(names.subdomain, name, where)
