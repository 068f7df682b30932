"""Pools become Nodes, as AKS names and labels them."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.catalog.catalog import load
from kaito.local.azure.account import Account
from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.local.azure.joining import machines
from kaito.local.azure.pool import Pool, State
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.wire import pool_wire

ACCOUNT = Account(subscription="S", resource_group="R", cluster="C", location="eastus")
SIZES = VmSizes(load())


def pool(
    vm_size: str = "Standard_NC24ads_A100_v4", count: int = 1, more: Any = None, **flags: Any
) -> Pool:
    return Pool(
        name="ws0a1b2c3d4",
        properties={
            "count": count,
            "vmSize": vm_size,
            "osDiskSizeGB": 128,
            "mode": "User",
            "nodeLabels": {"kaito.sh/workspace": "w"},
            "nodeTaints": ["sku=gpu:NoSchedule", "key=:NoExecute"],
            **(more or {}),
        },
        state=State.SUCCEEDED,
        created=0,
        operation="",
        **{"exists": True, "machines": tuple(range(count)), **flags},
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
    image = pool_wire(pool(), ACCOUNT)["properties"]["nodeImageVersion"]
    assert machine.labels["kubernetes.azure.com/node-image-version"] == image


def test_machines_are_counted_in_base_36() -> None:
    names = list(machines(pool(count=37), ACCOUNT, SIZES))
    assert [names[10][-6:], names[35][-6:], names[36][-6:]] == ["00000a", "00000z", "000010"]


@pytest.mark.parametrize(
    "flags", [{"machines": ()}, {"stopped": True}, {"spoiled": FaultKind.NO_NODE}]
)
def test_what_has_not_come_up_is_no_node(flags: dict[str, Any]) -> None:
    assert machines(pool(**flags), ACCOUNT, SIZES) == {}


def test_machines_are_spread_over_the_zones_of_their_pool() -> None:
    made = machines(pool(count=3, more={"availabilityZones": ["1", "2"]}), ACCOUNT, SIZES)
    zones = [machine.labels["topology.kubernetes.io/zone"] for machine in made.values()]
    assert zones == ["eastus-1", "eastus-2", "eastus-1"]
    (plain,) = machines(pool(), ACCOUNT, SIZES).values()
    assert plain.labels["topology.kubernetes.io/zone"] == "0"


def test_spot_machines_are_tainted_by_aks() -> None:
    (machine,) = machines(pool(more={"scaleSetPriority": "Spot"}), ACCOUNT, SIZES).values()
    assert machine.labels["kubernetes.azure.com/scalesetpriority"] == "spot"
    assert ("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule") in machine.taints


def test_a_spoiled_machine_says_so_to_whoever_plays_its_kubelet() -> None:
    (machine,) = machines(pool(spoiled=FaultKind.NO_GPU), ACCOUNT, SIZES).values()
    assert machine.labels[FAULT_LABEL] == "no-gpu"


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


def test_taints_for_the_start_of_a_node_are_on_it_from_the_start() -> None:
    more = {"nodeInitializationTaints": ["karpenter.sh/unregistered=:NoExecute"]}
    (machine,) = machines(pool(more=more), ACCOUNT, SIZES).values()
    assert ("karpenter.sh/unregistered", "", "NoExecute") in machine.taints
