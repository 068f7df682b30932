"""NodeClaims and NodePools as Karpenter reads and writes them."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.api.nodeclaim import RULES, UPDATE_RULES, NodeClaim
from kaito.api.nodepool import NodePool
from kaito.api.rules import broken, broken_by_update

# As upstream's client sends it.
CLAIM: dict[str, Any] = {
    "apiVersion": "karpenter.sh/v1",
    "kind": "NodeClaim",
    "metadata": {"name": "ws1a2b3c4d5", "labels": {"karpenter.sh/nodepool": "kaito"}},
    "spec": {
        "nodeClassRef": {"group": "kaito.sh", "kind": "KaitoNodeClass", "name": "default"},
        "requirements": [
            {
                "key": "node.kubernetes.io/instance-type",
                "operator": "In",
                "values": ["Standard_NC24ads_A100_v4"],
            }
        ],
        "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
        "resources": {"requests": {"storage": "1024Gi"}},
        "futureField": {"kept": True},
    },
}


def with_requirement(**fields: Any) -> dict[str, Any]:
    return {**CLAIM, "spec": {**CLAIM["spec"], "requirements": [{"key": "k", **fields}]}}


def test_a_claim_of_upstreams_client_comes_back_as_it_was() -> None:
    assert NodeClaim.model_validate(CLAIM).wire() == CLAIM


def test_a_pool_comes_back_as_it_was() -> None:
    pool: dict[str, Any] = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "default-phi"},
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"apps": "phi"}},
                "spec": {
                    "nodeClassRef": CLAIM["spec"]["nodeClassRef"],
                    "requirements": CLAIM["spec"]["requirements"],
                },
            },
            "disruption": {
                "consolidateAfter": "0s",
                "budgets": [{"nodes": "1", "reasons": ["Drifted"]}],
            },
        },
    }
    assert NodePool.model_validate(pool).wire() == pool


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"operator": "In", "values": []}, "operator In must have a value"),
        ({"operator": "In"}, "operator In must have a value"),
        ({"operator": "Gt", "values": ["-1"]}, "one value, a whole number"),
        ({"operator": "Lt", "values": ["1", "2"]}, "one value, a whole number"),
    ],
)
def test_a_requirement_that_says_nothing_is_refused(fields: dict[str, Any], said: str) -> None:
    found = list(broken(RULES, with_requirement(**fields)))
    assert [said in problem.message for problem in found] == [True]


@pytest.mark.parametrize(
    "fields",
    [
        {"operator": "In", "values": ["a"]},
        {"operator": "Exists"},
        {"operator": "Gt", "values": ["0"]},
    ],
)
def test_a_requirement_that_says_something_is_accepted(fields: dict[str, Any]) -> None:
    assert not list(broken(RULES, with_requirement(**fields)))


def test_what_a_claim_asks_for_cannot_be_changed() -> None:
    other = with_requirement(operator="Exists")
    assert [p.path for p in broken_by_update(UPDATE_RULES, other, CLAIM)] == ["spec"]
    assert not list(broken_by_update(UPDATE_RULES, CLAIM, CLAIM))
