"""Who the cloud's customer is: the subscription, the resource group and the AKS cluster."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

CLUSTER_TYPE = "Microsoft.ContainerService/managedClusters"
POOL_TYPE = f"{CLUSTER_TYPE}/agentPools"
MACHINE_TYPE = f"{POOL_TYPE}/machines"


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
    def clusters_path(self) -> str:
        """The URL path of the managed clusters of the resource group."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/{CLUSTER_TYPE}"
        )

    @property
    def cluster_path(self) -> str:
        """The URL path of the cluster."""
        return f"{self.clusters_path}/{self.cluster}"

    @property
    def pools_path(self) -> str:
        """The URL path of the agent pool collection."""
        return f"{self.cluster_path}/agentPools"

    @property
    def cluster_id(self) -> str:
        """The ARM resource id of the cluster; AKS writes `resourcegroups` in lower case."""
        return self.cluster_path.replace("/resourceGroups/", "/resourcegroups/", 1)

    def pool_id(self, pool: str) -> str:
        """The ARM resource id of an agent pool."""
        return f"{self.cluster_id}/agentPools/{pool}"

    def machines_path(self, pool: str) -> str:
        """The URL path of the machines of an agent pool."""
        return f"{self.pools_path}/{pool}/machines"

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

    def virtual_machine(self, pool: str, instance: int) -> str:
        """The ARM resource id of a pool's virtual machine."""
        return (
            f"/subscriptions/{self.subscription}"
            f"/resourceGroups/{self.node_resource_group}/providers/Microsoft.Compute"
            f"/virtualMachineScaleSets/{self._scale_set(pool)}/virtualMachines/{instance}"
        )

    def provider_id(self, pool: str, instance: int) -> str:
        """spec.providerID of its Node."""
        return f"azure://{self.virtual_machine(pool, instance)}"

    def _scale_set(self, pool: str) -> str:
        return f"aks-{pool}-{self.digits}-vmss"


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"
