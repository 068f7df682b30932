"""The agent pool in a Node's provider ID."""

from __future__ import annotations

import pytest

from kaito.provisioner.aks.provider_id import pool_of

SCALE_SET = (
    "azure:///subscriptions/s/resourceGroups/MC_rg_aks_eastus/providers/Microsoft.Compute"
    "/virtualMachineScaleSets/aks-ws0a1b2c3d4-12345678-vmss/virtualMachines/0"
)


@pytest.mark.parametrize(
    "provider_id", [SCALE_SET, SCALE_SET.replace("resourceGroups", "resourcegroups")]
)
def test_a_scale_set_names_its_pool(provider_id: str) -> None:
    assert pool_of(provider_id) == "ws0a1b2c3d4"


@pytest.mark.parametrize(
    "provider_id",
    [
        "",
        "aws:///us-east-1a/i-0abc",
        SCALE_SET.replace("aks-ws0a1b2c3d4-12345678-vmss", "nodash"),
        SCALE_SET.replace("aks-ws0a1b2c3d4-12345678-vmss", "aks-"),
        SCALE_SET + "/extra",
        SCALE_SET.replace("virtualMachineScaleSets", "availabilitySets"),
    ],
)
def test_anything_else_names_none(provider_id: str) -> None:
    assert pool_of(provider_id) is None
