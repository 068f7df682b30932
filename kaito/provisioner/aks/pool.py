"""Agent pools as Azure Resource Manager writes them: what we ask for, and what we read.

Pure translation between our values and the `AgentPool` JSON of Microsoft.ContainerService. The
module sends nothing. Limits are AKS's own, so that a wrong request is refused with a sentence
here and not with a code from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kaito.api import labels
from kaito.api.patterns import LABEL_VALUE, matches
from kaito.api.wishes import DISK_TYPES, GPU_DRIVERS, IMAGE_FAMILIES
from kaito.provisioner.aks.errors import Detail, pool_failure
from kaito.provisioner.claim import Taint
from kaito.provisioner.failure import Failure
from kaito.provisioner.ownership import SHARED
from kaito.provisioner.pool_settings import PoolSettings
from kaito.provisioner.request import NodeRequest, Unsatisfiable
from kaito.provisioner.source import Pool, PoolMachine, PoolState

# Lower-case letters and digits, beginning with a letter; 12 is the limit of Linux pools.
NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
DISK_GIB = range(30, 2049)  # osDiskSizeGB; 0 stands for the size's default
EPHEMERAL_GIB = 2040  # at most, of a disk on the host; many sizes have room for less
# Kubernetes' zone label: the region, and the number that AKS wants.
_ZONE = re.compile(r"(?P<region>[a-z][a-z0-9]*)-(?P<number>[123])")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Karpenter's, on a Node that has not been registered yet.
UNREGISTERED = Taint(key="karpenter.sh/unregistered", effect="NoExecute")

# provisioningState, lower case. What is not listed is an update of some kind (Scaling, Upgrading,
# Starting ...): the pool exists and is busy.
_STATES = {
    "succeeded": PoolState.READY,
    "creating": PoolState.CREATING,
    "deleting": PoolState.DELETING,
    "failed": PoolState.FAILED,
    "canceled": PoolState.FAILED,
}

# Any: JSON of Azure, whose shape is documented there.
Wire = dict[str, Any]


def body(
    request: NodeRequest, instance_type: str, settings: PoolSettings, region: str = ""
) -> Wire:
    """The body of the PUT that makes the pool. Unsatisfiable when AKS has no such pools.

    `region` is the cluster's, "" when unknown.
    """
    if not NAME.fullmatch(request.name):
        raise Unsatisfiable(
            f"metadata.name {request.name!r} cannot name an AKS node pool, which takes 1 to 12 "
            "lower-case letters and digits and begins with a letter: create another claim under "
            "such a name"
        )
    said = dict(request.written)
    properties: Wire = {
        "count": 1,
        "mode": "User",
        "type": "VirtualMachineScaleSets",
        "vmSize": instance_type,
        "osType": "Linux",
        "osSKU": _known(labels.NODE_IMAGE_FAMILY, request.image_family, IMAGE_FAMILIES, said),
        "nodeLabels": {
            **request.labels,
            labels.MACHINE_TYPE: "gpu" if is_gpu(instance_type) else "cpu",
        },
        "nodeTaints": [_taint(taint) for taint in request.taints],
    }
    wished = request.disk_type or settings.disk_type
    disk_type = _known(labels.OS_DISK_TYPE, wished, DISK_TYPES, said)
    if request.disk_gib:
        properties["osDiskSizeGB"] = _disk(request.disk_gib, disk_type, said)
    wished = request.gpu_driver or settings.gpu_driver
    driver = _known(labels.GPU_DRIVER, wished, GPU_DRIVERS, said)
    if driver and is_gpu(instance_type):
        properties["gpuProfile"] = {"driver": driver}
    if request.zones:
        properties["availabilityZones"] = _zones(request.zones, region)
    if request.spot:
        properties |= {
            "scaleSetPriority": "Spot",
            "scaleSetEvictionPolicy": "Delete",
            "spotMaxPrice": -1 if request.spot_price is None else request.spot_price,
        }
    if settings.starting_taints:
        at_first = (UNREGISTERED, *request.startup_taints)
        properties["nodeInitializationTaints"] = [_taint(taint) for taint in at_first]
    optional = {
        "osDiskType": disk_type,
        "vnetSubnetID": settings.subnet,
        "tags": dict(settings.tags),
    }
    return {"properties": properties | {key: value for key, value in optional.items() if value}}


def read(wire: Mapping[str, Any]) -> Pool:
    """A pool from Azure's JSON. KeyError when it has no name."""
    properties = wire.get("properties") or {}
    said = properties.get("provisioningState") or ""
    state = _STATES.get(said.lower(), PoolState.UPDATING)
    if state is PoolState.READY and _power(properties) == "stopped":
        state, said = PoolState.STOPPED, "Stopped"
    return Pool(
        name=wire["name"],
        state=state,
        said=said or "unknown",
        instance_type=properties.get("vmSize") or "",
        labels=dict(properties.get("nodeLabels") or {}),
        etag=properties.get("eTag") or "",
        failure=_failure(wire["name"], properties) if state is PoolState.FAILED else None,
        count=properties.get("count") or 0,
    )


