"""What applying objects would change, told by fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kaito.controllers.workspace.kinds import STATEFUL_SETS
from kaito.runtime import Key, Object, owns, would_change

Verb = Literal["create", "change", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What applying one object would do."""

    verb: Verb
    kind: str
    namespace: str
    name: str
    paths: tuple[str, ...] = ()
    """The fields that would get other values; a field that would only be removed is not named."""


def change(desired: Object, live: Object | None, *, manager: str) -> Change:
    """What applying `desired` as `manager` would do to what is there; `live` None: nothing is."""
    key = Key.of(desired)
    verb: Verb = "create"
    paths: tuple[str, ...] = ()
    if live is not None:
        verb = "change" if would_change(live, desired, manager=manager) else "keep"
        paths = tuple(differences(desired, live)) if verb == "change" else ()
    return Change(
        verb=verb, kind=desired["kind"], namespace=key.namespace, name=key.name, paths=paths
    )


def leaving_to_others(desired: Object, live: Object | None, *, manager: str) -> Object:
    """What is applied of an object that is there: all but the number of replicas where somebody
    else, an autoscaler or a person with kubectl scale, has set that since.

    A model over several nodes takes as many Pods as it takes, or none: others may switch it off.
    """
    spec = desired.get("spec")
    if live is None or not isinstance(spec, dict) or "replicas" not in spec:
        return desired
    applied = owns(live, ("spec",), manager=manager)
    if not applied or owns(live, ("spec", "replicas"), manager=manager):
        return desired
    if desired["kind"] == STATEFUL_SETS.kind and (live.get("spec") or {}).get("replicas") != 0:
        return desired
    return {**desired, "spec": {k: v for k, v in spec.items() if k != "replicas"}}


def differences(desired: Object, live: Object) -> Iterator[str]:
    """The fields of `desired` that have another value in `live` or none, as paths."""
    return (path for path, _ in differing(desired, live))


# Any: both sides are JSON of a shape that only the server knows.
def differing(desired: Any, live: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The same paths, each with what is there in `live`."""
    if isinstance(desired, dict) and isinstance(live, dict):
        for name, value in desired.items():
            yield from differing(value, live.get(name), f"{path}.{name}" if path else name)
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for place, (wanted, found) in enumerate(zip(desired, live, strict=True)):
            yield from differing(wanted, found, f"{path}[{place}]")
    elif desired != live:
        yield path, live
