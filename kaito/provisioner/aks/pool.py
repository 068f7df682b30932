"""Agent pools as Azure Resource Manager writes them: what we ask for, and what we read.

Pure translation between our values and the `AgentPool` JSON of Microsoft.ContainerService. The
module sends nothing. Limits are AKS's own, so that a wrong request is refused with a sentence
here and not with a code from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kaito.api import labels
from kaito.provisioner.aks.errors import Detail, pool_failure
from kaito.provisioner.claim import Taint
from kaito.provisioner.failure import Failure
from kaito.provisioner.request import NodeRequest, Unsatisfiable
from kaito.provisioner.source import Pool, PoolState

# Lower-case letters and digits, beginning with a letter; 12 is the limit of Linux pools.
NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
DISK_GIB = range(30, 2049)  # osDiskSizeGB; 0 stands for the size's default

OS_SKUS = {"ubuntu": "Ubuntu", "azurelinux": "AzureLinux"}

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


def body(request: NodeRequest, instance_type: str) -> Wire:
    """The body of the PUT that makes the pool. Unsatisfiable when AKS has no such pools."""
    if not NAME.fullmatch(request.name):
        raise Unsatisfiable(
            f"metadata.name {request.name!r} cannot name an AKS node pool, which takes 1 to 12 "
            "lower-case letters and digits and begins with a letter: create the Machine under "
            "such a name"
        )
    properties: Wire = {
        "count": 1,
        "mode": "User",
        "type": "VirtualMachineScaleSets",
        "vmSize": instance_type,
        "osType": "Linux",
        "osSKU": _os_sku(request.image_family),
        "nodeLabels": {
            **request.labels,
            labels.MACHINE_TYPE: "gpu" if is_gpu(instance_type) else "cpu",
        },
        "nodeTaints": [_taint(taint) for taint in request.taints],
    }
    if request.disk_gib:
        properties["osDiskSizeGB"] = _disk(request.disk_gib)
    if request.zones:
        properties["availabilityZones"] = [_zone(zone) for zone in request.zones]
    if request.spot:
        # -1: pay up to the on-demand price, and never be evicted for the price.
        properties |= {
            "scaleSetPriority": "Spot",
            "scaleSetEvictionPolicy": "Delete",
            "spotMaxPrice": -1,
        }
    return {"properties": properties}


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
    )


def is_gpu(instance_type: str) -> bool:
    """Whether an Azure size has GPUs, by its family: N is accelerated, NP is FPGA."""
    return re.match(r"standard_n(?!p)", instance_type, re.IGNORECASE) is not None


def _failure(name: str, properties: Mapping[str, Any]) -> Failure:
    error = (properties.get("status") or {}).get("provisioningError")
    return pool_failure(name, Detail.of(error) if error else None)


def _power(properties: Mapping[str, Any]) -> str:
    return str((properties.get("powerState") or {}).get("code") or "").lower()


def _os_sku(family: str) -> str:
    try:
        return OS_SKUS[family]
    except KeyError:
        raise Unsatisfiable(
            f"annotation {labels.NODE_IMAGE_FAMILY} is {family!r}: "
            f"set it to one of {', '.join(OS_SKUS)}"
        ) from None


def _taint(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}"


def _zone(zone: str) -> str:
    """AKS wants the digit of eastus-1."""
    return zone.rpartition("-")[2]


def _disk(gib: int) -> int:
    """At least what was asked for: AKS takes no disk below 30 GiB."""
    if gib >= DISK_GIB.stop:
        raise Unsatisfiable(
            f"spec.resources.requests.storage asks for {gib} GiB: an AKS node has at most "
            f"{DISK_GIB.stop - 1} GiB of OS disk"
        )
    return max(gib, DISK_GIB.start)
