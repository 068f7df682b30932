"""The daemons use every right that config/rbac gives them, and need no other.

One life of everything that they do. What is refused fails this test and every other one of this
directory; a right that this life leaves unused is either not needed, or the life lacks a step.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import yaml

from kaito.controllers.workspace.revisions import HISTORY
from kaito.local.storage.volumes import CLASS_NAME
from kaito.runtime import Key, NotFound, Object, Resource
from kaito.runtime.authority import VALIDATING
from kaito.testing import eventually
from test.accounts import CONFIG, access, shipped
from test.e2e import tunings
from test.e2e.images import registry
from test.e2e.stage import (
    MACHINES,
    NODECLAIMS,
    NODES,
    PATIENCE,
    PHI,
    PODS,
    QUICK_START,
    ROOT,
    SERVICES,
    WORKSPACES,
    Process,
    Stage,
)
from test.e2e.test_bad_input import PRESET, workspace
from test.unit.provisioner.machines import machine_object, nodeclaim_object

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
BUDGETS: Resource[Object] = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
DAEMONS = ("manager", "provisioner")
# As the disruption controller counts, which the local cluster does not run.
SPENT = {"observedGeneration": 1, "expectedPods": 1, "currentHealthy": 1, "desiredHealthy": 1}
SEVERAL_NODES = ROOT / "examples" / "workspaces" / "several-nodes.yaml"
STUBBORN = {"app": "stubborn"}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_no_role_has_a_wildcard_or_reads_secrets(daemon: str) -> None:
    for manifest in shipped(daemon):
        for rule in manifest.get("rules", ()):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not any(each.startswith("secrets") for each in rule["resources"])


async def test_every_right_is_used_and_none_is_missing(bare: Stage) -> None:
    options = {"manager": ("--checkpoint-class", CLASS_NAME)}
    daemons = {name: bare.process(name, *options.get(name, ())) for name in DAEMONS}
    for process in daemons.values():
        await process.start()
    await serve_and_end(bare)
    await serve_from_several_nodes(bare)
    await tune_and_end(bare)
    await drain_a_stubborn_pod(bare)
    await lose_a_node(bare)
    await lose_a_workspace(bare, daemons["manager"])
    await refuse_the_same_twice(bare)
    await lose_a_machine(bare, daemons["provisioner"])
    await trust_the_webhook(bare)
    for process in daemons.values():
        assert await process.stop() == 0
    found = {daemon: (await access(bare.client, daemon)).unused for daemon in DAEMONS}
    assert found == dict.fromkeys(DAEMONS, ())


async def serve_and_end(stage: Stage) -> None:
    """A Workspace becomes ready, is changed more often than its history is long, and goes."""
    manifest = yaml.safe_load(QUICK_START.read_text())
    manifest["apiVersion"] = WORKSPACES.api_version
    manifest["metadata"]["namespace"] = PHI.namespace
    await stage.client.create(WORKSPACES, manifest)
    await stage.until(lambda: stage.is_true("WorkspaceReady"), "WorkspaceReady=True")
    await fail_and_recover(stage)
    for number in range(HISTORY + 1):
        await change(stage, PHI, f"settings-{number}")
    await stage.client.delete(WORKSPACES, PHI)
    await stage.until(lambda: not stage.all(WORKSPACES), "the Workspace gone")


async def serve_from_several_nodes(stage: Stage) -> None:
    """A model that no node holds alone, and that needs a token to be read."""
    secret = {"metadata": {"namespace": PHI.namespace, "name": "hugging-face"}}
    await stage.client.create(SECRETS, secret | {"stringData": {"HF_TOKEN": "canary"}})
    manifest = yaml.safe_load(SEVERAL_NODES.read_text())
    key = Key(PHI.namespace, manifest["metadata"]["name"])
    manifest["apiVersion"] = WORKSPACES.api_version
    manifest["metadata"]["namespace"] = key.namespace
    await stage.client.create(WORKSPACES, manifest)
    await stage.until(lambda: stage.is_true("WorkspaceReady", key), "WorkspaceReady=True")
    before = stage.ever(PODS).copy()
    await change(stage, key, "settings-of-several")
    await stage.until(lambda: stage.ever(PODS) - before, "other Pods")
    await stage.client.delete(WORKSPACES, key)
    await stage.until(lambda: not stage.all(WORKSPACES), "the Workspace gone")


async def tune_and_end(stage: Stage) -> None:
    """A training keeps its checkpoints on a disk, says how far it is, ends well, and goes."""
    host = await registry(stage, tunings.ACCOUNT)
    await tunings.give(stage, "data", train__jsonl='{"prompt": "a", "completion": "b"}')
    key = await tunings.create(stage, tunings.tuning("tuned", f"{host}/adapters/tuned:1"))
    await tunings.succeeded(stage, key)
    assert tunings.status(stage, key)["tuning"]["steps"]
    await stage.client.delete(WORKSPACES, key)
    await stage.until(lambda: not stage.all(WORKSPACES), "the Workspace gone")


async def change(stage: Stage, key: Key, settings: str) -> None:
    """Give a Workspace other settings for its engine, and see that this has been seen."""
    head = {"metadata": {"namespace": key.namespace, "name": settings}}
    await stage.client.create(CONFIG_MAPS, head | {"data": {"inference_config.yaml": "vllm: {}"}})
    changed = await stage.client.patch(WORKSPACES, key, {"inference": {"config": settings}})
    generation = changed["metadata"]["generation"]

    def seen() -> bool:
        return bool(stage.condition("ResourceReady", key).get("observedGeneration") == generation)

    await stage.until(seen, "the change seen")


async def fail_and_recover(stage: Stage) -> None:
    """The Workspace's Node is not ready for a while, and looks as if it never had been."""
    [node], [machine] = stage.all(NODES), stage.all(MACHINES)
    key, name = Key("", node["metadata"]["name"]), machine["metadata"]["name"]
    fault = {"local.kaito.sh/fault": "not-ready"}
    await stage.client.patch(NODES, key, {"metadata": {"annotations": fault}})
    await stage.until(lambda: not stage.is_true("WorkspaceReady"), "WorkspaceReady=False")
    anew = {"metadata": {"labels": {"karpenter.sh/initialized": None}}}
    await stage.client.patch(NODES, key, anew)
    await stage.until(lambda: not is_ready(stage, MACHINES, name), "the Machine not ready")
    recovered = {"metadata": {"annotations": dict.fromkeys(fault)}}
    await stage.client.patch(NODES, key, recovered)
    await stage.until(lambda: is_ready(stage, MACHINES, name), "the Machine ready")
    await stage.until(lambda: stage.is_true("WorkspaceReady"), "WorkspaceReady=True")


