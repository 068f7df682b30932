"""How many pods a ReplicaSet makes or removes, and which."""

from __future__ import annotations

from typing import Any

from kaito.local.workloads.podview import DELETION_COST
from kaito.local.workloads.replicaset import plan
from kaito.local.workloads.template import pod_from
from kaito.runtime import Key, Object, rfc3339

NOW = 1_767_225_600.0


def replica_set(replicas: int = 2, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "r", "namespace": "ns", "uid": "u", "generation": 3},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                "spec": {"containers": [{"name": "m"}]},
            },
            **spec,
        },
    }


def pod(
    name: str,
    *,
    ready_since: float | None = NOW,
    node: str = "n",
    phase: str = "Running",
    age: float = 0,
    cost: str = "",
    restarts: int = 0,
) -> Object:
    conditions = []
    if ready_since is not None:
        at = rfc3339(ready_since)
        conditions.append({"type": "Ready", "status": "True", "lastTransitionTime": at})
    return {
        "metadata": {
            "namespace": "ns",
            "name": name,
            "labels": {"a": "b"},
            "annotations": {DELETION_COST: cost} if cost else {},
            "creationTimestamp": rfc3339(NOW - age),
        },
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def removed(*pods: Object, keep: int) -> list[str]:
    return [key.name for key in plan(replica_set(keep), pods, NOW).delete]


def test_missing_pods_are_made() -> None:
    assert plan(replica_set(3), [pod("a")], NOW).create == 2
    assert plan(replica_set(1), [pod("a", phase="Failed")], NOW).create == 1


def test_those_that_are_missed_least_go_first() -> None:
    assert removed(pod("young", age=1), pod("old", age=9), keep=1) == ["young"]
    assert removed(pod("a"), pod("restless", restarts=3), keep=1) == ["restless"]
    assert removed(pod("restless", restarts=3), pod("cheap", cost="-5"), keep=1) == ["cheap"]
    assert removed(pod("cheap", cost="-5"), pod("unready", ready_since=None), keep=1) == ["unready"]
    pending = pod("pending", phase="Pending", ready_since=None)
    assert removed(pod("unready", ready_since=None), pending, keep=1) == ["pending"]
    homeless = pod("homeless", phase="Pending", ready_since=None, node="")
    assert removed(pending, homeless, keep=1) == ["homeless"]
    assert removed(pending, homeless, pod("c"), keep=1) == ["homeless", "pending"]


def test_a_pod_is_available_after_its_minimum_time() -> None:
    waiting = plan(
        replica_set(2, minReadySeconds=30), [pod("a"), pod("b", ready_since=NOW - 30)], NOW
    )
    assert waiting.status["readyReplicas"] == 2
    assert waiting.status["availableReplicas"] == 1
    assert waiting.again == 30


def test_zero_counts_are_left_out_as_the_api_does() -> None:
    leaving = pod("a")
    leaving["metadata"]["deletionTimestamp"] = "now"
    assert plan(replica_set(0), [leaving], NOW).status == {
        "observedGeneration": 3,
        "replicas": 0,
        "terminatingReplicas": 1,
    }


def test_a_set_on_its_way_out_moves_no_pods() -> None:
    of = replica_set(2)
    of["metadata"]["deletionTimestamp"] = "now"
    todo = plan(of, [pod("a"), pod("b"), pod("c")], NOW)
    assert (todo.create, todo.delete) == (0, ())


def test_a_pod_is_its_template_with_an_owner() -> None:
    made = pod_from(replica_set()["spec"]["template"], replica_set())
    assert made["metadata"] == {
        "namespace": "ns",
        "generateName": "r-",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "r",
                "uid": "u",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    named = pod_from(replica_set()["spec"]["template"], replica_set(), name="r-0")
    assert Key.of(named) == Key("ns", "r-0")
