"""Pools become Nodes, as AKS names and labels them."""

from __future__ import annotations

import pytest

from kaito.catalog.catalog import load
from kaito.local.azure.account import Account
from kaito.local.azure.joining import machines
from kaito.local.azure.pools import Pool, State
from kaito.local.azure.sizes import VmSizes

ACCOUNT = Account(subscription="S", resource_group="R", cluster="C", location="eastus")
SIZES = VmSizes(load())


def pool(vm_size: str = "Standard_NC24ads_A100_v4", count: int = 1, **flags: bool) -> Pool:
    return Pool(
        name="ws0a1b2c3d4",
        properties={
            "count": count,
            "vmSize": vm_size,
            "osDiskSizeGB": 128,
            "mode": "User",
            "nodeLabels": {"kaito.sh/workspace": "w"},
            "nodeTaints": ["sku=gpu:NoSchedule", "key=:NoExecute"],
        },
        state=State.SUCCEEDED,
        created=0,
        operation="",
        **{"exists": True, **flags},
    )


def test_a_machine_is_named_and_labelled_as_on_aks() -> None:
    ((name, machine),) = machines(pool(), ACCOUNT, SIZES).items()
    scale_set = f"aks-ws0a1b2c3d4-{ACCOUNT.digits}-vmss"
    assert name == machine.name == f"{scale_set}000000"
    assert machine.provider_id == (
        "azure:///subscriptions/S/resourceGroups/MC_R_C_eastus/providers/Microsoft.Compute"
        f"/virtualMachineScaleSets/{scale_set}/virtualMachines/0"
    )
    assert machine.taints == (("sku", "gpu", "NoSchedule"), ("key", "", "NoExecute"))
    assert (machine.cores, machine.memory, machine.gpus) == (24, 220, 1)
    assert machine.gpu_resource == "nvidia.com/gpu"
    assert machine.labels["agentpool"] == "ws0a1b2c3d4"
    assert machine.labels["kubernetes.azure.com/agentpool"] == "ws0a1b2c3d4"
    assert machine.labels["kaito.sh/workspace"] == "w"
    assert machine.labels["accelerator"] == "nvidia"


def test_machines_are_counted_in_base_36() -> None:
    names = list(machines(pool(count=37), ACCOUNT, SIZES))
    assert [names[10][-6:], names[35][-6:], names[36][-6:]] == ["00000a", "00000z", "000010"]


@pytest.mark.parametrize("flags", [{"exists": False}, {"joins": False}])
def test_what_has_not_come_up_is_no_node(flags: dict[str, bool]) -> None:
    assert machines(pool(**flags), ACCOUNT, SIZES) == {}


@pytest.mark.parametrize(
    ("name", "cores", "memory", "gpus"),
    [
        ("Standard_D4s_v5", 4, 16, 0),
        ("Standard_E8s_v5", 8, 64, 0),
        ("Standard_NC24ads_A100_v4", 24, 220, 1),
        ("standard_nc24ads_a100_v4", 24, 220, 1),
        ("Standard_NC80adis_H100_v5", 80, 640, 2),
        ("Standard_ND96isr_H200_v5", 96, 1850, 8),
        ("Standard_NC6s_v3", 6, 112, 1),
    ],
)
def test_a_size_has_what_azure_says(name: str, cores: int, memory: int, gpus: int) -> None:
    size = SIZES.find(name)
    assert size is not None
    assert (size.cores, size.memory, size.gpus) == (cores, memory, gpus)


@pytest.mark.parametrize("name", ["Standard_Nothing", "p4d.24xlarge", "D4s_v5", ""])
def test_what_is_not_sold_is_not_found(name: str) -> None:
    assert SIZES.find(name) is None
