"""From a Machine to the node it asks for: requirements read once, in no cloud's terms.

A request is deterministic: the same Machine always asks for the same node, so that a repeated
launch cannot ask for another one. What cannot be honoured is refused with a sentence, never
guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from kaito.api import labels
from kaito.api.machine import Machine, MachineSpec, Taint
from kaito.provisioner import ownership
from kaito.runtime import parse_quantity

# Labels in these domains are the kubelet's and the cloud's to set; sent by us they are refused.
RESERVED_DOMAINS = ("kubernetes.io", "k8s.io", "kubernetes.azure.com")

GIB = 1024**3


class Unsatisfiable(ValueError):
    """The Machine asks for something that no node can be; the message says what and how to fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """One node to be made."""

    name: str
    """The pool's name, equal to the Machine's."""
    instance_types: tuple[str, ...]
    """In order of preference; never empty."""
    labels: Mapping[str, str]
    """Labels of the node, the proofs of ownership among them."""
    taints: tuple[Taint, ...] = ()
    disk_gib: int = 0
    """Size of the OS disk in GiB, 0 for the cloud's default."""
    image_family: str = "ubuntu"
    zones: tuple[str, ...] = ()
    """Zones as Kubernetes names them (eastus-1); empty for any."""
    spot: bool = False


def node_request(machine: Machine, cluster: str = "") -> NodeRequest:
    """The node that a Machine asks for. Unsatisfiable when there can be none.

    `cluster` is the uid of the cluster that asks; the node's labels carry it as a proof.
    """
    meta, spec = machine.metadata, machine.spec
    systems = wanted(spec, labels.OS)
    if systems is not None and "linux" not in systems:
        raise Unsatisfiable(
            f"spec.requirements allows only {labels.OS} {', '.join(systems)}: "
            "allow linux, no other nodes are made"
        )
    instance_types = wanted(spec, labels.INSTANCE_TYPE)
    if not instance_types:
        raise Unsatisfiable(
            f"spec.requirements names no instance type: add {{key: {labels.INSTANCE_TYPE}, "
            "operator: In, values: [...]}"
        )
    capacity = wanted(spec, labels.CAPACITY_TYPE)
    return NodeRequest(
        name=meta.name,
        instance_types=instance_types,
        labels=_labels(machine, cluster),
        taints=spec.taints,
        disk_gib=_disk(spec),
        image_family=meta.annotations.get(labels.NODE_IMAGE_FAMILY, "ubuntu").lower(),
        zones=wanted(spec, labels.ZONE) or (),
        # On-demand when both are allowed: an eviction would end the model that somebody talks to.
        spot=capacity is not None and "on-demand" not in capacity and "spot" in capacity,
    )


def wanted(spec: MachineSpec, key: str) -> tuple[str, ...] | None:
    """The values that all In requirements on `key` allow, in the order of the first of them.

    None when none constrains it. Values excluded by NotIn are left out. Unsatisfiable when
    nothing is left.
    """
    about = [requirement for requirement in spec.requirements if requirement.key == key]
    allowing = [requirement.values for requirement in about if requirement.operator == "In"]
    if not allowing:
        return None
    banned = {v for r in about if r.operator == "NotIn" for v in r.values}
    left = tuple(
        value
        for value in dict.fromkeys(allowing[0])
        if value not in banned and all(value in values for values in allowing)
    )
    if not left:
        raise Unsatisfiable(
            f"spec.requirements on {key} leave no value: they contradict each other"
        )
    return left


def _labels(machine: Machine, cluster: str) -> dict[str, str]:
    meta = machine.metadata
    own = {name: value for name, value in meta.labels.items() if not reserved(name)}
    return {
        labels.PROVISIONER_NAME: labels.DEFAULT_PROVISIONER,
        **own,
        ownership.CREATED: ownership.created_label(meta.creation_timestamp),
        **({ownership.CLUSTER: cluster} if cluster else {}),
    }


def reserved(label: str) -> bool:
    """Whether a label's domain belongs to the kubelet or the cloud."""
    domain, slash, _ = label.partition("/")
    return bool(slash) and any(
        domain == owner or domain.endswith(f".{owner}") for owner in RESERVED_DOMAINS
    )


def _disk(spec: MachineSpec) -> int:
    """Whole GiB, rounded up, so that the node has at least what was asked for."""
    requests = spec.resources.requests if spec.resources else {}
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
