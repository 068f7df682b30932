"""Which of the sizes that a claim allows can be what it asks for, before anybody pays for one.

Judged by the catalogue alone: what it does not know of a size is no reason against it, and nor is
a requirement on a label that is not listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from kaito.api import labels
from kaito.catalog.sku import Sku
from kaito.provisioner.claim import Claim, Requirement
from kaito.provisioner.request import GIB, NodeRequest, Unsatisfiable
from kaito.runtime import parse_quantity

# Labels of karpenter's Azure provider that say what a size has.
GPU_COUNT = "karpenter.azure.com/sku-gpu-count"
GPU_MANUFACTURER = "karpenter.azure.com/sku-gpu-manufacturer"
CPU_COUNT = "karpenter.azure.com/sku-cpu"

_COMPARISONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "Gt": lambda there, bound: there > bound,
    "Gte": lambda there, bound: there >= bound,
    "Lt": lambda there, bound: there < bound,
    "Lte": lambda there, bound: there <= bound,
}


def fitting(claim: Claim, request: NodeRequest, known: Callable[[str], Sku | None]) -> NodeRequest:
    """The request without the sizes that contradict the claim. Unsatisfiable when none is left.

    `known` is what the catalogue has of a size, None for nothing.
    """
    against = {
        type_: _contradiction(claim, sku)
        for type_ in request.instance_types
        if (sku := known(type_)) is not None
    }
    left = tuple(type_ for type_ in request.instance_types if not against.get(type_))
    if left:
        return replace(request, instance_types=left)
    raise Unsatisfiable("; ".join(f"{type_} {why}" for type_, why in against.items()))


def _contradiction(claim: Claim, sku: Sku) -> str:
    """What follows the size's name to say why it cannot be; "" when it can."""
    there = _labels(sku)
    for requirement in claim.spec.requirements:
        value = there.get(requirement.key)
        if value is not None and not _allows(requirement, value):
            return (
                f"is {requirement.key}={value}, and spec.requirements wants "
                f"{_written(requirement)}: allow it, or name another size"
            )
    for name, most in _resources(sku).items():
        asked = claim.requests.get(name, "0")
        if parse_quantity(asked) > most:
            offered = most / GIB if name == "memory" else most
            unit = " GiB of" if name == "memory" else ""
            return (
                f"has {offered:f}{unit} {name}, and spec.resources.requests asks for {asked}: "
                "ask for less, or name another size"
            )
    return ""


def _labels(sku: Sku) -> Mapping[str, str]:
    return {
        labels.ARCH: sku.architecture,
        labels.OS: "linux",
        GPU_COUNT: str(sku.gpus.count),
        GPU_MANUFACTURER: sku.gpus.vendor,
        CPU_COUNT: str(sku.vcpus),
    }


def _resources(sku: Sku) -> Mapping[str, Decimal]:
    """The most that a node of the size can offer of each resource."""
    nvidia = sku.gpus.count if sku.gpus.vendor == "nvidia" else 0
    return {
        labels.GPU_RESOURCE: Decimal(nvidia),
        "cpu": Decimal(sku.vcpus),
        "memory": Decimal(sku.ram_gib) * GIB,
    }


def _allows(requirement: Requirement, value: str) -> bool:
    """Whether a node whose label has this value is allowed. An operator that nobody knows, and a
    bound that is no number, allow all."""
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "DoesNotExist":
            return False
        case operator:
            compare, bounds = _COMPARISONS.get(operator), requirement.values
            if compare is None or len(bounds) != 1 or not bounds[0].isdecimal():
                return True
            return not value.isdecimal() or compare(Decimal(value), Decimal(bounds[0]))


def _written(requirement: Requirement) -> str:
    values = f" [{', '.join(requirement.values)}]" if requirement.values else ""
    return f"{requirement.operator}{values}"[:100]
