"""A StatefulSet's next step, and the names it gives."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.workloads.ordinals import made_of, ordinal_of, ordinal_pod, plan
from kaito.runtime import Object
from test.unit.local.workloads.shapes import pod_template

NOW = 1_767_225_600.0
OLD, NEW = "t-old", "t-new"


def stateful_set(replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "t", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {
            "replicas": replicas,
            "serviceName": "t",
            "selector": {"matchLabels": {"a": "b"}},
            "template": pod_template(a="b"),
            **spec,
        },
    }


def pod(ordinal: int, state: str = "ready", revision: str = NEW) -> Object:
    metadata: Any = {"name": f"t-{ordinal}", "labels": {"controller-revision-hash": revision}}
    if state == "leaving":
        metadata["deletionTimestamp"] = "now"
    phase = "Failed" if state == "failed" else "Running"
    ready = {"type": "Ready", "status": "True" if state in ("ready", "leaving") else "False"}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": [ready]}}


def moves(of: Object, **pods: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The step for pods given as p0="ready", p1="starting old", ..."""
    made = {}
    for name, text in pods.items():
        state, _, revision = text.partition(" ")
        made[int(name[1:])] = pod(int(name[1:]), state, OLD if revision else NEW)
    todo = plan(of, made, OLD, NEW, NOW)
    return todo.create, todo.delete


PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize(
    ("spec", "pods", "create", "delete"),
    [
        ({}, {}, (0,), ()),
        ({}, {"p0": "starting"}, (), ()),
        ({}, {"p0": "ready"}, (1,), ()),
        ({}, {"p0": "ready", "p1": "ready", "p2": "ready"}, (), ()),
        ({}, {"p1": "ready", "p2": "ready"}, (0,), ()),
        ({}, {"p0": "leaving", "p1": "ready"}, (), ()),
        (PARALLEL, {}, (0, 1, 2), ()),
        (PARALLEL, {"p1": "starting"}, (0, 2), ()),
        ({"replicas": 1}, {"p0": "ready", "p1": "ready", "p2": "ready"}, (), ("t-2",)),
        ({"replicas": 1}, {"p0": "ready", "p1": "ready", "p2": "leaving"}, (), ()),
        (
            {"replicas": 1, **PARALLEL},
            {"p0": "ready", "p1": "ready", "p2": "ready"},
            (),
            ("t-2", "t-1"),
        ),
        ({}, {"p0": "failed", "p1": "ready"}, (), ("t-0",)),
        ({"ordinals": {"start": 5}}, {}, (5,), ()),
        # a new template: from the end, one at a time
        ({}, {"p0": "ready old", "p1": "ready old", "p2": "ready old"}, (), ("t-2",)),
        ({}, {"p0": "ready old", "p1": "ready old", "p2": "starting"}, (), ()),
        ({}, {"p0": "ready old", "p1": "ready old", "p2": "ready"}, (), ("t-1",)),
        (
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
            {"p0": "ready old", "p1": "ready old", "p2": "ready"},
            (),
            (),
        ),
        (
            {"updateStrategy": {"type": "OnDelete"}},
            {"p0": "ready old", "p1": "ready old", "p2": "ready old"},
            (),
            (),
        ),
    ],
)
def test_the_next_step(
    spec: Any, pods: dict[str, str], create: tuple[int, ...], delete: tuple[str, ...]
) -> None:
    assert moves(stateful_set(**spec), **pods) == (create, delete)


def test_the_current_revision_moves_when_every_pod_is_new() -> None:
    pods = {ordinal: pod(ordinal) for ordinal in range(3)}
    assert plan(stateful_set(), pods, OLD, NEW, NOW).status["currentRevision"] == NEW
    pods[2] = pod(2, "starting")
    status = plan(stateful_set(), pods, OLD, NEW, NOW).status
    assert (status["currentRevision"], status["updateRevision"]) == (OLD, NEW)
    assert (status["updatedReplicas"], status["readyReplicas"]) == (3, 2)


def test_below_the_partition_pods_are_made_of_the_template_before() -> None:
    of = stateful_set(
        ordinals={"start": 5},
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
    )
    assert [made_of(of, ordinal, OLD, NEW) for ordinal in (5, 6, 7)] == [OLD, NEW, NEW]


def test_a_pod_on_its_way_out_is_of_no_revision() -> None:
    pods = {0: pod(0), 1: pod(1, "leaving")}
    status = plan(stateful_set(2), pods, NEW, NEW, NOW).status
    assert (status["replicas"], status["currentReplicas"], status["updatedReplicas"]) == (2, 1, 1)


def test_the_last_pod_stays_while_a_lower_surplus_one_is_unwell() -> None:
    pods = {0: pod(0), 1: pod(1, "starting"), 2: pod(2, "starting")}
    assert plan(stateful_set(1), pods, NEW, NEW, NOW).delete == ()
    assert plan(stateful_set(1), pods | {2: pod(2)}, NEW, NEW, NOW).delete == ("t-2",)


def test_a_pod_has_its_own_name_host_and_volumes() -> None:
    claims = [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    of = stateful_set(volumeClaimTemplates=claims)
    of["spec"]["template"]["spec"]["volumes"] = [{"name": "w", "emptyDir": {}}]
    made = ordinal_pod(of, of["spec"]["template"], 1, NEW)
    assert made["metadata"]["name"] == "t-1"
    assert made["metadata"]["labels"] == {
        "a": "b",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": NEW,
        "statefulset.kubernetes.io/pod-name": "t-1",
    }
    assert made["spec"]["hostname"] == "t-1"
    assert made["spec"]["subdomain"] == "t"
    volumes = {each["name"]: each for each in made["spec"]["volumes"]}
    assert volumes["v"]["persistentVolumeClaim"] == {"claimName": "v-t-1"}
    assert "w" in volumes
    assert ordinal_of(of, made) == 1
    assert ordinal_of(of, {"metadata": {"name": "t-x"}}) is None
