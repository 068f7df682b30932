"""From a claim to the node it asks for: requirements read once, in no cloud's terms.

A request is deterministic: the same claim always asks for the same node, so that a repeated
launch cannot ask for another one. What cannot be honoured is refused with a sentence, never
guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import TypedDict

from kaito.api import labels
from kaito.api.wishes import spot_price
from kaito.provisioner import ownership
from kaito.provisioner.claim import DIALECTS, Claim, Requirement, Taint
from kaito.runtime import parse_quantity

# Another name of the instance type, which KAITO's NodeClaims carry beside it.
SKU_NAME = "karpenter.azure.com/sku-name"

# Labels in these domains are the kubelet's and the cloud's to set; sent by us they are refused.
RESERVED_DOMAINS = ("kubernetes.io", "k8s.io", "kubernetes.azure.com")
# What is written on a Node when it has been made a claim's own, and when Pods can run there.
REGISTERED_LABEL = "karpenter.sh/registered"
INITIALIZED_LABEL = "karpenter.sh/initialized"
# On a claim these would prove or pretend what only we can know; the first is AKS's own.
RESERVED = frozenset(
    {
        "agentpool",
        REGISTERED_LABEL,
        INITIALIZED_LABEL,
        ownership.CREATED,
        ownership.LAUNCHED,
        ownership.SHAPE,
        ownership.SHARED,
        ownership.CLUSTER,
    }
)

# Annotations whose values may be refused later.
_QUOTED = (labels.OS_DISK_TYPE, labels.NODE_IMAGE_FAMILY, labels.GPU_DRIVER)

GIB = 1024**3


class Unsatisfiable(ValueError):
    """The claim asks for something that no node can be; the message says what and how to fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """One node to be made."""

    name: str
    """The pool's name, equal to the claim's."""
    instance_types: tuple[str, ...]
    """In order of preference; never empty."""
    labels: Mapping[str, str]
    """Labels of the node, the proofs of ownership among them."""
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()
    """Those that the node has at first only."""
    disk_gib: int = 0
    """Size of the OS disk in GiB, 0 for the cloud's default."""
    disk_type: str = ""
    """ephemeral or managed; "" for the settings' choice."""
    image_family: str = "ubuntu"
    gpu_driver: str = ""
    """install or none; "" for the settings' choice."""
    zones: tuple[str, ...] = ()
    """Zones as Kubernetes names them (eastus-1); empty for any."""
    spot: bool = False
    spot_price: float | None = None
    """Dollars an hour at most; None for up to the on-demand price, at which nobody is evicted for
    the price."""
    written: tuple[tuple[str, str], ...] = ()
    """What the claim says word by word, by annotation and resource: for messages alone."""


def node_request(claim: Claim, cluster: str = "") -> NodeRequest:
    """The node that a claim asks for. Unsatisfiable when there can be none.

    `cluster` is the uid of the cluster that asks; the node's labels carry it as a proof.
    """
    meta, asked = claim.metadata, claim.spec.requirements
    said = meta.annotations
    systems = wanted(asked, labels.OS, there_are=("linux",))
    if systems is not None and "linux" not in systems:
        raise Unsatisfiable(
            f"spec.requirements allows only {labels.OS} {', '.join(systems)}: "
            "allow linux, no other nodes are made"
        )
    instance_types = wanted(asked, labels.INSTANCE_TYPE, SKU_NAME)
    if not instance_types:
        raise Unsatisfiable(
            f"spec.requirements names no instance type: add {{key: {labels.INSTANCE_TYPE}, "
            "operator: In, values: [...]}"
        )
    return NodeRequest(
        name=meta.name,
        instance_types=instance_types,
        labels=_labels(claim, cluster),
        taints=claim.spec.taints,
        startup_taints=claim.spec.startup_taints,
        disk_gib=_disk(claim.requests),
        disk_type=said.get(labels.OS_DISK_TYPE, "").lower(),
        image_family=(said.get(labels.NODE_IMAGE_FAMILY) or "ubuntu").lower(),
        gpu_driver=said.get(labels.GPU_DRIVER, "").lower(),
        zones=wanted(asked, labels.ZONE) or (),
        written=(
            *((name, said[name]) for name in _QUOTED if name in said),
            ("storage", str(claim.requests.get("storage", ""))),
        ),
        **_capacity(asked, said.get(labels.SPOT_MAX_PRICE, "")),
    )


