"""Failures on request: what somebody sees who looks at status and events while they last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kaito.local.kinds import DEPLOYMENTS, NAMESPACES, NODES, PODS
from kaito.local.profile import Profile
from kaito.local.rehearsal import AFTER, EXIT_CODE, FAULT, TIMES
from kaito.runtime import Call, Key, Object, Resource, find_condition, is_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from test.integration.local.conftest import World

EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
NODE = Key("", "local-0")


def deployment(replicas: int = 1, annotations: Any = None, **spec: Any) -> Object:
    container = {"name": "main", "image": "example.com/web:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": annotations or {}},
                "spec": {"containers": [container], **spec},
            },
        },
    }


async def shown(world: World, pod: Object) -> str:
    """The STATUS column of kubectl get pods."""
    call = Call(
        method="GET",
        path=PODS.path("default", pod["metadata"]["name"]),
        headers={"Accept": TABLE},
    )
    reply = await world.client.send(call)
    status: str = json.loads(reply)["rows"][0]["cells"][2]
    return status


async def told(world: World, reason: str, holds: Callable[[Object], bool] = bool) -> Object:
    """Wait for an Event."""
    return await world.until(
        EVENTS,
        lambda store: next(
            (each for each in store.list() if each["reason"] == reason and holds(each)), None
        ),
    )


async def pod_of(world: World, holds: Callable[[Object], Any]) -> Object:
    return await world.until(
        PODS, lambda store: next((each for each in store.list() if holds(each)), None)
    )


def waiting(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    found: Object = statuses[0].get("state", {}).get("waiting") or {}
    return found


async def ask_node(world: World, fault: str | None) -> None:
    await world.client.patch(NODES, NODE, {"metadata": {"annotations": {FAULT: fault}}})


async def test_an_image_that_cannot_be_pulled(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment(annotations={FAULT: "image-pull"}))
    pod = await pod_of(world, lambda each: waiting(each).get("reason") == "ImagePullBackOff")
    assert pod["status"]["phase"] == "Pending"
    assert waiting(pod)["message"].startswith(
        'Back-off pulling image "example.com/web:1": ErrImagePull: rpc error: code = NotFound'
    )
    assert await shown(world, pod) in ("ImagePullBackOff", "ErrImagePull")
    failed = await told(world, "Failed", lambda event: "Failed to pull" in event["message"])
    assert (failed["type"], failed["source"]["component"]) == ("Warning", "kubelet")
    assert (await told(world, "BackOff"))["message"] == (
        'Back-off pulling image "example.com/web:1"'
    )


async def test_a_program_that_crashes_at_load(world: World) -> None:
    asked = {FAULT: "crash", EXIT_CODE: "42"}
    await world.client.create(DEPLOYMENTS, deployment(annotations=asked))
    pod = await pod_of(world, lambda each: waiting(each).get("reason") == "CrashLoopBackOff")
    (status,) = pod["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["exitCode"] == 42
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    assert waiting(pod)["message"].endswith(f"container=main pod={name}_default({uid})")
    backing_off = await told(world, "BackOff")
    assert backing_off["message"] == (
        f"Back-off restarting failed container main in pod {name}_default({uid})"
    )


async def test_a_program_that_runs_out_of_memory_and_then_does_not(world: World) -> None:
    asked = {FAULT: "out-of-memory", TIMES: "2", AFTER: "10ms"}
    await world.client.create(DEPLOYMENTS, deployment(annotations=asked))

    def healed(each: Object) -> bool:
        statuses = each.get("status", {}).get("containerStatuses") or [{}]
        return statuses[0].get("restartCount") == 2 and statuses[0].get("ready", False)

    pod = await pod_of(world, healed)
    last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)


async def test_a_namespace_asks_all_of_its_pods(world: World) -> None:
    asked = {"metadata": {"annotations": {FAULT: "never-ready"}}}
    await world.client.patch(NAMESPACES, Key("", "default"), asked)
    await world.client.create(DEPLOYMENTS, deployment(progressDeadlineSeconds=1) | {})
    pod = await pod_of(world, lambda each: each.get("status", {}).get("phase") == "Running")
    assert not is_true(pod["status"]["conditions"], "Ready")
    ready = find_condition(pod["status"]["conditions"], "ContainersReady")
    assert ready is not None
    assert ready["message"] == "containers with unready status: [main]"


async def test_a_pod_that_no_node_can_take(world: World) -> None:
    container = {
        "name": "main",
        "image": "i",
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
    }
    await world.client.create(DEPLOYMENTS, deployment(containers=[container]))
    message = (
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    pod = await pod_of(world, lambda each: each["status"].get("conditions"))
    refused = find_condition(pod["status"]["conditions"], "PodScheduled")
    assert refused is not None
    assert (refused["reason"], refused["message"]) == ("Unschedulable", message)
    said = await told(world, "FailedScheduling")
    assert said["message"] == message
    assert said["reportingComponent"] == "default-scheduler"
    assert await shown(world, pod) == "Pending"


@pytest.mark.parametrize(
    ("fault", "status", "taint"),
    [
        ("not-ready", "False", "node.kubernetes.io/not-ready"),
        ("lost", "Unknown", "node.kubernetes.io/unreachable"),
    ],
)
async def test_a_node_that_fails_loses_its_pods_when_their_patience_ends(
    start: Any, fault: str, status: str, taint: str
) -> None:
    profile = Profile.instant()
    async with start(nodes=1, profile=profile) as world:
        await world.client.create(DEPLOYMENTS, deployment())
        first = await pod_of(
            world, lambda each: is_true(each["status"].get("conditions", ()), "Ready")
        )
        await ask_node(world, fault)
        failed = await world.object(
            NODES,
            "local-0",
            lambda node: any(t["effect"] == "NoExecute" for t in node["spec"].get("taints", ())),
        )
        ready = find_condition(failed["status"]["conditions"], "Ready")
        assert ready is not None
        assert ready["status"] == status
        assert {each["key"] for each in failed["spec"]["taints"]} == {taint}
        turned = await told(world, "NodeNotReady", lambda e: e["involvedObject"]["kind"] == "Node")
        assert turned["message"] == "Node local-0 status is now: NodeNotReady"
        marked = await told(world, "NodeNotReady", lambda e: e["involvedObject"]["kind"] == "Pod")
        assert marked["message"] == "Node is not ready"
        name = first["metadata"]["name"]
        marking = await told(world, "TaintManagerEviction")
        assert marking["message"] == f"Marking for deletion Pod default/{name}"
        left = await world.object(
            PODS, name, lambda each: each["metadata"].get("deletionTimestamp"), "default"
        )
        disrupted = find_condition(left["status"]["conditions"], "DisruptionTarget")
        assert disrupted is not None
        assert disrupted["reason"] == "DeletionByTaintManager"
        # Its kubelet does not answer: the pod stays until the Node is back, and another waits.
        await pod_of(world, lambda each: each["metadata"]["name"] != name)
        await ask_node(world, None)
        await world.gone(PODS, name)
        await pod_of(world, lambda each: is_true(each["status"].get("conditions", ()), "Ready"))


async def test_a_full_disk_evicts_pods_and_keeps_new_ones_away(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    first = await pod_of(world, lambda each: is_true(each["status"].get("conditions", ()), "Ready"))
    await ask_node(world, "disk-pressure")
    evicted = await world.object(
        PODS,
        first["metadata"]["name"],
        lambda each: each["status"]["phase"] == "Failed",
        "default",
    )
    assert evicted["status"]["reason"] == "Evicted"
    assert evicted["status"]["message"].startswith("The node was low on resource: ephemeral-")
    # kubectl shows how the container ended before it shows why the pod did.
    assert await shown(world, evicted) == "Error"
    disrupted = find_condition(evicted["status"]["conditions"], "DisruptionTarget")
    assert disrupted is not None
    assert disrupted["reason"] == "TerminationByKubelet"
    assert (await told(world, "Evicted"))["type"] == "Warning"
    turned = await told(world, "NodeHasDiskPressure")
    assert turned["message"] == "Node local-0 status is now: NodeHasDiskPressure"
    refused = await told(world, "FailedScheduling")
    assert refused["message"].startswith("0/1 nodes are available: 1 node(s) had untolerated taint")


async def test_an_urgent_pod_drives_out_one_that_is_not(world: World) -> None:
    cpu = {"resources": {"requests": {"cpu": "3"}}}

    def pod(name: str, priority: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "priorityClassName": priority,
                "containers": [{"name": "main", "image": "i", **cpu}],
            },
        }

    classes: Resource[Object] = Resource(
        "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False
    )
    for name, value in (("low", 1), ("high", 100)):
        body = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
        await world.client.create(classes, body)
    await world.client.create(PODS, pod("first", "low"))
    await pod_of(world, lambda each: is_true(each["status"].get("conditions", ()), "Ready"))
    made = await world.client.create(PODS, pod("second", "high"))
    preempted = await told(world, "Preempted")
    assert preempted["message"] == f"Preempted by pod {made['metadata']['uid']} on node local-0"
    assert preempted["involvedObject"]["name"] == "first"
    await world.gone(PODS, "first")
    ready = await world.object(
        PODS, "second", lambda each: is_true(each["status"]["conditions"], "Ready"), "default"
    )
    assert ready["spec"]["nodeName"] == "local-0"


async def test_a_pod_that_is_active_for_too_long_is_ended(world: World) -> None:
    spec = {"activeDeadlineSeconds": 1, "containers": [{"name": "main", "image": "i"}]}
    metadata = {"name": "p", "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    await world.client.create(PODS, body)
    late = await world.object(
        PODS, "p", lambda each: each["status"]["phase"] == "Failed", "default"
    )
    assert late["status"]["reason"] == "DeadlineExceeded"
    message = "Pod was active on the node longer than the specified deadline"
    assert late["status"]["message"] == message
    assert (await told(world, "DeadlineExceeded"))["message"] == message


async def test_a_pod_that_goes_before_it_had_a_node_fails_for_whoever_holds_it(
    world: World,
) -> None:
    metadata = {"name": "p", "namespace": "default", "finalizers": ["example.com/hold"]}
    spec = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "i"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    await world.client.create(PODS, body)
    await world.client.delete(PODS, Key("default", "p"))
    await world.object(PODS, "p", lambda each: each["status"]["phase"] == "Failed", "default")
    await world.client.patch(PODS, Key("default", "p"), {"metadata": {"finalizers": None}})
    await world.gone(PODS, "p")
