"""What is done to a pod from outside: binding, eviction, logs, and the classes it names."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]


def binding(name: str, **meta: Any) -> Object:
    return {"metadata": {"name": name, **meta}, "target": {"kind": "Node", "name": "n1"}}


def eviction(name: str, **content: Any) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name},
        **content,
    }


async def running(api: Api, ns: Space, name: str, *, ready: str = "True") -> None:
    (await api.create(ns.pods(), pod(name, {"app": "a"}, nodeName="n1"))).ok()
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    (await api.merge(ns.pods(name, "status"), {"status": status})).ok()


async def budget(api: Api, ns: Space, **status: Any) -> str:
    path = ns.path("/apis/policy/v1", "poddisruptionbudgets")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    (await api.create(path, {"metadata": {"name": "b"}, "spec": spec})).ok()
    found = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1} | status
    counts = {"desiredHealthy": 1, "expectedPods": 1, **found}
    (await api.merge(f"{path}/b/status", {"status": counts})).ok()
    return f"{path}/b"


async def test_a_binding_brings_labels_and_annotations(api: Api, ns: Space) -> None:
    await api.create(ns.pods(), pod("p"))
    brought = binding("p", labels={"zone": "z"}, annotations={"a": "b"})
    (await api.create(ns.pods("p", "binding"), brought)).ok()
    stored = (await api.get(ns.pods("p"))).body
    assert stored["spec"]["nodeName"] == "n1"
    assert stored["metadata"]["labels"] == {"zone": "z"}
    assert stored["metadata"]["annotations"] == {"a": "b"}
    assert stored["status"]["conditions"][0]["type"] == "PodScheduled"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (binding("other"), 400, "name in URL does not match name in Binding object"),
        ({"metadata": {"name": "p"}, "target": {"kind": "Node"}}, 500, "Required value"),
        (binding("p", uid="other"), 409, "Precondition failed: UID in precondition: other"),
        (binding("p"), 409, "pod p has non-empty .spec.schedulingGates"),
    ],
)
async def test_a_binding_that_does_not_fit_is_refused(
    api: Api, ns: Space, body: Object, status: int, says: str
) -> None:
    await api.create(ns.pods(), pod("p", schedulingGates=[{"name": "wait"}]))
    answer = await api.create(ns.pods("p", "binding"), body)
    assert answer.status == status
    assert says in answer.message


async def test_a_binding_may_name_its_pod(api: Api, ns: Space) -> None:
    await api.create(ns.pods(), pod("p"))
    (await api.create(ns.path("/api/v1", "bindings"), binding("p"))).ok()
    assert (await api.get(ns.pods("p"))).body["spec"]["nodeName"] == "n1"


async def test_an_evicted_pod_says_why_it_goes(api: Api, ns: Space) -> None:
    await running(api, ns, "p")
    (await api.create(ns.pods("p", "eviction"), eviction("p"))).ok()
    stored = (await api.get(ns.pods("p"))).body
    assert stored["metadata"]["deletionTimestamp"]
    reasons = [c.get("reason") for c in stored["status"]["conditions"]]
    assert reasons == [None, "EvictionByEvictionAPI"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"observedGeneration": 0}, "is still being processed by the server."),
        ({}, "needs 1 healthy pods and has 1 currently"),
        ({"currentHealthy": 2}, "does not allow evicting pods currently"),
    ],
)
async def test_a_budget_says_why_it_refuses(api: Api, ns: Space, status: Object, says: str) -> None:
    await running(api, ns, "p")
    await budget(api, ns, **status)
    answer = await api.create(ns.pods("p", "eviction"), eviction("p"))
    assert answer.status == 429
    assert answer.body["details"]["causes"][0]["message"] == f"The disruption budget b {says}"


async def test_an_eviction_is_taken_from_the_budget(api: Api, ns: Space) -> None:
    await running(api, ns, "p")
    path = await budget(api, ns, disruptionsAllowed=1)
    (await api.create(ns.pods("p", "eviction"), eviction("p"))).ok()
    status = (await api.get(path)).body["status"]
    assert status["disruptionsAllowed"] == 0
    assert set(status["disruptedPods"]) == {"p"}
    assert status["conditions"][0]["reason"] == "InsufficientPods"


async def test_a_pod_that_is_not_ready_costs_no_budget(api: Api, ns: Space) -> None:
    await running(api, ns, "p", ready="False")
    await budget(api, ns)
    (await api.create(ns.pods("p", "eviction"), eviction("p"))).ok()


@pytest.mark.parametrize(
    "options", [{"preconditions": {"uid": "other"}}, {"preconditions": {"resourceVersion": "1"}}]
)
async def test_an_eviction_keeps_to_preconditions(api: Api, ns: Space, options: Object) -> None:
    await running(api, ns, "p")
    answer = await api.create(ns.pods("p", "eviction"), eviction("p", deleteOptions=options))
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "deletionTimestamp" not in (await api.get(ns.pods("p"))).metadata


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"tailLines": -1}, 422, "tailLines: Invalid value: -1"),
        ({"tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"limitBytes": 0}, 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"container": "other"}, 400, "container other is not valid for pod p"),
        ({}, 404, 'pods "nobody" not found'),
    ],
)
async def test_a_log_is_refused_with_its_reason(
    api: Api, ns: Space, query: Object, status: int, says: str
) -> None:
    await api.create(ns.pods(), pod("p", nodeName="nobody"))
    answer = await api.get(ns.pods("p", "log"), **query)
    assert answer.status == status
    assert says in answer.message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"priorityClassName": "nobody"}, "no PriorityClass with name nobody was found"),
        ({"priority": 5}, "the integer value of priority (5) must not be provided in pod spec"),
        ({"preemptionPolicy": "Never"}, "the string value of PreemptionPolicy (Never) must not"),
        ({"runtimeClassName": "nobody"}, 'pod rejected: RuntimeClass "nobody" not found'),
        ({"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass"),
    ],
)
async def test_a_pod_takes_numbers_from_classes_alone(
    api: Api, ns: Space, spec: Object, says: str
) -> None:
    answer = await api.create(ns.pods(), pod("p", **spec))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert says in answer.message


async def test_a_runtime_class_brings_overhead_and_nodes(api: Api, ns: Space, word: str) -> None:
    path = "/apis/node.k8s.io/v1/runtimeclasses"
    scheduling = {"nodeSelector": {"sandbox": "yes"}, "tolerations": [{"operator": "Exists"}]}
    overhead = {"podFixed": {"cpu": "250m"}}
    made = {
        "metadata": {"name": word},
        "handler": "h",
        "overhead": overhead,
        "scheduling": scheduling,
    }
    (await api.create(path, made)).ok()
    try:
        answer = await api.create(ns.pods(), pod("p", runtimeClassName=word))
        spec = answer.ok().body["spec"]
    finally:
        await api.delete(f"{path}/{word}")
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"sandbox": "yes"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
