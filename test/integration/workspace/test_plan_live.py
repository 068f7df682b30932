"""`kaito plan` beside a cluster: what is there counts, and what would change is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaito.api import crds
from kaito.catalog.catalog import load
from kaito.cli import main
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import CHILDREN, REVISIONS, WORKSPACES
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.revisions import Undone, content_of, declared, record
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object, Resource
from kaito.testing import Cluster
from test.integration.workspace.stage import MACHINES, NODES

FOUND: Object = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "default"},
    "resource": {
        "instanceType": "Standard_NC24ads_A100_v4",
        "labelSelector": {"matchLabels": {"apps": "w"}},
    },
    "inference": {"preset": {"name": "phi-4"}},
}
NOTE = {"kaito.sh/performance-mode": "throughput"}
RESOURCES = {each.kind: each for each in (MACHINES, *CHILDREN.values())}


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
        assert (first["now"], first["price"]["newNodes"]) == (None, 1)

        made = await client.create(WORKSPACES, FOUND)
        documents = Documents()
        key = documents.add(made)
        assert key == Key("default", "w")
        ours = client.with_options(field_manager="kaito-workspace")
        for each in rehearse(documents.observation(key, now=0.0), load(), Settings()).objects:
            await ours.apply(RESOURCES[each["kind"]], each)
        second = await planned(kube_config, file, FOUND, capsys)
        assert [each["verb"] for each in second["changes"]] == ["keep"] * 3
        assert second["price"]["newNodes"] == 0

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


GATED = {
    **FOUND,
    "inference": {
        "preset": {
            "name": "llama-3.1-8b-instruct",
            "presetOptions": {"modelAccessSecret": "hf"},
        }
    },
}
OWN_NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "mine",
        "labels": {
            "apps": "w",
            "nvidia.com/gpu.product": "NVIDIA-A100",
            "nvidia.com/gpu.count": "1",
            "nvidia.com/gpu.memory": "81920",
        },
    },
    "status": {
        "allocatable": {"nvidia.com/gpu": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
PERSISTENT_VOLUME_CLAIMS: Resource[Object] = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"
)


async def test_a_secret_that_is_not_there_is_waited_for(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    async with kube.client() as client:
        await kube.install(*crds())
        missing = await planned(kube_config, file, GATED, capsys)
        assert missing["secrets"] == [{"name": "hf", "key": "HF_TOKEN", "exists": False}]
        assert missing["waits"].startswith("Secret hf is not in the namespace default, and Pods")
        assert missing["verdict"] == "applied, and then it waits"
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hf", "namespace": "default"},
            "stringData": {"HF_TOKEN": "hf_secret"},
        }
        await client.create(SECRETS, secret)
        there = await planned(kube_config, file, GATED, capsys)
        assert there["secrets"][0]["exists"] is True
        assert there["waits"] is None
        assert "hf_secret" not in json.dumps(there)


MOUNTING = {
    **FOUND,
    "inference": {
        "preset": {"name": "phi-4"},
        "adapters": [
            {
                "source": {
                    "name": "poet",
                    "volumeSource": {"persistentVolumeClaim": {"claimName": "adapters"}},
                }
            }
        ],
    },
}
CLAIM: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "adapters", "namespace": "default"},
    "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def test_a_claim_that_is_not_there_is_waited_for(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    async with kube.client() as client:
        await kube.install(*crds())
        missing = await planned(kube_config, file, MOUNTING, capsys)
        assert missing["claims"] == [{"name": "adapters", "exists": False}]
        assert missing["waits"].startswith(
            "PersistentVolumeClaim adapters is not in the namespace default, and Pods wait for it"
        )
        await client.create(PERSISTENT_VOLUME_CLAIMS, CLAIM)
        there = await planned(kube_config, file, MOUNTING, capsys)
        assert there["claims"] == [{"name": "adapters", "exists": True}]
        assert there["waits"] is None


@pytest.mark.parametrize(
    ("status", "seconds"), [("True", {"low": 0, "high": 0}), ("False", "more")]
)
async def test_what_exists_is_told_as_it_is_now(
    kube: Cluster,
    kube_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    status: str,
    seconds: object,
) -> None:
    file = tmp_path / "w.yaml"
    async with kube.client() as client:
        await kube.install(*crds())
        made = await client.create(WORKSPACES, FOUND)
        documents = Documents()
        key = documents.add(made)
        assert key is not None
        ours = client.with_options(field_manager="kaito-workspace")
        for each in rehearse(documents.observation(key, now=0.0), load(), Settings()).objects:
            await ours.apply(RESOURCES[each["kind"]], each)
        condition = {
            "type": "WorkspaceReady",
            "status": status,
            "reason": "Because",
            "message": "It is so.",
            "lastTransitionTime": "2026-11-21T00:00:00Z",
        }
        said = {"status": {"conditions": [condition]}}
        await client.patch(WORKSPACES, key, said, subresource="status")
        told = await planned(kube_config, file, FOUND, capsys)
        assert (told["now"]["status"], told["now"]["message"]) == (status, "It is so.")
        if seconds == "more":
            assert told["secondsToReady"]["high"] > 0
        else:
            assert told["secondsToReady"] == seconds


async def test_what_was_undone_before_is_not_promised_again(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    edited = {**FOUND, "metadata": {**FOUND["metadata"], "annotations": NOTE}}
    async with kube.client() as client:
        await kube.install(*crds())
        made = await client.create(WORKSPACES, edited)
        subject = Subject(made)
        good, bad = (
            declared(subject, content_of(each), ())
            for each in ({**made, "metadata": FOUND["metadata"]}, made)
        )
        why = Undone(reason="ImagePullError", message="It is not there.")
        for each in (
            replace(good, number=1, served="2026-11-21T00:00:00Z"),
            replace(bad, number=2, undone=why),
        ):
            await client.create(REVISIONS, record(subject, each), namespace="default")
        told = await planned(kube_config, file, made, capsys)
        assert "It is not there." in json.dumps(told["waits"])
        other = await planned(kube_config, file, FOUND, capsys)
        assert "It is not there." not in json.dumps(other["waits"])


async def test_nodes_that_another_workspace_counts_are_not_there(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    own = {**FOUND, "resource": {**FOUND["resource"], "instanceType": ""}}
    async with kube.client() as client:
        await kube.install(*crds())
        await client.create(NODES, OWN_NODE)
        status = {"status": OWN_NODE["status"]}
        await client.patch(NODES, Key.of(OWN_NODE), status, subresource="status")
        free = await planned(kube_config, file, own, capsys)
        assert free["ownNodes"] == ["mine"]
        other = await client.create(
            WORKSPACES, {**own, "metadata": {"name": "other", "namespace": "default"}}
        )
        await client.patch(
            WORKSPACES,
            Key.of(other),
            {"status": {"workerNodes": ["mine"]}},
            subresource="status",
        )
        taken = await planned(kube_config, file, own, capsys)
        assert taken["ownNodes"] == []
        assert taken["waits"].startswith("0 of 1 nodes are there.")


async def test_a_cluster_that_was_named_and_refuses_is_told_with_the_way_out(
    kube: Cluster, kube_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(yaml.safe_dump(FOUND))
    wrong = yaml.safe_load(kube_config.read_text())
    wrong["users"][0]["user"] = {"token": "stale"}
    kube_config.write_text(yaml.safe_dump(wrong))
    call = ["plan", "-f", str(file), "--kubeconfig", str(kube_config)]
    assert await asyncio.to_thread(main, call) == 1
    told = capsys.readouterr().err
    assert "plan without the cluster: --offline" in told
    assert str(kube_config) in told
