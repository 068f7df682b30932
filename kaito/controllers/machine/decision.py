"""What a decision is made from, and what it says. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from kaito.catalog.sku import Sku
from kaito.controllers.kinds import Node
from kaito.controllers.machine.cloud import UNASKED, Ask, CloudFacts
from kaito.controllers.machine.kinds import Pod
from kaito.provisioner import Pool
from kaito.provisioner.claim import Claim, Dialect
from kaito.runtime import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenancy:
    """The Pods of the Nodes that are being emptied."""

    pods: tuple[Pod, ...]
    at: float
    """When they were listed, in seconds since the epoch."""
    refused: Mapping[str, str]
    """Why a Pod may not be evicted yet, by its uid: mostly a disruption budget."""
    trouble: str = ""
    """Why they may not be listed, "" when they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How the claims that are ours to serve and have a Node are doing altogether."""

    claims: int
    unhealthy: int
    """Whose Node has worked and is not ready."""
    leaving: int
    """Being deleted."""

    @property
    def most(self) -> int:
        """How many may be out of service at once for us to take away another one."""
        return max(1, self.claims // 5)


@dataclass(frozen=True, slots=True)
class Host:
    """A pool that a claim might share."""

    pool: Pool
    living: int
    """How many claims it has that are not being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One claim's world at one moment."""

    name: str
    dialect: Dialect
    claim: Claim | None
    """None when there is no such claim (any more)."""
    pool: str
    """The name of the claim's pool; the same as its own unless it shares another one's."""
    nodes: tuple[Node, ...] = ()
    """The Nodes that say they are of the claim's pool, in no order."""
    mates: tuple[Claim, ...] = ()
    """The other claims of its kind whose pool it is."""
    live: tuple[Claim, ...] | None = None
    """The same, as the API server says at this moment; None until somebody has asked."""
    hosts: tuple[Host, ...] | None = None
    """All pools of the cluster; None until somebody has asked."""
    shared: bool = False
    """Whether others use the pool, too: `nodes` are then the claim's alone."""
    beside: tuple[Node, ...] = ()
    """The other Nodes of a shared pool."""
    strays: tuple[Node, ...] = ()
    """Those of them that are nobody's and that nobody waits for."""
    tenancy: Tenancy | None = None
    """None until somebody has asked."""
    fleet: Fleet | None = None
    """None until somebody has asked."""
    cloud: CloudFacts = UNASKED
    asked: frozenset[type[Ask]] = frozenset()
    """What the cloud has been asked in this run."""
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decisions depend on besides the observation."""

    cloud: str
    """What people call the cloud, to begin a sentence with."""
    poll_seconds: float
    """The unit of every pause."""
    size: Callable[[str], Sku | None]
    """What the catalogue knows of an instance type."""
    image_label: str = ""
    """The label by which a Node names its image, "" when the cloud has none."""
    cluster: str = ""
    """The uid of the namespace kube-system, which tells this cluster from others."""
    relabelling: Callable[[Pool, Mapping[str, str]], str] = lambda pool, labels: ""
    """See NodeSource."""
    making_patience: float = 3600.0
    """Seconds that a pool may be in the making. GPU nodes take 5 to 20 minutes."""
    joining_patience: float = 900.0
    """Seconds from then on for its Node to join; karpenter's registration timeout. Not in polls:
    a busy API server is no reason to throw nodes away."""
    most_useless: int = 3
    """Pools that may prove useless for one claim before somebody has to look why."""
    share_from: int = 90
    """As soon as the cluster has so many pools, claims share them: nine tenths of what AKS
    allows, so that those who cannot share find room."""
    drain_seconds: float = 3600.0
    """How long Pods may take to leave a Node whose claim does not say so itself."""
    expire: bool = False
    """Whether claims end with their expireAfter."""
    repair: bool = False
    """Whether a claim whose Node stays unhealthy is deleted."""
    unhealthy_patience: float = 600.0
    """Seconds after which an unhealthy Node is not expected to recover; gpu-provisioner's."""

    def gpus(self, instance_type: str) -> int:
        """NVIDIA GPUs of an instance type; 0 for types that nobody knows."""
        sku = self.size(instance_type)
        return sku.gpus.count if sku is not None and sku.gpus.vendor == "nvidia" else 0

    @property
    def longest_pause(self) -> float:
        """Between two looks or two attempts while nobody has to act: 5 min at the default poll."""
        return 20 * self.poll_seconds

    @property
    def user_pause(self) -> float:
        """Between two attempts while somebody has to act: 10 min at the default poll."""
        return 40 * self.poll_seconds

    @property
    def drain_pause(self) -> float:
        """Between two looks at the Pods of a Node that is being emptied: 5 s at the default
        poll."""
        return self.poll_seconds / 3


@dataclass(frozen=True, slots=True)
class ListPods:
    """Ask the API server which Pods are on these Nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """Ask how all the claims are doing."""


@dataclass(frozen=True, slots=True)
class ListMates:
    """Ask the API server, and no cache, which other claims are in the claim's pool."""


@dataclass(frozen=True, slots=True)
class ListHosts:
    """Ask which pools there are, and how many claims are in each."""


@dataclass(frozen=True, slots=True)
class PatchClaim:
    """A merge patch of the claim, refused when somebody wrote in between if it says so."""

    patch: Object


@dataclass(frozen=True, slots=True)
class DeleteClaim:
    """Ask for the claim's deletion; its finalizer does the rest."""

    uid: str


@dataclass(frozen=True, slots=True)
class PatchNode:
    """A merge patch of a Node, refused when somebody wrote in between."""

    name: str
    patch: Object


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Ask for a Node's deletion."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask a Pod to leave, if its disruption budget lets it."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a Pod for which there is no time left to wait, with what is left of it."""

    pod: Pod
    seconds: int


@dataclass(frozen=True, slots=True)
class SetStatus:
    """The claim's whole status."""

    status: Object


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about the claim, for people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Question = Ask | ListPods | Count | ListMates | ListHosts
PodWrite = Evict | DeletePod
ObjectWrite = PatchClaim | DeleteClaim | PatchNode | DeleteNode | SetStatus | Tell
Write = PodWrite | ObjectWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Either a question, after whose answer is decided anew, or writes in order."""

    ask: Question | None = None
    writes: tuple[Write, ...] = ()
    again: float | None = None
    """Seconds until the next look; None to wait for a change."""
