"""The quick start as a user runs it, with kubectl, against `kaito local up`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from test.e2e.stage import (
    HAS_KUBECTL,
    MACHINES,
    NODES,
    PHI,
    QUICK_START,
    ROOT,
    WORKSPACES,
    Process,
    Stage,
    kubectl,
)

pytestmark = pytest.mark.skipif(
    not HAS_KUBECTL, reason="kubectl is not on PATH; install it to run this with the real one"
)


async def test_kubectl_applies_gets_describes_asks_and_deletes_the_quick_start(
    running: Stage,
) -> None:
    async def ask(*arguments: str) -> str:
        return await kubectl(running.kubeconfig, *arguments)

    assert "created" in await ask("apply", "-f", str(QUICK_START))
    await running.until(lambda: running.is_true("WorkspaceReady"), "WorkspaceReady=True")

    header, row = (await ask("get", "workspace", PHI.name)).splitlines()
    assert header.split() == [
        *("NAME", "INSTANCE", "RESOURCEREADY", "INFERENCEREADY", "WORKSPACEREADY", "AGE")
    ]
    assert row.split()[:5] == [PHI.name, "Standard_NC6s_v3", "True", "True", "True"]

    header, row = (await ask("get", "svc", PHI.name)).splitlines()
    assert header.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row.split()[:2] == [PHI.name, "ClusterIP"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", row.split()[2])
    assert row.split()[3:5] == ["<none>", "80/TCP,29500/TCP"]

    described = await ask("describe", "workspace", PHI.name)
    assert "WorkspaceReady" in described
    assert "Events:" in described

    path = f"/api/v1/namespaces/default/services/{PHI.name}:80/proxy/chat"
    answer = json.loads(
        await ask("create", "--raw", path, "-f", str(ROOT / "examples/question.json"))
    )
    assert "simulated" in answer["Result"]

    assert "unchanged" in await ask("apply", "-f", str(QUICK_START))
    assert "deleted" in await ask("delete", "workspace", PHI.name)
    await running.until(lambda: not running.all(WORKSPACES), "the Workspace gone")
    assert running.all(MACHINES) == []
    assert running.all(NODES) == []
    assert await running.pools() == []


async def test_kubectl_watches_a_workspace_until_it_is_ready(running: Stage) -> None:
    await kubectl(running.kubeconfig, "apply", "-f", str(QUICK_START))
    waited = await kubectl(
        running.kubeconfig,
        *("wait", "--for=condition=WorkspaceReady", f"workspace/{PHI.name}", "--timeout=60s"),
    )
    assert "condition met" in waited


async def test_the_cluster_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    up = Process(tmp_path / "log", "local", "up", "--kubeconfig", str(tmp_path / "kubeconfig"))
    await up.start()
    assert await up.line() == "ready"
    assert await up.stop() == 0
