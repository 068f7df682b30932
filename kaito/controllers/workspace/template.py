"""A user's own Pod template, with what makes its Pods land on the Workspace's nodes.

The template is the user's: nothing in it is changed but labels, affinity and tolerations, which
are added to. Amounts and nulls are spelled as the API server keeps them, so that what is applied
is found again as it was. What the API server thinks of the rest, it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from kaito.runtime import Object, format_quantity, parse_quantity

# What must be objects or lists for us to add to them.
OBJECTS = (
    "metadata",
    "metadata.labels",
    "spec",
    "spec.affinity",
    "spec.affinity.nodeAffinity",
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
)
TERMS = f"{OBJECTS[-1]}.nodeSelectorTerms"
CONTAINERS_FIELD, INIT_CONTAINERS_FIELD = "containers", "initContainers"
CONTAINERS = f"spec.{CONTAINERS_FIELD}"
LISTS = (CONTAINERS, f"spec.{INIT_CONTAINERS_FIELD}", "spec.tolerations", TERMS)


def unusable(template: Mapping[str, JsonValue]) -> str:
    """One sentence about what keeps us from using the template, "" when nothing does."""
    if template.get("spec") is None:
        return "inference.template.spec is missing: write the Pod's spec there."
    for path in OBJECTS:
        if not isinstance(_at(template, path, {}), Mapping):
            return f"inference.template.{path} must be an object."
    for path in LISTS:
        found = _at(template, path, [])
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            return f"inference.template.{path} must be a list of objects."
    for term in cast("list[Mapping[str, JsonValue]]", _at(template, TERMS, [])):
        if not isinstance(term.get("matchExpressions", []), list):
            return f"inference.template.{TERMS}.matchExpressions must be a list."
    if not _at(template, CONTAINERS, []):
        # The API server says so too, but only when the nodes cost money already.
        return f"inference.template.{CONTAINERS} is empty: write at least one container there."
    return ""


def placed(
    template: Mapping[str, JsonValue],
    *,
    labels: Mapping[str, str],
    terms: Sequence[Object],
    tolerations: Sequence[Object],
) -> Object:
    """The template with these labels, on nodes that match one of `terms`.

    Where the user requires nodes too, a node must match both. Presumes that it is not `unusable`.
    """
    pod = _copy(template)
    metadata, spec = pod.setdefault("metadata", {}), pod["spec"]
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    required = (
        spec.setdefault("affinity", {})
        .setdefault("nodeAffinity", {})
        .setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    )
    theirs = required.get("nodeSelectorTerms") or [{}]
    # Terms are alternatives, and what is in one holds together: both means every pair of them.
    required["nodeSelectorTerms"] = [
        {
            **their,
            "matchExpressions": [
                *their.get("matchExpressions", []),
                *ours.get("matchExpressions", []),
            ],
        }
        for their in theirs
        for ours in terms
    ]
    for container in (*spec[CONTAINERS_FIELD], *(spec.get(INIT_CONTAINERS_FIELD) or ())):
        _spell_amounts(container)
    known = spec.get("tolerations", [])
    spec["tolerations"] = [*known, *(t for t in tolerations if t not in known)]
    return pod


def _spell_amounts(container: object) -> None:
    resources = container.get("resources") if isinstance(container, dict) else None
    for part in ("limits", "requests"):
        amounts = resources.get(part) if isinstance(resources, dict) else None
        if isinstance(amounts, dict):
            amounts.update({name: canonical(amount) for name, amount in amounts.items()})


def canonical(amount: object) -> object:
    """An amount as the API server writes it; what is none stays, for the server to refuse."""
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        return amount
    if isinstance(amount, str) and "e" in amount.lower().removesuffix("ei").removesuffix("e"):
        return amount  # with an exponent, which stays one
    try:
        return format_quantity(parse_quantity(str(amount)), binary=str(amount).endswith("i"))
    except ValueError:
        return amount


# Any: a template has the shape that its author gave it.
def _copy(template: Mapping[str, JsonValue]) -> Object:
    def copied(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            return {k: copied(v) for k, v in value.items() if v is not None}
        return [copied(v) for v in value] if isinstance(value, list) else value

    return {k: copied(v) for k, v in template.items() if v is not None}


def _at(template: Mapping[str, JsonValue], path: str, absent: JsonValue) -> JsonValue:
    value: JsonValue = dict(template)
    for step in path.split("."):
        if not isinstance(value, dict) or value.get(step) is None:
            return absent
        value = value[step]
    return value
