"""The API server is killed and comes back with its data: nothing is lost, nobody falls silent."""

from __future__ import annotations

from pathlib import Path

import yaml

from kaito.runtime import Key, Object
from test.e2e.stage import MACHINES, QUICK_START, WORKSPACES, stage


def workspace(name: str) -> Object:
    manifest: Object = yaml.safe_load(QUICK_START.read_text())
    manifest["apiVersion"] = WORKSPACES.api_version
    manifest["metadata"] = {"namespace": "default", "name": name}
    return manifest


async def test_the_daemons_go_on_when_the_api_server_was_killed(tmp_path: Path) -> None:
    options = ("--no-controllers", "--profile", "instant", "--data-dir", str(tmp_path / "data"))
    async with stage(tmp_path, *options) as made:
        daemons = [made.process(name) for name in ("manager", "provisioner")]
        for daemon in daemons:
            await daemon.start()
        before, after = Key("default", "before"), Key("default", "after")
        await made.client.create(WORKSPACES, workspace("before"))
        await made.until(lambda: made.is_true("WorkspaceReady", before), "the first one ready")

        await made.crash_the_cluster()

        await made.client.create(WORKSPACES, workspace("after"))
        await made.until(lambda: made.is_true("WorkspaceReady", after), "the second one ready")
        assert made.is_true("ResourceReady", before)
        # Our own view of Machines was cut, too, and comes back in its own time.
        await made.until(lambda: len(made.all(MACHINES)) == 2, "both Machines")
        assert len(await made.pools()) == 2
        assert all(daemon.running for daemon in daemons)
