"""Deployments and ReplicaSets: rollouts, whose pods are whose, and what is said of failures."""

from __future__ import annotations

from functools import partial

import pytest

from test.conformance.objects import Object
from test.conformance.workloads.hand import (
    Hand,
    change,
    owner_of,
    reasons,
    template,
    workload,
)

pytestmark = pytest.mark.controller_manager


def sizes(body: Object) -> dict[str, int]:
    """The size of each ReplicaSet by its image."""
    return {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"]
        for each in body["items"]
    }


def _are(expected: dict[str, int], body: Object) -> bool:
    return sizes(body) == expected


async def test_a_replica_set_adopts_what_matches_and_releases_what_does_not(hand: Hand) -> None:
    orphan = {"metadata": {"name": "orphan", **template()["metadata"]}, "spec": template()["spec"]}
    await hand.create(hand.ns.pods(), orphan)
    await hand.create(hand.apps("replicasets"), workload("r", 2))
    found = await hand.active(2, owner_of)
    assert {owner_of(pod) for pod in found} == {"r"}
    await hand.merge(hand.ns.pods("orphan"), {"metadata": {"labels": {"app": "b"}}})
    released = await hand.until(hand.ns.pods("orphan"), lambda pod: not owner_of(pod))
    assert "ownerReferences" not in released["metadata"]
    assert len(await hand.active(2, owner_of)) == 2


async def test_an_orphaned_replica_set_is_adopted_by_a_deployment_of_the_same_template(
    hand: Hand,
) -> None:
    await hand.create(hand.apps("deployments"), workload("d", 1))
    (pod,) = await hand.active(1)
    await hand.ready(pod)
    await hand.until(
        hand.apps("deployments", "d"), lambda d: d["status"].get("availableReplicas") == 1
    )
    await hand.orphan(hand.apps("deployments", "d"))
    await hand.until(hand.apps("replicasets"), lambda body: not any(map(owner_of, body["items"])))
    await hand.create(hand.apps("deployments"), workload("d", 1))
    adopted = await hand.until(
        hand.apps("replicasets"), lambda body: all(map(owner_of, body["items"]))
    )
    assert len(adopted["items"]) == 1
    done = await hand.until(
        hand.apps("deployments", "d"), lambda d: d["status"].get("availableReplicas") == 1
    )
    assert done["status"].get("collisionCount") is None


async def test_a_rollout_keeps_within_surge_and_unavailability(hand: Hand) -> None:
    rolling = {"maxSurge": 1, "maxUnavailable": 1}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    await hand.create(hand.apps("deployments"), workload("d", 4, strategy=strategy))
    await hand.ready(*await hand.active(4))
    path = hand.apps("deployments", "d")
    await hand.until(path, lambda d: d["status"].get("availableReplicas") == 4)
    await hand.merge(path, change("b"))
    await hand.until(hand.apps("replicasets"), lambda body: sizes(body) == {"a": 3, "b": 2})
    stuck = await hand.until(path, lambda d: d["status"].get("updatedReplicas") == 2)
    assert reasons(stuck)["Available"] == ("True", "MinimumReplicasAvailable")
    assert reasons(stuck)["Progressing"] == ("True", "ReplicaSetUpdated")


async def test_a_change_of_size_in_the_middle_is_spread_over_the_sets(hand: Hand) -> None:
    rolling = {"maxSurge": 3, "maxUnavailable": 2}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    await hand.create(hand.apps("deployments"), workload("d", 10, strategy=strategy))
    await hand.ready(*await hand.active(10))
    path = hand.apps("deployments", "d")
    await hand.until(path, lambda d: d["status"].get("availableReplicas") == 10)
    await hand.merge(path, change("b"))
    sets = hand.apps("replicasets")
    await hand.until(sets, lambda body: sizes(body) == {"a": 8, "b": 5})
    # Down to seven the old set would be 6 and the new one 4; then the rollout goes on by one.
    for replicas, expected in ((15, {"a": 11, "b": 7}), (7, {"a": 5, "b": 5})):
        await hand.merge(path, {"spec": {"replicas": replicas}})
        found = await hand.until(sets, partial(_are, expected))
        notes = {
            each["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"]
            for each in found["items"]
        }
        assert notes == {str(replicas)}


async def test_a_paused_deployment_scales_and_does_not_roll(hand: Hand) -> None:
    await hand.create(hand.apps("deployments"), workload("d", 2))
    path = hand.apps("deployments", "d")
    await hand.active(2)
    await hand.merge(path, {"spec": {"paused": True}})
    paused = await hand.until(
        path,
        lambda d: (
            "Progressing" in reasons(d) and reasons(d)["Progressing"][1] == "DeploymentPaused"
        ),
    )
    assert paused["status"]["conditions"]
    await hand.merge(path, change("b"))
    await hand.merge(path, {"spec": {"replicas": 3}})
    found = await hand.until(hand.apps("replicasets"), lambda body: sizes(body).get("a") == 3)
    assert sizes(found) == {"a": 3}
    await hand.merge(path, {"spec": {"paused": False}})
    await hand.until(hand.apps("replicasets"), lambda body: "b" in sizes(body))


async def test_what_keeps_pods_from_being_made_is_said_on_set_and_deployment(hand: Hand) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    quotas = hand.ns.path("/api/v1", "resourcequotas")
    await hand.create(quotas, quota)
    status = {"hard": {"pods": "1"}, "used": {"pods": "0"}}
    await hand.merge(f"{quotas}/q/status", {"status": status})
    await hand.create(hand.apps("deployments"), workload("d", 3))
    told = await hand.until(hand.apps("deployments", "d"), lambda d: "ReplicaFailure" in reasons(d))
    assert reasons(told)["ReplicaFailure"] == ("True", "FailedCreate")
    (message,) = (
        each["message"] for each in told["status"]["conditions"] if each["type"] == "ReplicaFailure"
    )
    assert message.endswith(
        "is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    )
    failed = await hand.told("FailedCreate")
    assert all(each.startswith("Error creating: pods ") for each in failed)
