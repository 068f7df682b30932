"""One claim's life on a real AKS cluster: made, killed over, and gone without a trace.

It costs money and is therefore asked for: KAITO_E2E_AZURE=1, KUBECONFIG of a cluster of yours, the
settings of docs/provisioner.md in the environment, and a login that DefaultAzureCredential finds.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kaito.api.labels import INSTANCE_TYPE
from kaito.provisioner import Absent
from kaito.provisioner.aks import connect
from kaito.provisioner.settings import CloudSettings, read
from kaito.runtime import Client, Key, NotFound, Object, from_kubeconfig, is_true
from kaito.testing import eventually
from test.e2e.stage import MACHINES, NODES, Process
from test.unit.provisioner.machines import machine_object, requirement

NEEDED = ("KUBECONFIG", "ARM_SUBSCRIPTION_ID", "ARM_RESOURCE_GROUP", "AZURE_CLUSTER_NAME")
MISSING = [name for name in ("KAITO_E2E_AZURE", *NEEDED) if not os.environ.get(name)]
SIZE = os.environ.get("KAITO_E2E_AZURE_SIZE", "Standard_NC4as_T4_v3")
PATIENCE = 1800.0  # seconds; a GPU node takes 5 to 20 minutes
PAUSE = 10.0  # seconds between two looks

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"it costs money on Azure: set {', '.join(MISSING)}"
)


@pytest.fixture
def settings() -> CloudSettings:
    return read({"AZURE_CREDENTIAL": "default", **os.environ}, {})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    config = await from_kubeconfig(os.environ["KUBECONFIG"])
    async with Client(config.transport(), field_manager="test") as client:
        yield client


async def until(seen: Callable[[], Awaitable[object]]) -> None:
    """Nothing tells when Azure is done, so it is looked at now and then."""
    await eventually(seen, within=PATIENCE, heartbeat=PAUSE)


async def test_a_machine_lives_and_goes_though_the_daemon_is_killed(
    client: Client, settings: CloudSettings, tmp_path: Path
) -> None:
    name = f"ws{secrets.token_hex(4)}"
    key = Key("", name)
    daemon = Process(
        tmp_path / "provisioner.log",
        *("provisioner", "--no-leader-election", "--kubeconfig", os.environ["KUBECONFIG"]),
        environment={"AZURE_CREDENTIAL": "default", **os.environ},
    )
    asked = machine_object(name, spec={"requirements": [requirement(INSTANCE_TYPE, SIZE)]})
    asked["metadata"] = {"name": name, "labels": asked["metadata"]["labels"]}

    async def claim() -> Object:
        try:
            return await client.get(MACHINES, key)
        except NotFound:
            return {}

    async def ready() -> bool:
        return is_true((await claim()).get("status", {}).get("conditions", []), "Ready")

    async with connect(settings) as azure:

        async def being_made() -> bool:
            return not isinstance(await azure.observe(name), Absent)

        async def gone() -> bool:
            return not await claim()

        await daemon.start()
        try:
            await client.create(MACHINES, asked)
            await until(being_made)
            await daemon.kill()
            await daemon.start()
            await until(ready)
            await client.delete(MACHINES, key)
            await until(gone)
        finally:
            # Whatever went wrong, nothing stays that costs money.
            if await claim():
                await client.delete(MACHINES, key)
                await until(gone)
            await daemon.stop()
        assert await azure.observe(name) == Absent()
    nodes = await client.list(NODES, labels=f"agentpool={name}")
    assert nodes.items == []
