"""What the cloud holds as JSON of Azure Resource Manager."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from kaito.local.azure.account import CLUSTER_TYPE, MACHINE_TYPE, POOL_TYPE, Account
from kaito.local.azure.effects import family
from kaito.local.azure.faults import Faults
from kaito.local.azure.limits import Limits
from kaito.local.azure.operation import Operation, Outcome
from kaito.local.azure.pool import Pool
from kaito.local.azure.schema import PREVIEW
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.validation import KUBERNETES_VERSION
from kaito.runtime import rfc3339_micro

NODE_IMAGE = "AKSUbuntu-2204gen2containerd-202601.01.0"


def pool_wire(pool: Pool, account: Account, *, preview: bool = False) -> dict[str, Any]:
    """An agent pool as every answer shows it, to those who ask by a preview version or not."""
    hidden = () if preview else PREVIEW
    properties = {
        **{name: value for name, value in pool.properties.items() if name not in hidden},
        "eTag": pool.etag,
        "provisioningState": pool.state.value,
        "powerState": {"code": "Stopped" if pool.stopped else "Running"},
        "orchestratorVersion": KUBERNETES_VERSION,
        "currentOrchestratorVersion": KUBERNETES_VERSION,
        "nodeImageVersion": NODE_IMAGE,
    }
    if pool.failure is not None:
        properties["status"] = {"provisioningError": pool.failure.wire()}
    return {
        "id": account.pool_id(pool.name),
        "name": pool.name,
        "type": POOL_TYPE,
        "properties": properties,
    }


def machine_wire(pool: Pool, number: int, account: Account) -> dict[str, Any]:
    """A machine of a pool. It has no addresses, as nothing listens there."""
    name = account.node_name(pool.name, number)
    wire = {
        "id": f"{account.pool_id(pool.name)}/machines/{name}",
        "name": name,
        "type": MACHINE_TYPE,
        "properties": {
            "network": {"ipAddresses": []},
            "resourceId": account.virtual_machine(pool.name, number),
        },
    }
    zones = pool.properties.get("availabilityZones")
    return {**wire, "zones": [zones[number % len(zones)]]} if zones else wire


def cluster_wire(pools: Iterable[Pool], account: Account, limits: Limits) -> dict[str, Any]:
    """The managed cluster."""
    profiles = [{"name": pool.name, **pool_wire(pool, account)["properties"]} for pool in pools]
    tags = "".join(profile["eTag"] for profile in profiles)
    return {
        "id": account.cluster_id,
        "name": account.cluster,
        "type": CLUSTER_TYPE,
        "location": account.location,
        "eTag": hashlib.sha256(tags.encode()).hexdigest()[:32],
        "sku": {"name": "Base", "tier": "Standard"},
        "identity": {"type": "SystemAssigned", "tenantId": account.tenant},
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "kubernetesVersion": KUBERNETES_VERSION,
            "currentKubernetesVersion": KUBERNETES_VERSION,
            "dnsPrefix": account.cluster,
            "agentPoolProfiles": profiles,
            "nodeResourceGroup": account.node_resource_group,
            "enableRBAC": True,
            "maxAgentPools": limits.pools,
        },
    }


def operation_wire(operation: Operation) -> dict[str, Any]:
    """A long operation as its poll shows it."""
    wire: dict[str, Any] = {
        "name": operation.id,
        "status": operation.outcome.value,
        "startTime": rfc3339_micro(operation.started),
    }
    if operation.ended is not None:
        wire["endTime"] = rfc3339_micro(operation.ended)
    if operation.outcome is Outcome.FAILED and operation.failure is not None:
        wire["error"] = operation.failure.wire()
    return wire


def skus_wire(sizes: VmSizes, faults: Faults, account: Account) -> Iterator[dict[str, Any]]:
    """The GPU sizes of the catalogue as Microsoft.Compute lists what it sells. A size that a fault
    makes unavailable, whatever the pool, is listed as restricted."""
    restricted = list(faults.restrictions())
    for size in sizes:
        capabilities = {"vCPUs": size.cores, "MemoryGB": size.memory, "GPUs": size.gpus}
        blocked = any(fault.hits(fault.on, "", size.name) for fault in restricted)
        yield {
            "resourceType": "virtualMachines",
            "name": size.name,
            "tier": "Standard",
            "size": size.name.removeprefix("Standard_"),
            "family": family(size.name),
            "locations": [account.location],
            "locationInfo": [{"location": account.location, "zones": ["1", "2", "3"]}],
            "capabilities": [
                {"name": name, "value": str(value)} for name, value in capabilities.items()
            ],
            "restrictions": [_restriction(account.location)] if blocked else [],
        }


def _restriction(location: str) -> dict[str, Any]:
    return {
        "type": "Location",
        "values": [location],
        "restrictionInfo": {"locations": [location]},
        "reasonCode": "NotAvailableForSubscription",
    }
