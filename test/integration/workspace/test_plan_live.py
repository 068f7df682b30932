"""`kaito plan` beside a cluster: what is there counts, and what would change is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaito.api import crds
from kaito.catalog.catalog import load
from kaito.cli import main
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object
from kaito.testing import Cluster
from test.integration.workspace.stage import DEPLOYMENTS, MACHINES, SERVICES

FOUND = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "default"},
    "resource": {
        "instanceType": "Standard_NC24ads_A100_v4",
        "labelSelector": {"matchLabels": {"apps": "w"}},
    },
    "inference": {"preset": {"name": "phi-4"}},
}
RESOURCES = {each.kind: each for each in (MACHINES, SERVICES, DEPLOYMENTS)}


async def planned(
    kubeconfig: Path, file: Path, workspace: Object, capsys: pytest.CaptureFixture[str]
) -> Any:
    file.write_text(yaml.safe_dump(workspace))
    call = ["plan", "-f", str(file), "--kubeconfig", str(kubeconfig), "-o", "json"]
    await asyncio.to_thread(main, call)
    (told,) = json.loads(capsys.readouterr().out)
    return told


async def test_what_exists_is_kept_and_an_edit_is_told_by_its_fields(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    async with kube.client() as client:
        await kube.install(*crds())
        first = await planned(kube_config, file, FOUND, capsys)
        assert [each["verb"] for each in first["changes"]] == ["create"] * 3

        made = await client.create(WORKSPACES, FOUND)
        documents = Documents()
        key = documents.add(made)
        assert key == Key("default", "w")
        ours = client.with_options(field_manager="kaito-workspace")
        for each in rehearse(documents.observation(key, now=0.0), load(), Settings()).objects:
            await ours.apply(RESOURCES[each["kind"]], each)
        second = await planned(kube_config, file, FOUND, capsys)
        assert [each["verb"] for each in second["changes"]] == ["keep"] * 3

        edited = {
            **FOUND,
            "inference": {"preset": {"name": "phi-4", "presetOptions": {"modelAccessSecret": "s"}}},
        }
        third = await planned(kube_config, file, edited, capsys)
        verbs = {each["kind"]: each for each in third["changes"]}
        assert verbs["Machine"]["verb"] == verbs["Service"]["verb"] == "keep"
        assert verbs["Deployment"]["verb"] == "change"
        assert any("env" in path for path in verbs["Deployment"]["paths"])

        renamed = {**FOUND, "inference": {"preset": {"name": "phi-2"}}}
        fourth = await planned(kube_config, file, renamed, capsys)
        assert not fourth["possible"]
        assert "cannot be changed" in fourth["problems"][0]["message"]
