"""What is seen of a Workspace at one moment. Values only; nothing here reads or judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kaito.api import conditions, labels
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.workspace.kinds import (
    CLAIMS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.parameters import Config
from kaito.controllers.workspace.progress import Progress
from kaito.controllers.workspace.strangers import Unread
from kaito.runtime import Key, Object, Resource

FIELDS_TOLD = 3  # of those that somebody changes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why an object of ours could not be written; learnt by trying."""

    kind: str
    reason: str
    message: str


def taken(kind: str, name: str) -> Obstacle:
    """Somebody else's object has the name that one of ours would have."""
    return Obstacle(
        kind=kind,
        reason=conditions.NAME_TAKEN,
        message=f"{kind} {name} exists already and does not belong to this Workspace: delete it, "
        "or give the Workspace another name.",
    )


def changed_back(kind: str, name: str, paths: Sequence[str]) -> Obstacle:
    """Somebody else keeps giving fields of ours other values."""
    fields = ", ".join(paths[:FIELDS_TOLD]) or "fields"
    return Obstacle(
        kind=kind,
        reason=conditions.CONTESTED,
        message=f"{kind} {name}: somebody changes {fields} back each time that KAITO writes it. "
        "Find who does (kubectl get -o yaml --show-managed-fields) and keep one of both; KAITO "
        "writes it again now and then.",
    )


def not_served(kind: str) -> Obstacle:
    """What nodes are asked for by is not known to the API server."""
    return Obstacle(
        kind=kind,
        reason=conditions.KIND_NOT_SERVED,
        message=f"The manager asks for nodes by {kind}s (--node-request), and when it started the "
        "API server had none or let it read none: install Karpenter, apply "
        "config/rbac/node-requests.yaml, and restart the manager, or start it with another way.",
    )


class Child(NamedTuple):
    """Something that is there under a name of ours."""

    resource: Resource[Object]
    object: Object | None

    @property
    def metadata(self) -> Object:
        found: Object = (self.object or {}).get("metadata", {})
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that a decision about one Workspace depends on, at one moment."""

    workspace: Object
    orders: tuple[Order, ...] = ()
    """What asks for nodes and carries this Workspace's labels, in order of kind and name."""
    nodes: tuple[Node, ...] = ()
    """Those that carry this Workspace's labels, and those of nobody that its selector allows."""
    taken: frozenset[str] = frozenset()
    """Names of nodes that another Workspace has a better claim to."""
    contested: frozenset[str] = frozenset()
    """Names of nodes that it counts and does not use yet, and that another one counts as well."""
    config: Config | None = None
    """The ConfigMap that it names, None when it names none."""
    unread: Unread | None = None
    """Why its model is not known, where that may change."""
    deployment: Object | None = None
    stateful_set: Object | None = None
    job: Object | None = None
    checkpoints: Object | None = None
    """The claim of the disk that a training keeps its checkpoints on."""
    progress: Progress | None = None
    """What the trainer said last, as far as this process has heard it."""
    service: Object | None = None
    headless: Object | None = None
    """The Service that gives each Pod a name of its own."""
    disruption_budget: Object | None = None
    network_policy: Object | None = None
    pods: tuple[Object, ...] = ()
    revisions: tuple[Object, ...] = ()
    """ControllerRevisions that carry this Workspace's labels."""
    good_config: Config | None = None
    """The ConfigMap of the revision to go back to, where there is one."""
    obstacles: tuple[Obstacle, ...] = ()
    now: float = 0.0
    """Seconds since the epoch."""

    @property
    def children(self) -> tuple[Child, ...]:
        """All objects that are there under the names of ours, whoever made them."""
        found = (
            Child(DEPLOYMENTS, self.deployment),
            Child(STATEFUL_SETS, self.stateful_set),
            Child(JOBS, self.job),
            Child(SERVICES, self.service),
            Child(SERVICES, self.headless),
            Child(DISRUPTION_BUDGETS, self.disruption_budget),
            Child(NETWORK_POLICIES, self.network_policy),
            Child(CLAIMS, self.checkpoints),
        )
        return tuple(each for each in found if each.object)

    @property
    def workload(self) -> Object | None:
        """What runs its Pods; None where nothing does that is its own."""
        subject = Subject(self.workspace)
        found = (self.stateful_set, self.deployment, self.job)
        return next((each for each in found if subject.owns(each)), None)


@dataclass(frozen=True, slots=True)
class Subject:
    """Which Workspace it is: its metadata, read without trust in anything else of it."""

    workspace: Object

    @property
    def metadata(self) -> Object:
        found: Object = self.workspace.get("metadata", {})
        return found

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid", ""))

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation", 0))

    @property
    def deleting(self) -> bool:
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def finalizers(self) -> tuple[str, ...]:
        return tuple(self.metadata.get("finalizers") or ())

    @property
    def held(self) -> bool:
        """Whether our finalizer keeps the object."""
        return labels.FINALIZER in self.finalizers

    @property
    def status(self) -> Object:
        found: Object = self.workspace.get("status") or {}
        return found

    @property
    def headless(self) -> Key:
        """The Service that gives each of its Pods a name of its own."""
        return Key(self.namespace, f"{self.name}-headless")

    @property
    def checkpoints(self) -> Key:
        """The claim of the disk that its training keeps its checkpoints on."""
        return Key(self.namespace, f"{self.name}-checkpoints")

    @property
    def tunes(self) -> bool:
        """Whether a model is tuned and not served."""
        return self.workspace.get("tuning") is not None

    @property
    def work(self) -> str:
        """The type of the condition that tells whether it does what it is there for."""
        return conditions.JOB_STARTED if self.tunes else conditions.INFERENCE_READY

    @property
    def identity(self) -> dict[str, str]:
        """The labels of what belongs to it."""
        return {labels.WORKSPACE: self.name, labels.WORKSPACE_NAMESPACE: self.namespace}

    def child(self, name: str = "") -> Object:
        """The metadata of what goes when it goes; it is called like the Workspace unless named."""
        return {
            "name": name or self.name,
            "namespace": self.namespace,
            "labels": self.identity,
            "ownerReferences": [self.owner],
        }

    @property
    def owner(self) -> Object:
        """The owner reference of what goes when it goes."""
        return {
            "apiVersion": WORKSPACES.api_version,
            "kind": WORKSPACES.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def owns(self, obj: Object | None) -> bool:
        """Whether this very Workspace is the object's controller."""
        references = (obj or {}).get("metadata", {}).get("ownerReferences") or ()
        return any(r.get("controller") and r.get("uid") == self.uid for r in references)


def identity_index(found: Mapping[str, str]) -> str:
    """Which Workspace these labels name, as namespace/name; "" for none."""
    name, namespace = found.get(labels.WORKSPACE), found.get(labels.WORKSPACE_NAMESPACE)
    return f"{namespace}/{name}" if name and namespace else ""


def preset_name(workspace: Object) -> str:
    """The preset that a Workspace names, "" for none; read without trust in its shape."""
    for part in ("inference", "tuning"):
        found = workspace.get(part)
        preset = found.get("preset") if isinstance(found, dict) else None
        name = preset.get("name") if isinstance(preset, dict) else None
        if isinstance(name, str):
            return name
    return ""
