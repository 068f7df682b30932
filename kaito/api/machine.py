"""Machine, karpenter.sh/v1alpha5: the request for one node, as Karpenter 0.29-0.32 defined it.

The wire format is karpenter's, so that any provisioner that honours Machines can serve ours.
Every spec field is optional there, and so it is here. The module decides nothing about nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from kaito.api.crd import AGE, Column, Definition, Names, Version, condition_column
from kaito.api.meta import FEW, Condition, Int32, ObjectMeta, Quantity, Text, Timestamp, Wire, Words

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

Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
Count32 = Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"})]


class Taint(Wire):
    """Keeps Pods off the node unless they tolerate it."""

    key: Text
    """The taint's key."""
    value: Text = ""
    """The taint's value."""
    effect: Text
    """NoSchedule, PreferNoSchedule or NoExecute."""
    time_added: Timestamp = ""
    """When the taint was added; written for NoExecute taints only."""


class Requirement(Wire):
    """What the node must be, as a node selector requirement over labels."""

    key: Text
    """The label that the requirement is about."""
    operator: Text
    """In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: Words = ()
    """Label values; their meaning depends on the operator."""


class MachineTemplateRef(Wire):
    """Names the cloud provider's template of the node."""

    api_version: Text = ""
    """API version of the template."""
    kind: Text = ""
    """Kind of the template."""
    name: Text
    """Name of the template."""


class MachineResources(Wire):
    """What the node must offer at least."""

    requests: Annotated[Mapping[str, Quantity], FEW] = {}
    """Amounts by resource name; `storage` sizes the OS disk."""


class Kubelet(Wire):
    """Arguments of the node's kubelet."""

    cluster_dns: Annotated[Words, Field(alias="clusterDNS")] = ()
    """Addresses of the cluster's DNS servers."""
    container_runtime: Text = ""
    """The container runtime to use."""
    max_pods: Count32 | None = None
    """Most Pods that may run on the node."""
    pods_per_core: Count32 | None = None
    """Most Pods that may run for each core."""
    system_reserved: Annotated[Mapping[str, Quantity], FEW] = {}
    """Resources kept for the operating system."""
    kube_reserved: Annotated[Mapping[str, Quantity], FEW] = {}
    """Resources kept for Kubernetes' own daemons."""
    eviction_hard: Annotated[Mapping[str, Text], FEW] = {}
    """Signal thresholds that evict at once."""
    eviction_soft: Annotated[Mapping[str, Text], FEW] = {}
    """Signal thresholds that evict after a grace period."""
    eviction_soft_grace_period: Annotated[Mapping[str, Text], FEW] = {}
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

    requirements: Annotated[tuple[Requirement, ...], Field(max_length=100)] = ()
    """What the node must be; all of them hold together."""
    taints: Annotated[tuple[Taint, ...], Field(max_length=100)] = ()
    """Taints that the node keeps."""
    startup_taints: Annotated[tuple[Taint, ...], Field(max_length=100)] = ()
    """Taints that somebody removes once the node is prepared."""
    resources: MachineResources | None = None
    """What the node must offer at least."""
    machine_template_ref: MachineTemplateRef | None = None
    """Names the cloud provider's template of the node."""
    kubelet: Kubelet | None = None
    """Arguments of the node's kubelet."""


class MachineCondition(Condition):
    """One step of the node's way to readiness, with the reason in words."""

    severity: Text = ""
    """Empty for conditions that readiness depends on; Warning or Info for the others."""


class MachineStatus(Wire):
    """What became of the request."""

    node_name: Text = ""
    """The Node object that answers the request."""
    provider_id: Annotated[Text, Field(alias="providerID")] = ""
    """The cloud's identifier of the instance, equal to the Node's spec.providerID."""
    capacity: Annotated[Mapping[str, Quantity], FEW] = {}
    """What the node has."""
    allocatable: Annotated[Mapping[str, Quantity], FEW] = {}
    """What of it Pods can use."""
    conditions: Annotated[tuple[MachineCondition, ...], Field(max_length=100)] = ()
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
