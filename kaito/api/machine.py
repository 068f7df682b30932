"""Machine, karpenter.sh/v1alpha5: the request for one node, as Karpenter 0.29-0.32 defined it.

The wire format is karpenter's, so that any provisioner that honours Machines can serve ours.
Every spec field is optional there, and so it is here. The module decides nothing about nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from kaito.api.crd import AGE, Column, Definition, Names, Version, condition_column
from kaito.api.meta import Condition, ObjectMeta, Quantity, Wire

GROUP = "karpenter.sh"
VERSION = "v1alpha5"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Machine"
PLURAL = "machines"

FINALIZER = "karpenter.sh/termination"

# Conditions. Ready is True if and only if the other three are.
LAUNCHED = "MachineLaunched"
REGISTERED = "MachineRegistered"
INITIALIZED = "MachineInitialized"
READY = "Ready"
LIVING = (LAUNCHED, REGISTERED, INITIALIZED)

Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"})]
Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
Count32 = Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"})]


class Taint(Wire):
    """Keeps Pods off the node unless they tolerate it."""

    key: str
    """The taint's key."""
    value: str = ""
    """The taint's value."""
    effect: str
    """NoSchedule, PreferNoSchedule or NoExecute."""
    time_added: Annotated[str, Field(json_schema_extra={"format": "date-time"})] = ""
    """When the taint was added; written for NoExecute taints only."""


class Requirement(Wire):
    """What the node must be, as a node selector requirement over labels."""

    key: str
    """The label that the requirement is about."""
    operator: str
    """In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: tuple[str, ...] = ()
    """Label values; their meaning depends on the operator."""


class MachineTemplateRef(Wire):
    """Names the cloud provider's template of the node."""

    api_version: str = ""
    """API version of the template."""
    kind: str = ""
    """Kind of the template."""
    name: str
    """Name of the template."""


class MachineResources(Wire):
    """What the node must offer at least."""

    requests: Mapping[str, Quantity] = {}
    """Amounts by resource name; `storage` sizes the OS disk."""


class Kubelet(Wire):
    """Arguments of the node's kubelet."""

    cluster_dns: Annotated[tuple[str, ...], Field(alias="clusterDNS")] = ()
    """Addresses of the cluster's DNS servers."""
    container_runtime: str = ""
    """The container runtime to use."""
    max_pods: Count32 | None = None
    """Most Pods that may run on the node."""
    pods_per_core: Count32 | None = None
    """Most Pods that may run for each core."""
    system_reserved: Mapping[str, Quantity] = {}
    """Resources kept for the operating system."""
    kube_reserved: Mapping[str, Quantity] = {}
    """Resources kept for Kubernetes' own daemons."""
    eviction_hard: Mapping[str, str] = {}
    """Signal thresholds that evict at once."""
    eviction_soft: Mapping[str, str] = {}
    """Signal thresholds that evict after a grace period."""
    eviction_soft_grace_period: Mapping[str, str] = {}
    """Grace period of each soft signal."""
    eviction_max_pod_grace_period: Int32 | None = None
    """Most seconds that a Pod gets to end after a soft eviction."""
    image_gc_high_threshold_percent: Annotated[
        Percent | None, Field(alias="imageGCHighThresholdPercent")
    ] = None
    """Disk use above which images are always collected."""
    image_gc_low_threshold_percent: Annotated[
        Percent | None, Field(alias="imageGCLowThresholdPercent")
    ] = None
    """Disk use below which images are never collected."""
    cpu_cfs_quota: Annotated[bool | None, Field(alias="cpuCFSQuota")] = None
    """Whether CPU limits are enforced with CFS quotas."""


class MachineSpec(Wire):
    """The node that is wanted."""

    requirements: tuple[Requirement, ...] = ()
    """What the node must be; all of them hold together."""
    taints: tuple[Taint, ...] = ()
    """Taints that the node keeps."""
    startup_taints: tuple[Taint, ...] = ()
    """Taints that somebody removes once the node is prepared."""
    resources: MachineResources | None = None
    """What the node must offer at least."""
    machine_template_ref: MachineTemplateRef | None = None
    """Names the cloud provider's template of the node."""
    kubelet: Kubelet | None = None
    """Arguments of the node's kubelet."""


class MachineCondition(Condition):
    """One step of the node's way to readiness, with the reason in words."""

    severity: str = ""
    """Empty for conditions that readiness depends on; Warning or Info for the others."""


class MachineStatus(Wire):
    """What became of the request."""

    node_name: str = ""
    """The Node object that answers the request."""
    provider_id: Annotated[str, Field(alias="providerID")] = ""
    """The cloud's identifier of the instance, equal to the Node's spec.providerID."""
    capacity: Mapping[str, Quantity] = {}
    """What the node has."""
    allocatable: Mapping[str, Quantity] = {}
    """What of it Pods can use."""
    conditions: tuple[MachineCondition, ...] = ()
    """MachineLaunched, MachineRegistered, MachineInitialized and Ready."""


class Machine(Wire):
    """Machine asks for one node; whoever provisions nodes answers in its status."""

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: ObjectMeta = ObjectMeta()
    spec: MachineSpec = MachineSpec()
    """The node that is wanted."""
    status: MachineStatus = MachineStatus()
    """What became of the request."""


DEFINITION = Definition(
    group=GROUP,
    names=Names(kind=KIND, plural=PLURAL, categories=("karpenter",)),
    namespaced=False,
    versions=(Version(name=VERSION, stored=True),),
    model=Machine,
    columns=(
        Column(name="Type", json_path=r".metadata.labels.node\.kubernetes\.io/instance-type"),
        Column(name="Zone", json_path=r".metadata.labels.topology\.kubernetes\.io/zone"),
        Column(name="Node", json_path=".status.nodeName"),
        condition_column("Ready"),
        AGE,
        Column(
            name="Capacity",
            json_path=r".metadata.labels.karpenter\.sh/capacity-type",
            priority=1,
        ),
        Column(
            name="Provisioner",
            json_path=r".metadata.labels.karpenter\.sh/provisioner-name",
            priority=1,
        ),
        Column(name="Template", json_path=".spec.machineTemplateRef.name", priority=1),
    ),
)
