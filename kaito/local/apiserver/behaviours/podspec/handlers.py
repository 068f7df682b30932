"""Probes, lifecycle hooks and what they do."""

from __future__ import annotations

import re
from typing import Any

from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    missing_parts,
    not_negative,
    port,
)
from kaito.local.apiserver.fields import FieldError, denied, required, wrong

Object = dict[str, Any]
PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOK_ACTIONS = ("exec", "httpGet", "tcpSocket", "sleep")
SCHEMES = ("HTTP", "HTTPS")
PROBE_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
HEADER = re.compile(r"[-A-Za-z0-9]+")
HEADER_SAYS = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')"
)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def check_probe(probe: Object, path: str, kind: str, grace: int | None) -> list[FieldError]:
    errors = _action(probe, PROBE_ACTIONS, path, grace)
    for name in PROBE_NUMBERS:
        errors += not_negative(probe.get(name), f"{path}.{name}")
    own = probe.get("terminationGracePeriodSeconds")
    where = f"{path}.terminationGracePeriodSeconds"
    if own is not None and own <= 0:
        errors.append(wrong(where, own, "must be greater than 0"))
    if kind == "readinessProbe":
        if own is not None:
            errors.append(wrong(where, own, "must not be set for readinessProbes"))
    elif probe.get("successThreshold", 0) != 1:
        count = probe.get("successThreshold", 0)
        errors.append(wrong(f"{path}.successThreshold", count, "must be 1"))
    return errors


def check_lifecycle(lifecycle: Object, path: str, grace: int | None) -> list[FieldError]:
    errors: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if hook in lifecycle:
            errors += _action(lifecycle[hook], HOOK_ACTIONS, f"{path}.{hook}", grace)
    return errors


def _action(
    holder: Object, kinds: tuple[str, ...], path: str, grace: int | None
) -> list[FieldError]:
    """Exactly one action, and that one in order."""
    errors: list[FieldError] = []
    found = [kind for kind in kinds if kind in holder]
    for kind in found[:1]:
        errors += _check_action(holder[kind], kind, f"{path}.{kind}", grace)
    for kind in found[1:]:
        errors.append(denied(f"{path}.{kind}", "may not specify more than 1 handler type"))
    if not found:
        errors.append(required(path, "must specify a handler type"))
    return errors


def _check_action(action: Object, kind: str, path: str, grace: int | None) -> list[FieldError]:
    match kind:
        case "exec":
            return missing_parts(action, ("command",), path)
        case "httpGet":
            errors = missing_parts(action, ("path",), path)
            errors += port(action.get("port", 0), f"{path}.port")
            errors += chosen(action.get("scheme", ""), SCHEMES, f"{path}.scheme")
            for header in action.get("httpHeaders") or ():
                errors += by(header_name, header.get("name", ""), f"{path}.httpHeaders")
            return errors
        case "sleep":
            seconds = action.get("seconds", 0)
            if grace is not None and not 0 <= seconds <= grace:
                says = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                return [wrong(path, seconds, says)]
            return []
    return port(action.get("port", 0), f"{path}.port")


def header_name(text: str) -> list[str]:
    return [] if HEADER.fullmatch(text) else [HEADER_SAYS]
