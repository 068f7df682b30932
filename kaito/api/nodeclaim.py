"""NodeClaim, karpenter.sh/v1: the request for one node, as Karpenter defines it since 1.0.

The wire format is karpenter's, so that any provisioner that honours NodeClaims can serve ours, and
ours can serve any client. Its spec cannot be changed. The module decides nothing about nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from kaito.api.crd import AGE, Column, Definition, Names, Version, condition_column
from kaito.api.labels import KEY_LENGTH, VALUE_LENGTH
from kaito.api.meta import FEW, Condition, ObjectMeta, Quantity, Text, Timestamp, Wire
from kaito.api.rules import Rule, UpdateRule

GROUP = "karpenter.sh"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "NodeClaim"
PLURAL = "nodeclaims"

FINALIZER = "karpenter.sh/termination"
NODE_CLASS_GROUP = "kaito.sh"
NODE_CLASS_KIND = "KaitoNodeClass"

# Conditions. Ready is True if and only if the first three are.
LAUNCHED = "Launched"
REGISTERED = "Registered"
INITIALIZED = "Initialized"
READY = "Ready"
LIVING = (LAUNCHED, REGISTERED, INITIALIZED)

_DURATION = r"([0-9]+(s|m|h))+"
Duration = Annotated[str, Field(max_length=64, pattern=f"^({_DURATION})$")]
Lifetime = Annotated[str, Field(max_length=64, pattern=f"^(({_DURATION})|(Never))$")]


class Taint(Wire):
    """Keeps Pods off the node unless they tolerate it."""

    key: Annotated[str, Field(min_length=1, max_length=KEY_LENGTH)]
    """The taint's key."""
    value: Annotated[str, Field(max_length=VALUE_LENGTH)] = ""
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What becomes of Pods that do not tolerate it."""
    time_added: Timestamp = ""
    """When the taint was added; written for NoExecute taints only."""


class Requirement(Wire):
    """What the node must be, as a node selector requirement over labels."""

    key: Annotated[str, Field(max_length=316)]
    """The label that the requirement is about."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label's value relates to the values."""
    values: Annotated[
        tuple[Annotated[str, Field(max_length=VALUE_LENGTH)], ...], Field(max_length=100)
    ] = ()
    """Label values; their meaning depends on the operator."""
    min_values: Annotated[int | None, Field(ge=1, le=50)] = None
    """Of how many of the values there must be a choice."""


class NodeClassReference(Wire):
    """Names the cloud provider's class of the node."""

    group: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^/]*$")]
    """API group of the class."""
    kind: Annotated[str, Field(min_length=1, max_length=253)]
    """Kind of the class."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the class."""


class ResourceRequirements(Wire):
    """What the node must offer at least."""

    requests: Annotated[Mapping[str, Quantity], FEW] = {}
    """Amounts by resource name; `storage` sizes the OS disk."""


class NodeClaimSpec(Wire):
    """The node that is wanted. It cannot be changed."""

    node_class_ref: NodeClassReference
    """Names the cloud provider's class of the node."""
    requirements: Annotated[tuple[Requirement, ...], Field(max_length=100)]
    """What the node must be; all of them hold together."""
    taints: Annotated[tuple[Taint, ...], Field(max_length=100)] = ()
    """Taints that the node keeps."""
    startup_taints: Annotated[tuple[Taint, ...], Field(max_length=100)] = ()
    """Taints that somebody removes once the node is prepared."""
    resources: ResourceRequirements | None = None
    """What the node must offer at least."""
    expire_after: Lifetime = "720h"
    """How long the node may live, such as 720h, or Never."""
    termination_grace_period: Duration | None = None
    """How long Pods may take to leave a node that is being deleted."""


class NodeClaimStatus(Wire):
    """What became of the request."""

    node_name: Text = ""
    """The Node object that answers the request."""
    provider_id: Annotated[Text, Field(alias="providerID")] = ""
    """The cloud's identifier of the instance, equal to the Node's spec.providerID."""
    image_id: Annotated[Text, Field(alias="imageID")] = ""
    """The cloud's identifier of the image that the instance runs."""
    capacity: Annotated[Mapping[str, Quantity], FEW] = {}
    """What the node has."""
    allocatable: Annotated[Mapping[str, Quantity], FEW] = {}
    """What of it Pods can use."""
    last_pod_event_time: Timestamp = ""
    """When a Pod last came to the node or left it."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=100)] = ()
    """Launched, Registered, Initialized, Ready, and others."""


class NodeClaim(Wire):
    """NodeClaim asks for one node; whoever provisions nodes answers in its status."""

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeClaimSpec
    """The node that is wanted. It cannot be changed."""
    status: NodeClaimStatus = NodeClaimStatus()
    """What became of the request."""


RULES = (
    Rule(
        path="spec.requirements[]",
        cel="self.operator != 'In' || (has(self.values) && self.values.size() > 0)",
        holds=lambda v: (
            not isinstance(v, Mapping) or v.get("operator") != "In" or bool(v.get("values"))
        ),
        message="A requirement with operator In must have a value.",
    ),
    Rule(
        path="spec.requirements[]",
        cel="!(self.operator in ['Gt', 'Lt']) || (has(self.values) && self.values.size() == 1 "
        "&& self.values[0].matches('^[0-9]+$'))",
        holds=lambda v: (
            not isinstance(v, Mapping)
            or v.get("operator") not in ("Gt", "Lt")
            or _one_number(v.get("values"))
        ),
        message="A requirement with operator Gt or Lt must have one value, a whole number of at "
        "least 0.",
    ),
)
UPDATE_RULES = (
    UpdateRule(
        path="spec",
        cel="self == oldSelf",
        holds=lambda new, old: new == old,
        message="spec cannot be changed: delete the NodeClaim and create another one.",
    ),
)


def _one_number(values: object) -> bool:
    one = values[0] if isinstance(values, list) and len(values) == 1 else ""
    return isinstance(one, str) and one.isascii() and one.isdigit()


def _label(name: str) -> str:
    return ".metadata.labels." + name.replace(".", r"\.")


DEFINITION = Definition(
    group=GROUP,
    names=Names(kind=KIND, plural=PLURAL, categories=("karpenter",)),
    namespaced=False,
    versions=(Version(name=VERSION, stored=True),),
    model=NodeClaim,
    columns=(
        Column(name="Type", json_path=_label("node.kubernetes.io/instance-type")),
        Column(name="Capacity", json_path=_label("karpenter.sh/capacity-type")),
        Column(name="Zone", json_path=_label("topology.kubernetes.io/zone")),
        Column(name="Node", json_path=".status.nodeName"),
        condition_column(READY),
        AGE,
        Column(name="ImageID", json_path=".status.imageID", priority=1),
        Column(name="ID", json_path=".status.providerID", priority=1),
        Column(name="NodePool", json_path=_label("karpenter.sh/nodepool"), priority=1),
        Column(name="NodeClass", json_path=".spec.nodeClassRef.name", priority=1),
        condition_column("Drifted", priority=1),
    ),
    rules=(*RULES, *UPDATE_RULES),
)