def resized(wire: Wire, count: int) -> Wire:
    """The body of the PUT that gives a pool so many machines and keeps all else."""
    properties = wire["properties"]
    nodes = {**(properties.get("nodeLabels") or {}), SHARED: "true"}
    return {**wire, "properties": {**properties, "count": count, "nodeLabels": nodes}}


def machine(wire: Mapping[str, Any]) -> PoolMachine:
    """A machine from Azure's JSON. KeyError when it has no name."""
    resource = (wire.get("properties") or {}).get("resourceId") or ""
    return PoolMachine(wire["name"], f"azure://{resource}")


def is_gpu(instance_type: str) -> bool:
    """Whether an Azure size has GPUs, by its family: N is accelerated, NP is FPGA."""
    return re.match(r"standard_n(?!p)", instance_type, re.IGNORECASE) is not None


def _failure(name: str, properties: Mapping[str, Any]) -> Failure:
    error = (properties.get("status") or {}).get("provisioningError")
    return pool_failure(name, Detail.of(error) if error else None)


def _power(properties: Mapping[str, Any]) -> str:
    return str((properties.get("powerState") or {}).get("code") or "").lower()


def _known(
    annotation: str, value: str, known: Mapping[str, str], written: Mapping[str, str]
) -> str:
    """What Azure calls it, "" for nothing."""
    if value and value not in known:
        shown = written.get(annotation, value)[:40]
        raise Unsatisfiable(
            f"annotation {annotation} is {shown!r}: set it to one of {', '.join(known)}"
        )
    return known[value] if value else ""


def _taint(taint: Taint) -> str:
    text = f"{taint.key}={taint.value}:{taint.effect}"
    named = labels.is_key(taint.key) and matches(LABEL_VALUE, taint.value)
    if not named or len(taint.value) > labels.VALUE_LENGTH or taint.effect not in EFFECTS:
        raise Unsatisfiable(
            f"spec.taints or spec.startupTaints has {text[:100]!r}, which no node can have: write "
            f"key and value as a label's, and the effect as one of {', '.join(EFFECTS)}"
        )
    return text


def _zones(zones: Sequence[str], region: str) -> list[str]:
    """The numbers of those that this region has; of the others the node may not be, and need not.

    Unsatisfiable when none is left.
    """
    matches = [_ZONE.fullmatch(zone) for zone in zones]
    here = [match for match in matches if match and match["region"] == (region or match["region"])]
    if not here:
        where = region or "REGION"
        raise Unsatisfiable(
            f"spec.requirements allows only {labels.ZONE} {', '.join(zones)[:100]}, and the "
            f"cluster's zones are {where}-1, {where}-2 and {where}-3: name one of these"
        )
    if len({match["region"] for match in here}) > 1:
        raise Unsatisfiable(
            f"spec.requirements allows {labels.ZONE} {', '.join(zones)[:100]}, of several regions, "
            "and LOCATION does not say in which one the cluster is: set it"
        )
    return list(dict.fromkeys(match["number"] for match in here))


def _disk(gib: int, disk_type: str, written: Mapping[str, str]) -> int:
    """At least what was asked for: AKS takes no disk below 30 GiB."""
    most = EPHEMERAL_GIB if disk_type == DISK_TYPES["ephemeral"] else DISK_GIB.stop - 1
    if gib > most:
        kind = f"{disk_type.lower()} OS disk" if disk_type else "OS disk"
        raise Unsatisfiable(
            f"spec.resources.requests.storage is {written.get('storage', f'{gib}Gi')}: an AKS node "
            f"has at most {most} GiB of {kind}"
        )
    return max(gib, DISK_GIB.start)
