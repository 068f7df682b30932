"""The identifier of an AKS node's virtual machine, as its Node carries it in spec.providerID.

    azure:///subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/
        virtualMachineScaleSets/aks-POOL-12345678-vmss/virtualMachines/0

Azure's paths are compared without regard to case. Pools of single virtual machines have no scale
set and are not recognised.
"""

from __future__ import annotations

import re

_SHAPE = re.compile(
    r"azure:///subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute"
    r"/virtualMachineScaleSets/aks-(?P<pool>[a-z][a-z0-9]{0,11})-[0-9]+-vmss/virtualMachines/[0-9]+",
    re.IGNORECASE,
)


def pool_of(provider_id: str) -> str | None:
    """The agent pool that made the node; None when the ID is not one of an AKS scale set."""
    match = _SHAPE.fullmatch(provider_id)
    return match["pool"].lower() if match else None
