"""Workloads: what counts as a change of them, what may not change, what their status may say."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.objects import Object, Space, deployment

pytestmark = pytest.mark.apiserver

JOB: Object = {
    "metadata": {"name": "j"},
    "spec": {
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "model:1"}]}
        }
    },
}


def stateful_set(name: str, **spec: object) -> Object:
    body = deployment(name)
    return {"metadata": body["metadata"], "spec": body["spec"] | {"serviceName": name} | spec}


async def test_a_deployment_counts_changes_of_its_spec_and_annotations(api: Api, ns: Space) -> None:
    path = ns.deployments("d")
    (await api.create(ns.deployments(), deployment("d"))).ok()
    changes: list[Object] = [
        {"metadata": {"labels": {"a": "b"}}},
        {"spec": {"replicas": 2}},
        {"spec": {"replicas": 2}},
        {"metadata": {"annotations": {"a": "b"}}},
    ]
    counted = [(await api.merge(path, change)).metadata["generation"] for change in changes]
    assert counted == [1, 2, 2, 3]


async def test_other_workloads_count_changes_of_their_spec_alone(api: Api, ns: Space) -> None:
    (await api.create(ns.statefulsets(), stateful_set("s"))).ok()
    changes: list[Object] = [{"metadata": {"annotations": {"a": "b"}}}, {"spec": {"replicas": 2}}]
    counted = [
        (await api.merge(ns.statefulsets("s"), change)).metadata["generation"] for change in changes
    ]
    assert counted == [1, 2]


async def test_the_selector_of_a_deployment_stays(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    selector = {"matchLabels": {"app": "other"}}
    answer = await api.merge(ns.deployments("d"), {"spec": {"selector": selector}})
    assert answer.fields == {"spec.selector", "spec.template.metadata.labels"}
    assert 'Invalid value: {"matchLabels":{"app":"other"}}: field is immutable' in answer.message


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"replicas": 3}, 200),
        ({"minReadySeconds": 3}, 200),
        ({"serviceName": "other"}, 422),
        ({"podManagementPolicy": "Parallel"}, 422),
        ({"volumeClaimTemplates": None}, 422),
    ],
)
async def test_little_of_a_stateful_set_may_change(
    api: Api, ns: Space, spec: Object, status: int
) -> None:
    claim = {
        "metadata": {"name": "d"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    made = stateful_set("s", volumeClaimTemplates=[claim])
    (await api.create(ns.statefulsets(), made)).ok()
    answer = await api.merge(ns.statefulsets("s"), {"spec": spec})
    assert answer.status == status


async def test_counters_of_a_status_fit_each_other(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    status = {"replicas": 1, "readyReplicas": 2, "collisionCount": 2}
    path = ns.deployments("d", "status")
    above = await api.merge(path, {"status": status})
    (await api.merge(path, {"status": status | {"readyReplicas": 1}})).ok()
    below = await api.merge(path, {"status": {"collisionCount": 1}})
    assert above.message.endswith("Invalid value: 2: cannot be greater than status.replicas")
    assert below.message.endswith("Invalid value: 1: cannot be decremented")


async def test_a_job_finds_its_pods_by_labels_of_its_own(api: Api, ns: Space) -> None:
    made = (await api.create(ns.jobs(), JOB)).ok()
    uid = made.metadata["uid"]
    labels = {"controller-uid": uid, "job-name": "j"}
    labels |= {f"batch.kubernetes.io/{key}": value for key, value in labels.items()}
    assert made.body["spec"]["template"]["metadata"]["labels"] == labels
    assert made.body["spec"]["selector"] == {
        "matchLabels": {"batch.kubernetes.io/controller-uid": uid}
    }
    assert made.metadata["labels"] == labels


async def test_the_pods_of_a_job_may_be_placed_anew_while_it_waits(api: Api, ns: Space) -> None:
    job = {"metadata": JOB["metadata"], "spec": JOB["spec"] | {"suspend": True}}
    (await api.create(ns.jobs(), job)).ok()
    placed = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}
    moved = {"spec": {"template": {"spec": {"nodeSelector": {"a": "c"}}}}}
    waiting = await api.merge(ns.jobs("j"), placed)
    (await api.merge(ns.jobs("j"), {"spec": {"suspend": False}})).ok()
    running = await api.merge(ns.jobs("j"), moved)
    assert waiting.status == 200
    assert running.fields == {"spec.template"}


async def test_a_finished_job_stays_finished(api: Api, ns: Space) -> None:
    (await api.create(ns.jobs(), JOB)).ok()
    path, moment = ns.jobs("j", "status"), "2026-01-02T03:04:05Z"
    done = [{"type": t, "status": "True"} for t in ("SuccessCriteriaMet", "Complete")]
    status = {"conditions": done, "startTime": moment, "completionTime": moment, "succeeded": 1}
    (await api.merge(path, {"status": status})).ok()
    answer = await api.merge(path, {"status": {"conditions": [], "completionTime": None}})
    assert "cannot disable the terminal Complete=True condition" in answer.message
    assert "cannot disable the SuccessCriteriaMet=True condition" in answer.message
