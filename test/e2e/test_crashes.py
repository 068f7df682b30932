"""Daemons that are killed while Azure takes its time, and leaders that die.

Kills at any moment of each way to serve are in test_matrix.py.
"""

from __future__ import annotations

import pytest
import yaml

from kaito.runtime import Key
from test.e2e.stage import (
    LEASES,
    MACHINES,
    NODES,
    PHI,
    QUICK_START,
    WORKSPACES,
    Process,
    Stage,
)


async def start(stage: Stage, daemon: str) -> Process:
    # A dead leader's lease must run out before its successor works; a shorter one could be lost by
    # a daemon that a busy machine keeps waiting.
    process = stage.process(daemon, "--lease-seconds", "3")
    await process.start()
    return process


@pytest.mark.parametrize("profile", ["demo"])  # a pool takes long enough to be met half-way
@pytest.mark.parametrize("daemon", ["manager", "provisioner"])
async def test_a_daemon_killed_during_deletion_leaves_nothing(bare: Stage, daemon: str) -> None:
    daemons = {name: await start(bare, name) for name in ("manager", "provisioner")}
    await bare.client.create(WORKSPACES, yaml.safe_load(QUICK_START.read_text()) | V1BETA1)
    await bare.until(lambda: bare.is_true("WorkspaceReady"), "WorkspaceReady=True")

    await bare.client.delete(WORKSPACES, PHI)
    await bare.until(lambda: deleting(bare), "a Machine in deletion")
    await daemons[daemon].kill()
    await start(bare, daemon)

    await bare.until(lambda: not bare.all(WORKSPACES), "the Workspace gone")
    assert bare.all(MACHINES) == []
    assert bare.all(NODES) == []
    assert await bare.pools() == []


@pytest.mark.parametrize("profile", ["demo"])
async def test_the_provisioner_killed_while_azure_makes_the_pool_asks_for_no_second(
    bare: Stage,
) -> None:
    await start(bare, "manager")
    provisioner = await start(bare, "provisioner")
    await bare.client.create(WORKSPACES, yaml.safe_load(QUICK_START.read_text()) | V1BETA1)
    await bare.until(lambda: "Creating" in progress(bare), "a pool in the making")

    await provisioner.kill()
    [creating] = await bare.pools()
    await start(bare, "provisioner")

    await bare.until(lambda: bare.is_true("WorkspaceReady"), "WorkspaceReady=True")
    assert [pool.name for pool in await bare.pools()] == [creating.name]
    assert len(bare.all(NODES)) == 1


async def test_of_two_managers_one_leads_and_the_other_takes_over_when_it_is_killed(
    bare: Stage,
) -> None:
    lease = Key("kaito-system", "kaito-workspace")
    first = await start(bare, "manager")
    await bare.until(lambda: bare.find(LEASES, lease), "the lease")
    holder = holder_of(bare, lease)
    second = await start(bare, "manager")
    await start(bare, "provisioner")
    quick_start = yaml.safe_load(QUICK_START.read_text()) | V1BETA1
    await bare.client.create(WORKSPACES, quick_start)
    await bare.until(lambda: bare.is_true("WorkspaceReady"), "WorkspaceReady=True")
    assert holder_of(bare, lease) == holder
    assert '"started"' not in second.said

    await first.kill()
    await bare.until(lambda: holder_of(bare, lease) != holder, "another holder")

    later = Key(PHI.namespace, "later")
    metadata = {"namespace": later.namespace, "name": later.name}
    await bare.client.create(WORKSPACES, quick_start | {"metadata": metadata})
    await bare.until(lambda: bare.is_true("WorkspaceReady", later), "the later one ready")
    assert '"started"' in second.said
    assert len(bare.ever(MACHINES)) == len(bare.ever(NODES)) == len(await bare.pools()) == 2


V1BETA1 = {
    "apiVersion": WORKSPACES.api_version,
    "metadata": {"namespace": PHI.namespace, "name": PHI.name},
}


def progress(stage: Stage) -> str:
    """What the Machines say about their launch."""
    return " ".join(
        found.get("message", "")
        for machine in stage.all(MACHINES)
        for found in machine.get("status", {}).get("conditions", ())
    )


def deleting(stage: Stage) -> bool:
    return any("deletionTimestamp" in each["metadata"] for each in stage.all(MACHINES))


def holder_of(stage: Stage, lease: Key) -> str:
    found = stage.find(LEASES, lease) or {}
    return str(found.get("spec", {}).get("holderIdentity", ""))
