"""Deployments, StatefulSets and Jobs become pods, and pods of simulated Nodes become ready."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kaito.local.kinds import (
    DEPLOYMENTS,
    JOBS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from kaito.runtime import Call, Key, Object, Store, is_true
from test.integration.local.pods_of_programs import container

if TYPE_CHECKING:
    from test.integration.local.conftest import World


def template(app: str, image: str = "example.com/web:1", **spec: Any) -> Object:
    container = {"name": "main", "image": image}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def deployment(name: str, replicas: int = 2, **pod_template: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, **pod_template),
        },
    }


def rolled_out(replicas: int, of: Object) -> Any:
    """Whether the Deployment has come to rest as `of`, the answer to the last write, asks."""

    def holds(obj: Object) -> bool:
        status = obj.get("status", {})
        return (
            status.get("observedGeneration", 0) >= of["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == replicas
            and status.get("availableReplicas", 0) == replicas
            and status.get("replicas", 0) == replicas
        )

    return holds


async def test_a_deployment_becomes_available(world: World) -> None:
    made = await world.client.create(DEPLOYMENTS, deployment("web"))
    done = await world.object(DEPLOYMENTS, "web", rolled_out(2, made), "default")
    assert is_true(done["status"]["conditions"], "Available")
    progress = next(c for c in done["status"]["conditions"] if c["type"] == "Progressing")
    assert progress["reason"] == "NewReplicaSetAvailable"
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = await world.count(PODS, 2, app="web")
    for pod in pods:
        assert pod["spec"]["nodeName"] == "local-0"
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["podIP"].startswith("10.244.")
        assert is_true(pod["status"]["conditions"], "Ready")
        said = next(c for c in pod["status"]["conditions"] if "Simulated" in c["type"])
        assert said["message"] == "main: nothing runs"
    assert len({pod["status"]["podIP"] for pod in pods}) == 2


async def test_a_new_template_replaces_the_pods_and_keeps_the_old_set(world: World) -> None:
    made = await world.client.create(DEPLOYMENTS, deployment("web", 3))
    await world.object(DEPLOYMENTS, "web", rolled_out(3, made), "default")
    patch = {"spec": {"template": template("web", "example.com/web:2")}}
    made = await world.client.patch(DEPLOYMENTS, Key("default", "web"), patch)
    await world.object(DEPLOYMENTS, "web", rolled_out(3, made), "default")
    sets = await world.count(REPLICA_SETS, 2, app="web")
    assert sorted(each["spec"]["replicas"] for each in sets) == [0, 3]

    def renewed(store: Store[Object]) -> list[Object]:
        images = [pod["spec"]["containers"][0]["image"] for pod in store.list()]
        return store.list() if set(images) == {"example.com/web:2"} else []

    pods = await world.until(PODS, renewed)
    assert len(pods) == 3


async def test_scaling_to_nothing_and_deleting_leave_nothing(world: World) -> None:
    made = await world.client.create(DEPLOYMENTS, deployment("web"))
    await world.object(DEPLOYMENTS, "web", rolled_out(2, made), "default")
    made = await world.client.patch(DEPLOYMENTS, Key("default", "web"), {"spec": {"replicas": 0}})
    await world.object(DEPLOYMENTS, "web", rolled_out(0, made), "default")
    await world.count(PODS, 0)
    await world.client.delete(DEPLOYMENTS, Key("default", "web"), propagation="Background")
    await world.count(REPLICA_SETS, 0)


async def test_recreate_ends_the_old_pods_first(world: World) -> None:
    made = deployment("web", 2)
    made["spec"]["strategy"] = {"type": "Recreate"}
    made = await world.client.create(DEPLOYMENTS, made)
    await world.object(DEPLOYMENTS, "web", rolled_out(2, made), "default")
    patch = {"spec": {"template": template("web", "example.com/web:2")}}
    made = await world.client.patch(DEPLOYMENTS, Key("default", "web"), patch)
    await world.object(DEPLOYMENTS, "web", rolled_out(2, made), "default")


async def test_a_stateful_set_makes_its_pods_in_order(world: World) -> None:
    await world.client.create(
        STATEFUL_SETS,
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "t", "namespace": "default"},
            "spec": {
                "replicas": 2,
                "serviceName": "t",
                "selector": {"matchLabels": {"app": "t"}},
                "template": template("t"),
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "v"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        },
                    }
                ],
            },
        },
    )
    done = await world.object(
        STATEFUL_SETS, "t", lambda s: s["status"].get("readyReplicas") == 2, "default"
    )
    assert done["status"]["currentRevision"] == done["status"]["updateRevision"]
    first = await world.object(PODS, "t-0", bool, "default")
    second = await world.object(PODS, "t-1", bool, "default")
    assert first["spec"]["hostname"] == "t-0"
    assert second["spec"]["subdomain"] == "t"
    await world.count(PERSISTENT_VOLUME_CLAIMS, 2, app="t")


async def test_a_job_completes_and_lets_its_pod_go(world: World) -> None:
    await world.client.create(
        JOBS,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j", "namespace": "default"},
            "spec": {"template": {"spec": template("j")["spec"] | {"restartPolicy": "Never"}}},
        },
    )
    done = await world.object(
        JOBS, "j", lambda j: is_true(j["status"].get("conditions", ()), "Complete"), "default"
    )
    assert done["status"]["succeeded"] == 1
    assert done["status"]["completionTime"]
    (pod,) = await world.count(PODS, 1)
    assert pod["status"]["phase"] == "Succeeded"
    await world.client.delete(JOBS, Key("default", "j"), propagation="Background")
    await world.count(PODS, 0)


async def test_a_failing_job_gives_up_after_its_backoff_limit(world: World) -> None:
    spec = template("j")["spec"] | {"restartPolicy": "Never"}
    pod = {"metadata": {"annotations": {"local.kaito.sh/fault": "crash"}}, "spec": spec}
    await world.client.create(
        JOBS,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j", "namespace": "default"},
            "spec": {"backoffLimit": 1, "template": pod},
        },
    )
    done = await world.object(
        JOBS, "j", lambda j: is_true(j["status"].get("conditions", ()), "Failed"), "default"
    )
    assert done["status"]["failed"] == 2
    assert done["status"]["conditions"][-1]["reason"] == "BackoffLimitExceeded"


async def test_an_evicted_pod_of_a_job_is_over_and_replaced(programs: World) -> None:
    waits = container("import time\ntime.sleep(600)", name="first")
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    spec = {
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": disrupted}]},
        "template": {
            "spec": {
                "restartPolicy": "Never",
                # Longer than anybody waits here: what is over is not waited for.
                "terminationGracePeriodSeconds": 600,
                "initContainers": [waits],
                "containers": [container("pass")],
            }
        },
    }
    job = {"metadata": {"name": "tune", "namespace": "default"}, "spec": spec}
    await programs.client.create(JOBS, job)

    def runs(store: Store[Object]) -> Object | None:
        started = (each for each in store.list() if "running" in str(each.get("status")))
        return next((each for each in started if each["metadata"]["uid"] != evicted), None)

    evicted = ""
    first = await programs.until(PODS, runs)
    evicted = first["metadata"]["uid"]
    await evict(programs, Key.of(first))
    second = await programs.until(PODS, runs)
    assert second["metadata"]["name"] != first["metadata"]["name"]
    # The first one counts as no failure, and is held by nobody.
    await programs.gone(PODS, first["metadata"]["name"])
    found = await programs.client.get(JOBS, Key("default", "tune"))
    assert "failed" not in found["status"]


async def evict(world: World, pod: Key) -> None:
    metadata = {"name": pod.name, "namespace": pod.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    call = Call(
        method="POST",
        path=f"{PODS.path(*pod)}/eviction",
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=json.dumps(body).encode(),
    )
    await world.client.send(call)
