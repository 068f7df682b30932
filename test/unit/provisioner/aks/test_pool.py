"""What AKS is asked for, and what is read from its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.provisioner import Cause, PoolState, Unsatisfiable, Way, node_request
from kaito.provisioner.aks.pool import body, is_gpu, read
from test.unit.provisioner.machines import A100, machine

REQUEST = node_request(machine())


def test_the_whole_body_for_the_machine_of_a_workspace() -> None:
    assert body(REQUEST, A100) == {
        "properties": {
            "count": 1,
            "mode": "User",
            "type": "VirtualMachineScaleSets",
            "vmSize": A100,
            "osType": "Linux",
            "osSKU": "Ubuntu",
            "osDiskSizeGB": 80,
            "nodeLabels": {
                "karpenter.sh/provisioner-name": "default",
                "kaito.sh/workspace": "phi",
                "kaito.sh/workspacenamespace": "default",
                "kaito.sh/machine-type": "gpu",
                "kaito.sh/creation-timestamp": "2026-01-01T00-00-00Z",
                "apps": "phi",
            },
            "nodeTaints": ["sku=gpu:NoSchedule"],
        }
    }


def test_without_a_disk_size_aks_chooses() -> None:
    assert "osDiskSizeGB" not in body(replace(REQUEST, disk_gib=0), A100)["properties"]


def test_a_disk_smaller_than_aks_makes_becomes_the_smallest() -> None:
    assert body(replace(REQUEST, disk_gib=1), A100)["properties"]["osDiskSizeGB"] == 30


def test_spot_zones_and_the_image_family_are_asked_for() -> None:
    special = replace(REQUEST, spot=True, zones=("eastus-1", "eastus-3"), image_family="azurelinux")
    properties = body(special, A100)["properties"]
    assert properties["scaleSetPriority"] == "Spot"
    assert properties["spotMaxPrice"] == -1
    assert properties["availabilityZones"] == ["1", "3"]
    assert properties["osSKU"] == "AzureLinux"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Ws1"}, "metadata.name"),
        ({"name": "ws0a1b2c3d4e5"}, "metadata.name"),
        ({"name": "1ws"}, "metadata.name"),
        ({"disk_gib": 2049}, "at most 2048 GiB"),
        ({"image_family": "windows"}, "ubuntu, azurelinux"),
    ],
)
def test_what_aks_cannot_make_is_refused_before_it_is_asked(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unsatisfiable, match=words):
        body(replace(REQUEST, **change), A100)


@pytest.mark.parametrize(
    ("size", "gpu"),
    [
        ("Standard_NC24ads_A100_v4", True),
        ("standard_nd96isr_h100_v5", True),
        ("Standard_NP10s", False),
        ("Standard_D4s_v5", False),
    ],
)
def test_gpu_sizes_are_known_by_their_family(size: str, gpu: bool) -> None:
    assert is_gpu(size) is gpu


def wire(**properties: Any) -> dict[str, Any]:
    return {"name": "ws1", "properties": {"vmSize": A100, "nodeLabels": {"a": "b"}, **properties}}


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("Succeeded", PoolState.READY),
        ("Creating", PoolState.CREATING),
        ("Deleting", PoolState.DELETING),
        ("deleting", PoolState.DELETING),
        ("Failed", PoolState.FAILED),
        ("Canceled", PoolState.FAILED),
        ("Updating", PoolState.UPDATING),
        ("UpgradingNodeImageVersion", PoolState.UPDATING),
        ("", PoolState.UPDATING),
    ],
)
def test_provisioning_states(said: str, state: PoolState) -> None:
    assert read(wire(provisioningState=said)).state is state


def test_a_stopped_pool_is_not_ready() -> None:
    stopped = wire(provisioningState="Succeeded", powerState={"code": "Stopped"})
    assert read(stopped).state is PoolState.STOPPED


def test_a_pool_is_read_with_what_proves_whose_it_is() -> None:
    pool = read(wire(provisioningState="Succeeded", eTag="e1"))
    assert (pool.name, pool.instance_type, pool.labels, pool.etag) == (
        "ws1",
        A100,
        {"a": "b"},
        "e1",
    )
    assert pool.failure is None


def test_a_failed_pool_says_why() -> None:
    error = {"code": "SkuNotAvailable", "message": "not here"}
    pool = read(wire(provisioningState="Failed", status={"provisioningError": error}))
    assert pool.failure is not None
    assert (pool.failure.cause, pool.failure.way) == (Cause.SKU, Way.ANOTHER)


def test_a_failed_pool_without_a_reason_is_worth_another_attempt() -> None:
    pool = read(wire(provisioningState="Failed"))
    assert pool.failure is not None
    assert pool.failure.way is Way.RETRY
