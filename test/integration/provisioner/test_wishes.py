"""What a claim wishes its node to be, through the daemon, the SDK and the cloud to the Node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE
from kaito.runtime import Key, Object
from test.integration.provisioner.cluster import (
    CONFIG_MAPS,
    MACHINES,
    NODES,
    Stage,
    nothing_is_left,
    ready,
    staged,
)
from test.unit.provisioner.machines import A100, NAME, machine_object, requirement

SPOT_TAINT = {
    "key": "kubernetes.azure.com/scalesetpriority",
    "value": "spot",
    "effect": "NoSchedule",
}
AGENT = {"key": "example.com/agent", "value": "starting", "effect": "NoSchedule"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES) as stage:
        yield stage


async def set_up(stage: Stage, **settings: str) -> None:
    """As an administrator would, before the daemon starts."""
    await stage.client.patch(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME), {"data": settings})
    stage.start()


async def wish(stage: Stage, annotations: dict[str, str], **spec: object) -> None:
    asked = machine_object(NAME, spec=spec)
    labels = asked["metadata"]["labels"]
    metadata = {"name": NAME, "labels": labels, "annotations": annotations}
    await stage.client.create(MACHINES, {**asked, "metadata": metadata})


def node(stage: Stage) -> Object:
    (found,) = stage.nodes()
    return found


def properties(stage: Stage) -> Object:
    (pool,) = stage.cluster.azure.pools()
    return dict(pool.properties)


async def test_spot_in_a_zone_with_tags_and_no_driver_of_aks(stage: Stage) -> None:
    await set_up(stage, AZURE_TAGS="team=ml", AZURE_GPU_DRIVER="none")
    annotations = {
        "kaito.sh/spot-max-price": "1.25",
        "kaito.sh/os-disk-type": "Ephemeral",
        "kaito.sh/node-image-family": "AzureLinux3",
    }
    await wish(
        stage,
        annotations,
        requirements=[
            requirement("node.kubernetes.io/instance-type", A100),
            requirement("topology.kubernetes.io/zone", "westus-1", "eastus-2"),
        ],
        resources={"requests": {"storage": "100.5Gi"}},
    )
    await ready(stage)
    assert (
        properties(stage).items()
        >= {
            "scaleSetPriority": "Spot",
            "spotMaxPrice": 1.25,
            "availabilityZones": ["2"],
            "osDiskSizeGB": 101,
            "osDiskType": "Ephemeral",
            "osSKU": "AzureLinux3",
            "tags": {"team": "ml"},
            "gpuProfile": {"driver": "None"},
        }.items()
    )
    assert node(stage)["metadata"]["labels"]["topology.kubernetes.io/zone"] == "eastus-2"
    assert SPOT_TAINT in node(stage)["spec"]["taints"]
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "all gone")


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"kaito.sh/spot-max-price": "cheap"}, "write dollars an hour"),
        ({"kaito.sh/gpu-driver": "Operator"}, "'Operator': set it to one of install, none"),
        ({"kaito.sh/os-disk-type": "ssd"}, "set it to one of ephemeral, managed"),
    ],
)
async def test_a_wish_that_cannot_be_is_told_and_costs_nothing(
    stage: Stage, annotations: dict[str, str], words: str
) -> None:
    await set_up(stage)
    await wish(stage, annotations)
    await stage.until(
        lambda: words in stage.condition("MachineLaunched").get("message", ""), "the sentence"
    )
    # Nobody asked Azure.
    assert "Azure" not in stage.condition("MachineLaunched")["message"]
    assert stage.pools() == []


async def test_no_pod_comes_to_a_node_before_its_time_with_a_preview_version(
    stage: Stage,
) -> None:
    await set_up(stage, AZURE_API_VERSION="2026-07-02-preview")
    await wish(stage, {}, startupTaints=[AGENT])
    await stage.until(
        lambda: stage.condition("MachineInitialized").get("reason") == "StartupTaintsExist",
        "the startup taint told of",
    )
    assert properties(stage)["nodeInitializationTaints"] == [
        "karpenter.sh/unregistered=:NoExecute",
        "example.com/agent=starting:NoSchedule",
    ]
    taints = node(stage)["spec"]["taints"]
    assert taints.count(AGENT) == 1
    assert "karpenter.sh/unregistered" not in {taint["key"] for taint in taints}
    left = [taint for taint in taints if taint != AGENT]
    name = node(stage)["metadata"]["name"]
    await stage.client.patch(NODES, Key("", name), {"spec": {"taints": left}})
    await ready(stage)
