"""The labels that a Workspace asks its nodes to carry, and what no node can satisfy. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kaito.api import conditions, labels
from kaito.api.words import listed, shown
from kaito.api.workspace import Resource
from kaito.controllers.workspace.refusal import Advice, Refusal

# What every node of ours is; a selector that says otherwise can never be satisfied.
NODE_IS = {labels.ARCH: "amd64", labels.OS: "linux"}


def equality(resource: Resource) -> dict[str, str]:
    """The labels that its nodes carry, without those that say whose a node is."""
    return {k: v for k, v in sorted(_selected(resource).items()) if k not in labels.RESERVED}


def selector_objections(resource: Resource) -> Iterator[Refusal]:
    """Every label that no node can have as it is asked for."""
    wanted = dict(resource.label_selector.match_labels)
    for key, value in _expressed(resource):
        if wanted.setdefault(key, value) != value:
            yield _refusal(
                f"resource.labelSelector asks for two values of {shown(key)}, "
                f"{shown(wanted[key])} and {shown(value)}: keep one."
            )
    size = resource.instance_type
    for key, value in {**NODE_IS, labels.INSTANCE_TYPE: size}.items() if size else ():
        if wanted.get(key, value).lower() != value.lower():
            yield _refusal(
                f"resource.labelSelector asks for nodes with {key}={shown(wanted[key])}, but "
                f"nodes for this Workspace have {key}={shown(value)}: leave that label out."
            )
    if wanted and labels.RESERVED.issuperset(wanted):
        yield _refusal(
            f"resource.labelSelector asks only for {listed(sorted(wanted))}, which KAITO sets "
            "itself: select by a label of your own."
        )


def selector_advice(resource: Resource) -> Iterator[Advice]:
    """Labels that are asked for in vain."""
    reserved = sorted(labels.RESERVED & _selected(resource).keys())
    if reserved:
        says = "says" if len(reserved) == 1 else "say"
        yield Advice(
            reason=conditions.LABELS_RESERVED,
            message=f"resource.labelSelector: {listed(reserved)} {says} whose a node is, and "
            "nodes are selected without regard to it.",
        )


def _selected(resource: Resource) -> dict[str, str]:
    """The labels in one notation; the last of two values holds."""
    return {**resource.label_selector.match_labels, **dict(_expressed(resource))}


def _expressed(resource: Resource) -> Iterator[tuple[str, str]]:
    """The expressions that ask for one value; the rules refuse the others."""
    for expression in resource.label_selector.match_expressions:
        if len(expression.values) == 1:
            yield expression.key, expression.values[0]


def _refusal(message: str) -> Refusal:
    return Refusal(path="resource.labelSelector", reason=conditions.INVALID_SPEC, message=message)