def wanted(
    requirements: Sequence[Requirement], *keys: str, there_are: tuple[str, ...] = ()
) -> tuple[str, ...] | None:
    """The values that all In requirements on `keys` allow, in the order of the first of them.

    The keys are names of one thing. None when nothing constrains it. Values excluded by NotIn are
    left out, of `there_are` where nothing else says what there is. Unsatisfiable when nothing is
    left, or less of a choice than minValues wants.
    """
    about = [requirement for requirement in requirements if requirement.key in keys]
    allowing = [requirement.values for requirement in about if requirement.operator == "In"]
    banned = {v for r in about if r.operator == "NotIn" for v in r.values}
    if not allowing and there_are and banned:
        allowing = [there_are]
    if not allowing:
        return None
    left = tuple(
        value
        for value in dict.fromkeys(allowing[0])
        if value not in banned and all(value in values for values in allowing)
    )
    if not left:
        raise Unsatisfiable(
            f"spec.requirements on {keys[0]} leave no value: they contradict each other"
        )
    choice = max(requirement.min_values or 0 for requirement in about)
    if len(left) < choice:
        raise Unsatisfiable(
            f"spec.requirements on {keys[0]} leave {len(left)} values and minValues wants "
            f"{choice}: allow more of them, or lower minValues"
        )
    return left


class _Capacity(TypedDict):
    spot: bool
    spot_price: float | None


def _capacity(asked: Sequence[Requirement], price: str) -> _Capacity:
    """On-demand when both are allowed and no price is named: an eviction would end the model that
    somebody talks to."""
    allowed = wanted(asked, labels.CAPACITY_TYPE, there_are=("on-demand", "spot"))
    if allowed is not None and not {"on-demand", "spot"}.intersection(allowed):
        raise Unsatisfiable(
            f"spec.requirements allows only {labels.CAPACITY_TYPE} {', '.join(allowed)}: "
            "allow on-demand or spot"
        )
    if not price:
        return _Capacity(spot=allowed is not None and "on-demand" not in allowed, spot_price=None)
    if allowed is not None and "spot" not in allowed:
        raise Unsatisfiable(
            f"annotation {labels.SPOT_MAX_PRICE} is {price!r} and spec.requirements allows only "
            f"{labels.CAPACITY_TYPE} {', '.join(allowed)}: remove the one, or allow spot"
        )
    try:
        return _Capacity(spot=True, spot_price=spot_price(price))
    except ValueError as error:
        raise Unsatisfiable(f"annotation {labels.SPOT_MAX_PRICE} {error}") from None


def _labels(claim: Claim, cluster: str) -> dict[str, str]:
    meta, dialect = claim.metadata, claim.dialect
    # The other kind's provisioner would make the pool look like the other kind's.
    foreign = {other.provisioner for other in DIALECTS.values()} - {dialect.provisioner}
    own = {
        name: value
        for name, value in meta.labels.items()
        if not reserved(name) and name not in foreign
    }
    return {
        dialect.provisioner: dialect.provisioner_default,
        **own,
        **({ownership.NODE_CLASS: claim.node_class} if claim.node_class else {}),
        ownership.CREATED: ownership.label_of(claim.born),
        **({ownership.CLUSTER: cluster} if cluster else {}),
    }


def reserved(label: str) -> bool:
    """Whether a claim's label is not for its node: it belongs to the kubelet, the cloud or us."""
    domain, slash, _ = label.partition("/")
    return label in RESERVED or (
        bool(slash)
        and any(domain == owner or domain.endswith(f".{owner}") for owner in RESERVED_DOMAINS)
    )


def _disk(requests: Mapping[str, str | int]) -> int:
    """Whole GiB, rounded up, so that the node has at least what was asked for."""
    sizes: dict[str, Decimal] = {}
    for name, quantity in requests.items():
        try:
            sizes[name] = parse_quantity(quantity)
        except ValueError as error:
            # Of the others, too: they are compared with the node, which costs money by then.
            raise Unsatisfiable(f"spec.resources.requests.{name}: {error}") from None
    storage, size = requests.get("storage", "0"), sizes.get("storage", Decimal(0))
    if size < 0:
        raise Unsatisfiable(
            f"spec.resources.requests.storage is {storage}: ask for a positive size such as 80Gi, "
            "or leave it out for the cloud's default"
        )
    return ceil(size / GIB)
