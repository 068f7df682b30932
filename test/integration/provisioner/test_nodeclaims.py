"""NodeClaims through the whole daemon: API server and Azure over HTTPS, the real SDK between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaito.controllers.machine import served_kinds
from kaito.provisioner.claim import MACHINE, NODECLAIM
from kaito.runtime import Key, Object, Resource
from test.integration.provisioner.cluster import (
    CRDS,
    MACHINES,
    NODECLAIMS,
    PODS,
    Stage,
    nothing_is_left,
    ready,
    staged,
)
from test.unit.provisioner.machines import A100, NAME

BUDGETS: Resource[Object] = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
SELECTOR = {"app": "llm"}
# As the disruption controller counts, which the local cluster does not run.
SPENT = {
    "observedGeneration": 1,
    "expectedPods": 1,
    "currentHealthy": 1,
    "desiredHealthy": 1,
    "disruptionsAllowed": 0,
}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES, NODECLAIMS) as stage:
        stage.start()
        yield stage


async def test_a_nodeclaim_becomes_a_node_and_goes_without_a_trace(stage: Stage) -> None:
    await stage.create(kind=NODECLAIMS)
    await ready(stage)
    claim = stage.claim()
    assert claim is not None
    [node] = stage.nodes()
    status = claim["status"]
    assert status["nodeName"] == node["metadata"]["name"]
    assert status["providerID"] == node["spec"]["providerID"]
    assert status["capacity"]["nvidia.com/gpu"] == "1"
    assert status["allocatable"]["nvidia.com/gpu"] == "1"
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ["Launched", "Registered", "Initialized", "Ready"], "True"
    )
    assert {c["observedGeneration"] for c in status["conditions"]} == {1}
    assert claim["metadata"]["labels"]["node.kubernetes.io/instance-type"] == A100
    assert node["metadata"]["ownerReferences"][0]["kind"] == "NodeClaim"

    await stage.client.delete(NODECLAIMS, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_machines_and_nodeclaims_are_served_side_by_side(stage: Stage) -> None:
    await stage.create("wsmachine")
    await stage.create("wsclaim", kind=NODECLAIMS)
    names = ("wsmachine", "wsclaim")
    await stage.until(
        lambda: all(stage.condition("Ready", name).get("status") == "True" for name in names),
        "both Ready",
    )
    assert sorted(stage.pools()) == ["wsclaim", "wsmachine"]


async def test_machines_are_served_on_when_the_definition_of_nodeclaims_goes(stage: Stage) -> None:
    await stage.create()
    await stage.until(lambda: stage.condition("Ready"), "the Machine taken on")
    await stage.client.delete(CRDS, Key("", "nodeclaims.karpenter.sh"))
    await stage.until_polled(lambda: stage.counted("kaito_provisioner_sweep_stale"))
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_a_cluster_without_machines_has_its_nodeclaims_served() -> None:
    async with staged(NODECLAIMS) as stage:
        stage.start()
        await stage.create(kind=NODECLAIMS)
        await ready(stage)


def pod(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "llm", "namespace": "default", "labels": SELECTOR},
        "spec": {
            "nodeName": node,
            "tolerations": [{"key": "sku", "operator": "Exists"}],
            "containers": [{"name": "llm", "image": "example.com/llm:1"}],
            "terminationGracePeriodSeconds": 0,
        },
    }


def budget() -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "llm", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": SELECTOR}},
    }


async def guarded(stage: Stage, spec: Object | None = None) -> None:
    """A NodeClaim that is being deleted, whose Node a Pod's disruption budget keeps."""
    await stage.create(kind=NODECLAIMS, spec=spec)
    await ready(stage)
    [node] = stage.nodes()
    await stage.client.create(BUDGETS, budget())
    await stage.client.create(PODS, pod(node["metadata"]["name"]))
    await stage.until(stage.serving, "a Pod that is ready")
    status = {"status": SPENT}
    await stage.client.patch(BUDGETS, Key("default", "llm"), status, subresource="status")
    await stage.client.delete(NODECLAIMS, Key("", NAME))


async def test_a_disruption_budget_is_respected_and_told(stage: Stage) -> None:
    await guarded(stage)
    await stage.until(
        lambda: "disruption budget" in stage.condition("Drained").get("message", ""), "Drained"
    )
    assert stage.condition("Drained")["status"] == "Unknown"
    assert stage.pools() == [NAME]
    await stage.client.delete(BUDGETS, Key("default", "llm"))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_a_disruption_budget_holds_no_longer_than_the_grace_period(stage: Stage) -> None:
    await guarded(stage, {"terminationGracePeriod": "1s"})
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


@pytest.mark.parametrize("condition", ["Launched", "Registered", "Drained"])
async def test_a_daemon_killed_in_the_middle_goes_on_where_it_was(
    stage: Stage, condition: str
) -> None:
    await stage.create(kind=NODECLAIMS)
    if condition == "Drained":
        await ready(stage)
        [node] = stage.nodes()
        await stage.client.create(PODS, pod(node["metadata"]["name"]))
        await stage.client.delete(NODECLAIMS, Key("", NAME))
    await stage.until(
        lambda: stage.condition(condition).get("status") or stage.claim() is None, condition
    )
    await stage.kill()
    stage.start()
    if condition != "Drained":
        await ready(stage)
        assert stage.pools() == [NAME]
        await stage.client.delete(NODECLAIMS, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_before_there_is_any_definition_both_kinds_are_expected() -> None:
    async with staged() as stage:
        assert await served_kinds(stage.client) == (MACHINE, NODECLAIM)
