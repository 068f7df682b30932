"""Events on a server: shown in both groups, and to those who describe the object."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kaito.runtime import Client, EventRecorder, Object, Resource
from kaito.testing import Cluster

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
CORE: Resource[Object] = Resource("", "v1", "events", "Event")
NEWER: Resource[Object] = Resource("events.k8s.io", "v1", "events", "Event")
PATIENCE = 30.0  # seconds


@pytest.fixture
async def kube() -> AsyncIterator[Cluster]:
    async with Cluster() as kube:
        yield kube


@pytest.fixture(params=[False, True], ids=["newer", "core"])
async def told(kube: Cluster, request: pytest.FixtureRequest) -> Client:
    """A ConfigMap of which three times the same was told."""
    client = kube.client()
    metadata = {"name": "a", "namespace": "default"}
    config_map = await client.create(
        CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    )
    recorder = EventRecorder(client, component="tester", core=request.param)
    writing = asyncio.create_task(recorder.run())
    for _ in range(3):
        recorder.event(config_map, type="Warning", reason="Broken", message="it broke")
    assert await recorder.flush(PATIENCE) == 0
    writing.cancel()
    await asyncio.wait([writing])
    return client


async def test_an_event_is_shown_in_both_groups(told: Client) -> None:
    [core] = (await told.list(CORE)).items
    [newer] = (await told.list(NEWER)).items
    assert core["metadata"]["name"] == newer["metadata"]["name"]
    assert (core["involvedObject"], core["message"]) == (newer["regarding"], newer["note"])
    assert core["involvedObject"]["kind"] == "ConfigMap"
    count = (core.get("series") or {}).get("count") or core.get("count")
    assert count == 3


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl here")
async def test_kubectl_describe_tells_what_happened_how_often(
    kube: Cluster, told: Client, tmp_path: Path
) -> None:
    del told
    await kube.serve()
    config = tmp_path / "kubeconfig"
    config.write_text(kube.kubeconfig())
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", str(config), "describe", "configmap", "a"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    [line] = [line for line in said.decode().splitlines() if "it broke" in line]
    assert line.split()[:2] == ["Warning", "Broken"]
    assert "(x3 over" in line
    assert "tester" in line
