"""Who the cloud's customer is: the subscription, the resource group and the AKS cluster."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

POOL_TYPE = "Microsoft.ContainerService/managedClusters/agentPools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The one cluster that this cloud holds; everything else answers not found."""

    subscription: str = "00000000-0000-4000-8000-000000000001"
    resource_group: str = "kaito-local"
    cluster: str = "kaito-local"
    # A region that every price list and quota page knows.
    location: str = "eastus"
    tenant: str = "00000000-0000-4000-8000-000000000002"
    client: str = "00000000-0000-4000-8000-000000000003"

    @property
    def node_resource_group(self) -> str:
        """Where AKS puts the virtual machines of this cluster."""
        return f"MC_{self.resource_group}_{self.cluster}_{self.location}"

    @property
    def digits(self) -> str:
        """The eight digits in every node name of this cluster, as AKS derives them from it."""
        name = f"{self.subscription}/{self.resource_group}/{self.cluster}"
        return f"{zlib.crc32(name.encode()) % 100_000_000:08d}"

    @property
    def pools_path(self) -> str:
        """The URL path of the agent pool collection."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ContainerService/managedClusters/{self.cluster}/agentPools"
        )

    def pool_id(self, pool: str) -> str:
        """The ARM resource id of an agent pool; AKS writes `resourcegroups` in lower case."""
        return f"{self.pools_path}/{pool}".replace("/resourceGroups/", "/resourcegroups/", 1)

    def operation_path(self, operation: str, *, results: bool = False) -> str:
        """The URL path where a long operation is polled (its state, or only its end)."""
        leaf = "operationresults" if results else "operations"
        return (
            f"/subscriptions/{self.subscription}/providers/Microsoft.ContainerService"
            f"/locations/{self.location}/{leaf}/{operation}"
        )

    def node_name(self, pool: str, instance: int) -> str:
        """The name of the Node of a pool's machine; machines are counted in base 36."""
        return f"{self._scale_set(pool)}{_base36(instance):0>6}"

    def provider_id(self, pool: str, instance: int) -> str:
        """spec.providerID of that Node."""
        return (
            f"azure:///subscriptions/{self.subscription}"
            f"/resourceGroups/{self.node_resource_group}/providers/Microsoft.Compute"
            f"/virtualMachineScaleSets/{self._scale_set(pool)}/virtualMachines/{instance}"
        )

    def _scale_set(self, pool: str) -> str:
        return f"aks-{pool}-{self.digits}-vmss"


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"
