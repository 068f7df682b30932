"""What AKS is asked for, and what is read from its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.api.wishes import DISK_TYPES, GPU_DRIVERS, IMAGE_FAMILIES
from kaito.provisioner import Cause, NodeRequest, PoolState, Unsatisfiable, Way, node_request
from kaito.provisioner.aks import pool
from kaito.provisioner.aks.pool import is_gpu, read
from kaito.provisioner.claim import Taint
from kaito.provisioner.pool_settings import PoolSettings
from test.unit.provisioner.machines import A100, machine

REQUEST = node_request(machine())
UNSET = PoolSettings()


def body(
    request: NodeRequest, size: str, settings: PoolSettings = UNSET, region: str = ""
) -> dict[str, Any]:
    return pool.body(request, size, settings, region)


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
    assert properties["scaleSetEvictionPolicy"] == "Delete"
    assert properties["spotMaxPrice"] == -1
    assert properties["availabilityZones"] == ["1", "3"]
    assert properties["osSKU"] == "AzureLinux"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zones": ("westus-1",)}, "eastus-1, eastus-2 and eastus-3"),
        ({"zones": ("eastus-4", "1", "0", "")}, "eastus-1, eastus-2 and eastus-3"),
        ({"zones": ("eastus-1-2",)}, "name one of these"),
        ({"disk_gib": 2041, "disk_type": "ephemeral"}, "at most 2040 GiB of ephemeral OS disk"),
        ({"disk_gib": 2**40}, "at most 2048 GiB of OS disk"),
        (
            {"disk_gib": 3072, "written": (("storage", "3Ti"),)},
            "requests.storage is 3Ti: an AKS node",
        ),
        ({"disk_type": "ssd"}, "kaito.sh/os-disk-type is 'ssd': set it to one of ephemeral"),
        (
            {"disk_type": "ssd", "written": (("kaito.sh/os-disk-type", "SSD"),)},
            "kaito.sh/os-disk-type is 'SSD': set it to one of ephemeral",
        ),
        ({"gpu_driver": "amd"}, "kaito.sh/gpu-driver is 'amd': set it to one of install, none"),
        ({"name": "Ws1"}, "metadata.name"),
        ({"name": "ws0a1b2c3d4e5"}, "metadata.name"),
        ({"name": "1ws"}, "metadata.name"),
        ({"disk_gib": 2049}, "at most 2048 GiB"),
        ({"image_family": "windows"}, "ubuntu, ubuntu2204"),
    ],
)
def test_what_aks_cannot_make_is_refused_before_it_is_asked(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unsatisfiable, match=words):
        body(replace(REQUEST, **change), A100, region="eastus")


def test_of_zones_in_several_regions_those_of_the_cluster_are_taken() -> None:
    request = replace(REQUEST, zones=("westus-2", "eastus-3", "eastus-1", "nowhere"))
    assert body(request, A100, region="eastus")["properties"]["availabilityZones"] == ["3", "1"]
    with pytest.raises(Unsatisfiable, match="LOCATION does not say"):
        body(request, A100)


def test_a_price_is_the_most_that_is_paid_for_spot() -> None:
    special = replace(REQUEST, spot=True, spot_price=1.25)
    assert body(special, A100)["properties"]["spotMaxPrice"] == 1.25
    plain = body(REQUEST, A100)["properties"]
    assert not {"scaleSetPriority", "scaleSetEvictionPolicy", "spotMaxPrice"} & set(plain)


@pytest.mark.parametrize(("family", "sku"), IMAGE_FAMILIES.items())
def test_every_linux_that_aks_offers_can_be_asked_for(family: str, sku: str) -> None:
    assert body(replace(REQUEST, image_family=family), A100)["properties"]["osSKU"] == sku


def test_the_image_families_are_those_of_the_sdk_without_the_deprecated_one() -> None:
    models = pytest.importorskip("azure.mgmt.containerservice.models", reason="needs the extra")
    linux = {sku.value for sku in models.OSSKU if not sku.value.startswith("Windows")}
    assert set(IMAGE_FAMILIES.values()) == linux - {"CBLMariner"}
    assert set(GPU_DRIVERS.values()) == {driver.value for driver in models.GPUDriver}
    assert set(DISK_TYPES.values()) == {kind.value for kind in models.OSDiskType}


OPERATED = PoolSettings(gpu_driver="none", disk_type="managed")


def test_who_installs_the_driver_is_said_for_gpus_only() -> None:
    assert "gpuProfile" not in body(REQUEST, A100)["properties"]
    assert body(REQUEST, A100, OPERATED)["properties"]["gpuProfile"] == {"driver": "None"}
    assert "gpuProfile" not in body(REQUEST, "Standard_D4s_v5", OPERATED)["properties"]


def test_a_claim_of_its_own_mind_comes_before_the_settings() -> None:
    own = replace(REQUEST, gpu_driver="install", disk_type="ephemeral")
    properties = body(own, A100, OPERATED)["properties"]
    assert properties["gpuProfile"] == {"driver": "Install"}
    assert properties["osDiskType"] == "Ephemeral"


def test_tags_and_the_subnet_are_on_every_pool() -> None:
    properties = body(REQUEST, A100, PoolSettings(tags={"team": "ml"}, subnet="/s"))["properties"]
    assert (properties["tags"], properties["vnetSubnetID"]) == ({"team": "ml"}, "/s")


def test_taints_of_the_start_are_sent_where_the_api_has_them() -> None:
    starting = replace(REQUEST, startup_taints=(Taint(key="agent", value="x", effect="NoExecute"),))
    assert "nodeInitializationTaints" not in body(starting, A100)["properties"]
    properties = body(starting, A100, PoolSettings(starting_taints=True))["properties"]
    assert properties["nodeInitializationTaints"] == [
        "karpenter.sh/unregistered=:NoExecute",
        "agent=x:NoExecute",
    ]
    assert properties["nodeTaints"] == ["sku=gpu:NoSchedule"]


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