async def drain_a_stubborn_pod(stage: Stage) -> None:
    """A NodeClaim goes whose Pod a budget keeps, until time is up."""
    claim = nodeclaim_object("wsclaim", spec={"terminationGracePeriod": "8s"})
    await stage.client.create(NODECLAIMS, written(claim))
    await stage.until(lambda: is_ready(stage, NODECLAIMS, "wsclaim"), "the NodeClaim ready")
    [node] = stage.all(NODES)
    await stage.client.create(BUDGETS, budget())
    await stage.client.create(PODS, stubborn(node["metadata"]["name"]))
    await stage.until(lambda: serving(stage), "a Pod that is ready")
    status = {"status": {**SPENT, "disruptionsAllowed": 0}}
    await stage.client.patch(BUDGETS, Key("default", "stubborn"), status, subresource="status")
    await stage.client.delete(NODECLAIMS, Key("", "wsclaim"))
    await stage.until(lambda: not stage.all(NODECLAIMS), "the NodeClaim gone")


async def lose_a_node(stage: Stage) -> None:
    """Somebody deletes the Nodes of claims of both kinds, which go with them."""
    await stage.client.create(MACHINES, written(machine_object("wsmachine")))
    await stage.client.create(NODECLAIMS, written(nodeclaim_object("wsclaim")))
    await stage.until(lambda: is_ready(stage, MACHINES, "wsmachine"), "the Machine ready")
    await stage.until(lambda: is_ready(stage, NODECLAIMS, "wsclaim"), "the NodeClaim ready")
    for node in stage.all(NODES):
        await stage.client.delete(NODES, Key("", node["metadata"]["name"]))
    await stage.until(lambda: not stage.all(MACHINES), "the Machine gone")
    await stage.until(lambda: not stage.all(NODECLAIMS), "the NodeClaim gone")


