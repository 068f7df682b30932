"""A request for one node, whichever of the two kinds it was written as.

Machine (karpenter.sh/v1alpha5) and NodeClaim (karpenter.sh/v1) ask for the same thing in nearly
the same words, so one form reads both; where they differ a `Dialect` says how. Reading is lenient:
what an API server has accepted is never refused here, and fields that nobody decides by are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from kaito.api import labels, machine, nodeclaim
from kaito.api.machine import FINALIZER
from kaito.runtime import Truth, parse_rfc3339

NODEPOOL = "karpenter.sh/nodepool"
DEFAULT_NODEPOOL = "kaito"
# Karpenter's, RFC 3339: when Pods are no longer waited for while the claim is deleted.
TERMINATION = "karpenter.sh/nodeclaim-termination-timestamp"

_STEP = re.compile(r"([0-9]+)([smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one kind of claim calls things."""

    kind: Literal["Machine", "NodeClaim"]
    api_version: str
    plural: str
    launched: str
    registered: str
    initialized: str
    not_launched: str
    """The reason of what has to wait for the launch."""
    not_registered: str
    """The reason of what has to wait for the registration."""
    provisioner: str
    """The label that says through which provisioner a node came; by it the kinds' pools differ."""
    provisioner_default: str
    pending: Truth
    """What a condition is while something is missing that will come by itself."""


MACHINE = Dialect(
    kind="Machine",
    api_version=machine.API_VERSION,
    plural=machine.PLURAL,
    launched=machine.LAUNCHED,
    registered=machine.REGISTERED,
    initialized=machine.INITIALIZED,
    not_launched="MachineNotLaunched",
    not_registered="MachineNotRegistered",
    provisioner=labels.PROVISIONER_NAME,
    provisioner_default=labels.DEFAULT_PROVISIONER,
    pending="False",
)
NODECLAIM = Dialect(
    kind="NodeClaim",
    api_version=nodeclaim.API_VERSION,
    plural=nodeclaim.PLURAL,
    launched=nodeclaim.LAUNCHED,
    registered=nodeclaim.REGISTERED,
    initialized=nodeclaim.INITIALIZED,
    not_launched="AwaitingReconciliation",
    not_registered="AwaitingReconciliation",
    provisioner=NODEPOOL,
    provisioner_default=DEFAULT_NODEPOOL,
    pending="Unknown",
)
DIALECTS = {dialect.kind: dialect for dialect in (MACHINE, NODECLAIM)}


class Requirement(msgspec.Struct, frozen=True, rename="camel"):
    """What the node must be, as a node selector requirement over labels."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    min_values: int | None = None


class Taint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Keeps Pods off the node unless they tolerate it."""

    key: str
    effect: str
    value: str = ""


class Resources(msgspec.Struct, frozen=True):
    """What the node must offer at least."""

    requests: dict[str, str | int] = {}


class NodeClass(msgspec.Struct, frozen=True):
    """Names the provider's class of the node; NodeClaims have one."""

    group: str = ""
    kind: str = ""
    name: str = ""


class ClaimMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Of a claim's metadata."""

    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for; finalizers may still hold the object."""
        return self.deletion_timestamp is not None


class ClaimSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The node that is wanted."""

    requirements: tuple[Requirement, ...] = ()
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()
    resources: Resources | None = None
    node_class_ref: NodeClass | None = None
    expire_after: str = "Never"
    termination_grace_period: str | None = None


class ClaimStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What became of the request."""

    node_name: str = ""
    provider_id: str = msgspec.field(default="", name="providerID")
    image_id: str = msgspec.field(default="", name="imageID")
    capacity: dict[str, str | int] = {}
    allocatable: dict[str, str | int] = {}
    # Any: conditions of others are written back as they are.
    conditions: tuple[dict[str, Any], ...] = ()


class Claim(msgspec.Struct, frozen=True):
    """A Machine or a NodeClaim."""

    kind: Literal["Machine", "NodeClaim"]
    metadata: ClaimMeta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()

    @property
    def dialect(self) -> Dialect:
        """What its kind calls things."""
        return DIALECTS[self.kind]

    @property
    def held(self) -> bool:
        """Whether our finalizer keeps it."""
        return FINALIZER in self.metadata.finalizers

    @property
    def node_class(self) -> str:
        """The name of its KaitoNodeClass, "" when it refers to none."""
        reference = self.spec.node_class_ref or NodeClass()
        ours = (nodeclaim.NODE_CLASS_GROUP, nodeclaim.NODE_CLASS_KIND)
        return reference.name if (reference.group, reference.kind) == ours else ""

    @property
    def born(self) -> float:
        """When it was created, in seconds since the epoch."""
        return parse_rfc3339(self.metadata.creation_timestamp)

    @property
    def dying_since(self) -> float | None:
        """When its deletion was asked for, in seconds since the epoch; None while it lives."""
        dying = self.metadata.deletion_timestamp
        return None if dying is None else parse_rfc3339(dying)

    @property
    def requests(self) -> Mapping[str, str | int]:
        """What the node must offer at least, by resource."""
        return self.spec.resources.requests if self.spec.resources else {}

    def is_true(self, type_: str) -> bool:
        """Whether its condition of this type is True."""
        return any(
            condition.get("type") == type_ and condition.get("status") == "True"
            for condition in self.status.conditions
        )

    @property
    def launched(self) -> bool:
        """Whether its Node has been found."""
        return self.is_true(self.dialect.launched)


def duration(text: str) -> float | None:
    """Seconds of a duration such as 1h30m; None when it is Never, or no duration."""
    steps = _STEP.findall(text)
    if not steps or "".join(number + unit for number, unit in steps) != text:
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in steps)
