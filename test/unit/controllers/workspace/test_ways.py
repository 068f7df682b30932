"""The ways in which nodes are asked for: what is written in each, and what becomes of a change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.api.nodeclaim import NodeClaim
from kaito.api.nodepool import NodePool
from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.settings import NodeClass, Settings
from kaito.runtime import Object, rfc3339
from test.unit.controllers.workspace.scene import (
    CATALOG,
    FIRST,
    NOW,
    SIZE,
    UID,
    after,
    condition,
    decided,
    held,
    kinds,
    node,
    of_kind,
    own_node,
    ready_machine,
    says,
    seen,
)

CLAIMS = Settings(node_request="nodeclaim")
POOLS = Settings(node_request="nodepool")
BYO = Settings(node_request="byo")
EVERY_WAY = (Settings(), CLAIMS, POOLS, BYO)
AZURE = NodeClass(group="karpenter.azure.com", kind="AKSNodeClass", name="gpu")
GOOD = [{"type": t, "status": "True"} for t in ("Launched", "Registered", "Initialized", "Ready")]
TEMPLATE = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}


def requirements(spec: Object) -> dict[str, list[str]]:
    return {each["key"]: each["values"] for each in spec["requirements"]}


def ready_claim(name: str = FIRST, *, pool: str = "", **metadata: Any) -> Order:
    labels = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
    if pool:
        labels["karpenter.sh/nodepool"] = pool
        metadata["ownerReferences"] = [{"kind": "NodePool", "name": pool}]
    return Order.model_validate(
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodeClaim",
            "metadata": {"name": name, "uid": f"uid-of-{name}", "labels": labels, **metadata},
            "spec": {
                "nodeClassRef": {"group": "kaito.sh", "kind": "KaitoNodeClass", "name": "default"},
                "requirements": [
                    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [SIZE]}
                ],
                "resources": {"requests": {"storage": "87Gi"}},
            },
            "status": {"conditions": GOOD, "nodeName": f"node-{name}"},
        }
    )


def test_a_nodeclaim_is_what_upstream_sends() -> None:
    written = of_kind(decided(seen(held()), CLAIMS), "NodeClaim")
    assert written["metadata"]["name"] == FIRST
    assert written["metadata"]["labels"] == {
        "apps": "phi-3",
        "karpenter.sh/nodepool": "kaito",
        "kaito.sh/workspace": "w",
        "kaito.sh/workspacenamespace": "default",
    }
    assert written["metadata"]["annotations"] == {
        "karpenter.sh/do-not-disrupt": "true",
        "kaito.sh/node-image-family": "ubuntu",
        "kaito.sh/workspace-uid": UID,
    }
    spec = written["spec"]
    assert spec["nodeClassRef"] == {
        "group": "kaito.sh",
        "kind": "KaitoNodeClass",
        "name": "default",
    }
    assert requirements(spec) == {
        "karpenter.sh/nodepool": ["kaito"],
        "node.kubernetes.io/instance-type": [SIZE],
        "karpenter.azure.com/sku-name": [SIZE],
        "kubernetes.io/os": ["linux"],
    }
    assert spec["taints"] == [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]
    assert spec["resources"]["requests"]["storage"].endswith("Gi")
    assert spec["expireAfter"] == "Never"
    NodeClaim.model_validate(written)


def test_a_nodeclaim_that_exists_keeps_its_spec_to_the_letter() -> None:
    there = ready_claim()
    written = of_kind(decided(seen(held(), orders=(there,)), CLAIMS), "NodeClaim")
    assert written["spec"] == there.wire()["spec"]


def test_a_pool_asks_for_all_nodes_at_once() -> None:
    observation = seen(held(resource={"count": 3}) | {"inference": TEMPLATE})
    decision = decided(observation, POOLS)
    assert kinds(decision) == ["NodePool"]
    written = of_kind(decision, "NodePool")
    assert written["metadata"]["name"] == FIRST
    assert written["metadata"]["labels"]["karpenter.kaito.sh/managed-by"] == "kaito"
    assert written["spec"]["replicas"] == 3
    assert written["spec"]["limits"] == {"nodes": "4"}
    template = written["spec"]["template"]
    assert template["metadata"]["labels"] == {
        "apps": "phi-3",
        "kaito.sh/workspace": "w",
        "kaito.sh/workspacenamespace": "default",
    }
    assert template["spec"]["nodeClassRef"] == {
        "group": "karpenter.azure.com",
        "kind": "AKSNodeClass",
        "name": "default",
    }
    NodePool.model_validate(written)


def test_labels_that_karpenter_keeps_to_itself_are_asked_for_as_requirements() -> None:
    zone = {"matchLabels": {"apps": "phi-3", "topology.kubernetes.io/zone": "eastus-1"}}
    written = of_kind(decided(seen(held(resource={"labelSelector": zone})), POOLS), "NodePool")
    template = written["spec"]["template"]
    assert "topology.kubernetes.io/zone" not in template["metadata"]["labels"]
    assert requirements(template["spec"])["topology.kubernetes.io/zone"] == ["eastus-1"]


@pytest.mark.parametrize("request_", ["nodeclaim", "nodepool"])
def test_the_node_class_is_the_administrators_or_the_workspaces(request_: Any) -> None:
    settings = Settings(node_request=request_, node_class=AZURE)
    named = held(metadata={"annotations": {"kaito.sh/node-class-name": "mine"}})
    for found, name in [(held(), "gpu"), (named, "mine")]:
        (written,) = decided(seen(found), settings).objects
        spec = written["spec"].get("template", written)["spec"]
        assert spec["nodeClassRef"] == {
            "group": "karpenter.azure.com",
            "kind": "AKSNodeClass",
            "name": name,
        }


@pytest.mark.parametrize("settings", [Settings(), CLAIMS, BYO])
def test_a_node_class_that_means_nothing_is_refused(settings: Settings) -> None:
    named = held(metadata={"annotations": {"kaito.sh/node-class-name": "mine"}})
    (problem,) = judge(named, None, catalog=CATALOG, settings=settings).problems
    assert problem.path == "metadata.annotations[kaito.sh/node-class-name]"


def test_a_nodeclaim_is_told_of_as_upstream_does() -> None:
    observation = seen(held())
    waiting = decided(observation, CLAIMS)
    assert says(waiting, "NodeClaimReady") == ("False", "NodeClaimNotReady")
    assert says(waiting, "MachineReady") == ("", "")
    assert says(waiting, "ResourceReady") == ("False", "workspaceResourceStatusNotReady")
    assert condition(waiting, "ResourceReady")["message"] == (
        f"NodeClaim {FIRST} ({SIZE}): the node is on its way."
    )
    ready = seen(held(), orders=(ready_claim(),), nodes=(own_node(),))
    assert says(decided(ready, CLAIMS), "NodeClaimReady") == ("True", "NodeClaimsReady")
    assert says(decided(ready, CLAIMS), "ResourceReady")[0] == "True"


def pool_of(observation: Observation) -> Order:
    (pool,) = after(observation, decided(observation, POOLS)).orders
    return pool


def test_a_pool_is_ready_when_its_claims_and_nodes_are() -> None:
    observation = seen(held())
    pool = pool_of(observation)
    waiting = replace(observation, orders=(pool,))
    assert condition(decided(waiting, POOLS), "ResourceReady")["message"] == (
        f"NodePool {FIRST} ({SIZE}): the node is on its way."
    )
    claim = ready_claim("claim", pool=pool.name)
    there = replace(
        observation,
        orders=(claim, pool),
        nodes=(own_node("claim", **{"karpenter.sh/nodepool": pool.name}),),
    )
    decision = decided(there, POOLS)
    assert says(decision, "ResourceReady")[0] == "True"
    assert kinds(decision) == ["NodePool", "Service", "Deployment"]


@pytest.mark.parametrize("ready", [True, False])
def test_a_pool_serves_on_while_karpenter_replaces_a_node(ready: bool) -> None:
    pool = pool_of(seen(held()))
    old, new = (ready_claim(name, pool=pool.name) for name in ("old", "new"))
    joining = new.model_copy(update={"status": type(new.status)()})
    mark = {"karpenter.sh/nodepool": pool.name}
    nodes = (own_node("new", ready=ready, **mark), own_node("old", **mark))
    orders = (new if ready else joining, old, pool)
    decision = decided(seen(held(), orders=orders, nodes=nodes), POOLS)

    assert says(decision, "NodeClaimReady")[0] == "True"
    assert says(decision, "NodesReady")[0] == "True"


def test_claims_that_a_pool_was_made_into_are_never_ours_to_delete() -> None:
    pool = pool_of(seen(held()))
    claims = [ready_claim(f"claim-{n}", pool=pool.name) for n in range(3)]
    decision = decided(seen(held(), orders=(*claims, pool)), POOLS)
    assert decision.deletions == ()


def test_deletion_waits_for_what_was_asked_for_in_every_way() -> None:
    gone = held(metadata={"deletionTimestamp": rfc3339(NOW)})
    pool = pool_of(seen(held()))
    of_pool = ready_claim("claim-1", pool=pool.name)
    orders = (ready_machine(), ready_claim("own"), of_pool, pool)
    decision = decided(seen(gone, orders=orders))
    assert [(d.resource.kind, d.key.name) for d in decision.deletions] == [
        ("Machine", FIRST),
        ("NodeClaim", "own"),
        ("NodePool", pool.name),
    ]
    assert "NodeClaim claim-1" in condition(decision, "WorkspaceDeleting")["message"]
    left = decided(seen(gone, orders=(of_pool,)))
    assert [d.key.name for d in left.deletions] == ["claim-1"]
    assert left.finalizer.name == "KEEP"


@pytest.mark.parametrize("settings", EVERY_WAY)
@pytest.mark.parametrize("there", [ready_machine(), ready_claim()])
def test_another_way_keeps_the_nodes_that_are_there(settings: Settings, there: Order) -> None:
    observation = seen(held(), orders=(there,), nodes=(own_node(),))
    decision = decided(observation, settings)
    assert [o["kind"] for o in decision.objects if o["kind"] in ORDERS] == [there.kind]
    assert decision.deletions == ()
    assert says(decision, "ResourceReady")[0] == "True"


@pytest.mark.parametrize("settings", [Settings(), CLAIMS, POOLS])
def test_only_what_is_missing_is_asked_for_in_the_new_way(settings: Settings) -> None:
    two = held(resource={"count": 2}) | {"inference": TEMPLATE}
    observation = seen(two, orders=(ready_machine(),), nodes=(own_node(),))
    decision = decided(observation, settings)
    new = [o for o in decision.objects if o["metadata"]["name"] != FIRST]
    assert [o["metadata"]["name"] for o in new] == [order_name(UID, 1)]
    assert sum(Order.model_validate(o).nodes for o in new) == 1


def test_a_pool_grows_and_no_second_one_is_made() -> None:
    pool = pool_of(seen(held()))
    two = held(resource={"count": 2}) | {"inference": TEMPLATE}
    written = of_kind(decided(seen(two, orders=(pool,)), POOLS), "NodePool")
    assert (written["metadata"]["name"], written["spec"]["replicas"]) == (pool.name, 2)


def test_where_nodes_are_brought_nothing_is_asked_for() -> None:
    decision = decided(seen(held()), BYO)
    assert decision.objects == ()
    assert condition(decision, "ResourceReady")["message"] == (
        f"0 of 1 nodes are there. Nodes are brought by their users here ({SIZE}), so none are "
        "brought up: label 1 ready GPU node that no other Workspace uses with apps=phi-3."
    )
    assert says(decision, "MachineReady") == says(decision, "NodeClaimReady") == ("", "")
    brought = decided(seen(held(), nodes=(node("mine"),)), BYO)
    assert says(brought, "ResourceReady")[0] == "True"


def test_preferred_nodes_come_first_among_those_that_would_do() -> None:
    wanted = held(resource={"preferredNodes": ["c", "missing"]})
    free = (node("a"), node("b"), node("c"))
    decision = decided(seen(wanted, nodes=free))
    assert decision.status is not None
    assert decision.status["workerNodes"] == ["c"]
    # One that is counted already is kept: it may be serving.
    counted = {**wanted, "status": {"workerNodes": ["b"]}}
    kept = decided(seen(counted, nodes=free))
    assert kept.status is not None
    assert kept.status["workerNodes"] == ["b"]


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (f"{SIZE},,{SIZE}", "has an empty place"),
        ("Standard_NC12s_v3,standard_nc12s_v3", "names Standard_NC12s_v3 more than once"),
        (",".join(f"Standard_NX{n}" for n in range(11)), "names 11 sizes, and 10 at most"),
        ("p3.2xlarge", "names p3.2xlarge, which is no GPU size of azure that KAITO knows"),
    ],
)
def test_a_list_of_sizes_that_cannot_be_is_refused(listing: str, words: str) -> None:
    found = held(metadata={"annotations": {"kaito.sh/instance-types": listing}})
    problems = judge(found, None, catalog=CATALOG, settings=Settings()).problems
    assert {each.path for each in problems} == {"metadata.annotations[kaito.sh/instance-types]"}
    assert any(words in each.message for each in problems), problems


def test_a_size_that_the_model_does_not_fit_on_is_no_alternative() -> None:
    found = held(
        resource={"instanceType": "Standard_ND96isr_H100_v5"},
        inference={"preset": {"name": "deepseek-v3-0324"}},
        metadata={"annotations": {"kaito.sh/instance-types": "Standard_NC4as_T4_v3"}},
    )
    messages = [
        each.message
        for each in judge(found, None, catalog=CATALOG, settings=Settings()).problems
        if "instance-types" in each.path
    ]
    assert len(messages) == 1
    assert messages[0].startswith("Annotation kaito.sh/instance-types names Standard_NC4as_T4_v3")