async def lose_a_workspace(stage: Stage, manager: Process) -> None:
    """A Workspace is removed by force while nobody looks; its Machine goes all the same."""
    key = Key("default", "taken")
    await stage.client.create(WORKSPACES, workspace(key.name, inference=PRESET))
    await stage.until(lambda: stage.is_true("WorkspaceReady", key), "WorkspaceReady=True")
    assert await manager.stop() == 0
    await stage.client.patch(WORKSPACES, key, {"metadata": {"finalizers": None}})
    await stage.client.delete(WORKSPACES, key)
    await manager.start()
    await stage.until(lambda: not stage.all(MACHINES), "the Machine gone")


async def lose_a_machine(stage: Stage, provisioner: Process) -> None:
    """A Machine is removed by force while nobody looks; the sweep finds its pool."""
    name = Key("", "wsswept")
    await stage.client.create(MACHINES, written(machine_object(name.name)))
    await stage.until(lambda: is_ready(stage, MACHINES, name.name), "the Machine ready")
    assert await provisioner.stop() == 0
    await stage.client.patch(MACHINES, name, {"metadata": {"finalizers": None}})
    await stage.client.delete(MACHINES, name)
    await provisioner.start()

    async def swept() -> bool:
        return await stage.pools() == []

    await eventually(swept, within=PATIENCE)


async def refuse_the_same_twice(stage: Stage) -> None:
    """A Machine asks for what no node is, then for something else that none is, then for the first
    again: what has been told of it is told again."""
    key = Key("", "wsrefused")
    asked = written(machine_object(key.name))
    for system in ("windows", "plan9", "windows"):
        wish = {"key": "kubernetes.io/os", "operator": "In", "values": [system]}
        asked["spec"] = {**asked["spec"], "requirements": [wish]}
        if stage.find(MACHINES, key) is None:
            await stage.client.create(MACHINES, asked)
        else:
            await stage.client.patch(MACHINES, key, {"spec": asked["spec"]})
        told = partial(tells, stage, key, system)
        await stage.until(told, f"no {system}")
    await stage.client.delete(MACHINES, key)
    await stage.until(lambda: stage.find(MACHINES, key) is None, "the Machine gone")


async def trust_the_webhook(stage: Stage) -> None:
    """The installed configuration learns to trust the manager."""
    manifests = yaml.safe_load_all((CONFIG / "webhook" / "webhook.yaml").read_text())
    for manifest in manifests:
        kind = {each.kind: each for each in (SERVICES, VALIDATING)}[manifest["kind"]]
        await stage.client.create(kind, manifest)
        name = manifest["metadata"]["name"]

    async def trusted() -> bool:
        try:
            found = await stage.client.get(VALIDATING, Key("", name))
        except NotFound:
            return False
        return all("caBundle" in webhook["clientConfig"] for webhook in found["webhooks"])

    await eventually(trusted, within=PATIENCE)


def is_ready(stage: Stage, kind: Resource[Object], name: str) -> bool:
    claim = stage.find(kind, Key("", name)) or {}
    conditions = claim.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def tells(stage: Stage, key: Key, word: str) -> bool:
    conditions = (stage.find(MACHINES, key) or {}).get("status", {}).get("conditions", ())
    return any(word in c["message"] for c in conditions if c["type"] == "MachineLaunched")


def serving(stage: Stage) -> bool:
    pod = stage.find(PODS, Key("default", "stubborn")) or {}
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def written(claim: Any) -> Object:
    """A claim as somebody writes it who has no API server to fill in the rest."""
    meta = claim["metadata"]
    return {**claim, "metadata": {"name": meta["name"], "labels": meta["labels"]}}


def stubborn(node: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stubborn", "namespace": "default", "labels": STUBBORN},
        "spec": {
            "nodeName": node,
            "tolerations": [{"key": "sku", "operator": "Exists"}],
            "containers": [{"name": "a", "image": "example.com/a:1"}],
            "terminationGracePeriodSeconds": 2,
        },
    }


def budget() -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "stubborn", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": STUBBORN}},
    }
