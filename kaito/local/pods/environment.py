"""The environment of a container, from its declarations and what they refer to. Pure.

Later names win, and a variable sees those declared before it, as with a kubelet.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kaito.local.pods.downward import Downward, UnknownField
from kaito.local.pods.expansion import TooLong, expand
from kaito.runtime import Object

MOST = 1024 * 1024  # bytes of all variables together; Linux refuses to start programs beyond
Kind = Literal["configmap", "secret"]
Lookup = Callable[[Kind, str], Object | None]
"""A ConfigMap or Secret of the pod's namespace by name, None when there is none."""
_TITLES = {"configmap": "ConfigMap", "secret": "Secret"}


class ConfigError(Exception):
    """A container cannot be configured; the message is the kubelet's."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What variables are made of. `services` are those that every container is given."""

    downward: Downward
    lookup: Lookup
    services: Mapping[str, str]


def environment(container: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """The variables of a container. Raises ConfigError."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found.update(_all_of(source, sources))
    try:
        for variable in container.get("env") or ():
            held = _value(variable, found, container, sources)
            if held is not None:
                found[variable["name"]] = held
    except (UnknownField, TooLong) as error:
        raise ConfigError(str(error)) from error
    complete = {**sources.services, **found}
    _check(complete)
    return complete


def references(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Kind, str]]:
    """The ConfigMaps and Secrets that the variables of these containers come from."""
    for container in containers:
        variables = (each.get("valueFrom") or {} for each in container.get("env") or ())
        for source in (*(container.get("envFrom") or ()), *variables):
            for part in ("configMapRef", "configMapKeyRef"):
                if part in source:
                    yield "configmap", source[part].get("name", "")
            for part in ("secretRef", "secretKeyRef"):
                if part in source:
                    yield "secret", source[part].get("name", "")


def texts(kind: Kind, held: Object) -> dict[str, str]:
    """The entries of a ConfigMap or Secret that a variable can hold."""
    data = held.get("data") or {}
    if kind == "configmap":
        return dict(data)
    return {
        name: base64.b64decode(text).decode(errors="surrogateescape") for name, text in data.items()
    }


def _all_of(source: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    kind: Kind = "configmap" if "configMapRef" in source else "secret"
    reference = source.get("configMapRef") or source.get("secretRef") or {}
    held = _held(kind, reference, sources)
    prefix = source.get("prefix", "")
    return {f"{prefix}{name}": text for name, text in texts(kind, held or {}).items()}


def _value(
    variable: Mapping[str, Any],
    found: Mapping[str, str],
    container: Mapping[str, Any],
    sources: Sources,
) -> str | None:
    """The value of a variable, None when what it comes from is optional and absent."""
    if variable.get("value"):
        return expand(variable["value"], found, sources.services)
    source = variable.get("valueFrom") or {}
    if "fieldRef" in source:
        return sources.downward.field(source["fieldRef"].get("fieldPath", ""))
    if "resourceFieldRef" in source:
        return sources.downward.resource(source["resourceFieldRef"], container)
    if "configMapKeyRef" in source:
        return _entry("configmap", source["configMapKeyRef"], sources)
    if "secretKeyRef" in source:
        return _entry("secret", source["secretKeyRef"], sources)
    if source:
        raise ConfigError(
            f"the local cluster has no source of variables named {next(iter(source))}"
        )
    return ""


def _entry(kind: Kind, reference: Mapping[str, Any], sources: Sources) -> str | None:
    held = _held(kind, reference, sources)
    if held is None:
        return None
    name, key = reference.get("name", ""), reference["key"]
    found = texts(kind, held).get(key)
    if found is None and not reference.get("optional"):
        where = f"{sources.downward.field('metadata.namespace')}/{name}"
        raise ConfigError(f"couldn't find key {key} in {_TITLES[kind]} {where}")
    return found


def _held(kind: Kind, reference: Mapping[str, Any], sources: Sources) -> Object | None:
    name = reference.get("name", "")
    held = sources.lookup(kind, name)
    if held is None and not reference.get("optional"):
        raise ConfigError(f'{kind} "{name}" not found')
    return held


def _check(variables: Mapping[str, str]) -> None:
    """What no program can be given is refused before the system refuses it."""
    for name, text in variables.items():
        if "\0" in name or "\0" in text or "=" in name:
            raise ConfigError(f"the variable {name!r} holds what no environment can hold")
    size = sum(len(name) + len(text) + 2 for name, text in variables.items())
    if size > MOST:
        raise ConfigError(f"the environment has {size} bytes; a program takes at most {MOST}")
