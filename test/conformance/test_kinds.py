"""What the server makes of built-in kinds: defaults, allocation, events, leases, namespaces."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, deployment, lease, pod, service

pytestmark = pytest.mark.apiserver


async def test_a_pod_is_filled_with_defaults(api: Api, ns: Space) -> None:
    body = (await api.create(ns.pods(), pod("p"))).ok().body
    spec, container = body["spec"], body["spec"]["containers"][0]
    assert {
        key: spec[key]
        for key in ("restartPolicy", "dnsPolicy", "schedulerName", "enableServiceLinks")
    } == {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    assert spec["terminationGracePeriodSeconds"] == 30
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert body["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert body["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("h:5000/a", "Always"),
        ("a@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
async def test_the_pull_policy_follows_the_tag(
    api: Api, ns: Space, image: str, policy: str
) -> None:
    body = pod("p", containers=[{"name": "main", "image": image}])
    answer = await api.create(ns.pods(), body)
    assert answer.ok().body["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
async def test_the_quality_of_service_follows_the_resources(
    api: Api, ns: Space, resources: dict[str, dict[str, str]], found: str
) -> None:
    container = {"name": "main", "image": "model:1", "resources": resources}
    answer = await api.create(ns.pods(), pod("p", containers=[container]))
    assert answer.ok().body["status"]["qosClass"] == found


async def test_limits_become_requests(api: Api, ns: Space) -> None:
    resources = {"limits": {"nvidia.com/gpu": 1, "memory": "1.5Gi"}}
    container = {"name": "main", "image": "model:1", "resources": resources}
    answer = await api.create(ns.pods(), pod("p", containers=[container]))
    stored = answer.ok().body["spec"]["containers"][0]["resources"]
    assert stored["requests"] == {"nvidia.com/gpu": "1", "memory": "1536Mi"}


async def test_a_pod_tolerates_lost_nodes_for_a_while(api: Api, ns: Space) -> None:
    spec = (await api.create(ns.pods(), pod("p"))).ok().body["spec"]
    found = {t["key"]: t["tolerationSeconds"] for t in spec["tolerations"]}
    assert found == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }


async def test_a_deployment_is_filled_with_defaults(api: Api, ns: Space) -> None:
    body = (await api.create(ns.deployments(), deployment("d", replicas=None))).ok().body
    assert body["spec"]["replicas"] == 1
    assert body["spec"]["revisionHistoryLimit"] == 10
    assert body["spec"]["progressDeadlineSeconds"] == 600
    assert body["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert body["metadata"]["generation"] == 1


async def test_several_ports_need_names(api: Api, ns: Space) -> None:
    ports = [{"port": 80}, {"port": 81}]
    answer = await api.create(ns.services(), service("s", ports=ports))
    assert answer.fields == {"spec.ports[0].name", "spec.ports[1].name"}


async def test_a_lease_keeps_its_microseconds(api: Api, ns: Space) -> None:
    spec = {"holderIdentity": "x", "renewTime": "2026-01-02T03:04:05.678901Z"}
    answer = await api.create(ns.leases(), lease("a", spec))
    assert answer.ok().body["spec"]["renewTime"] == "2026-01-02T03:04:05.678901Z"


async def test_a_lease_is_taken_by_whoever_writes_first(api: Api, ns: Space) -> None:
    created = (await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))).body
    first = await api.replace(ns.leases("a"), created | {"spec": {"holderIdentity": "y"}})
    second = await api.replace(ns.leases("a"), created | {"spec": {"holderIdentity": "z"}})
    assert (first.status, second.status) == (200, 409)


async def test_an_event_of_either_group_is_one_object(api: Api, ns: Space) -> None:
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "c-0",
        "action": "Test",
        "reason": "Tested",
        "note": "all is well",
        "type": "Normal",
        "regarding": {"kind": "ConfigMap", "namespace": ns.name, "name": "a"},
    }
    path = ns.path("/apis/events.k8s.io/v1", "events")
    (await api.create(path, event)).ok()
    old = (await api.get(ns.events("e"))).ok().body
    assert old["message"] == "all is well"
    assert old["involvedObject"]["name"] == "a"
    assert old["reportingComponent"] == "example.com/c"


async def test_an_event_lives_in_the_namespace_of_its_object(api: Api, ns: Space) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "ConfigMap", "namespace": "other", "name": "a"},
    }
    answer = await api.create(ns.events(), event)
    assert answer.status == 422
    assert answer.fields == {"involvedObject.namespace"}


async def test_events_are_selected_by_what_they_concern(api: Api, ns: Space) -> None:
    for name in ("a", "b"):
        involved = {"kind": "ConfigMap", "namespace": ns.name, "name": name}
        event = {"metadata": {"name": name}, "involvedObject": involved, "reason": "R"}
        (await api.create(ns.events(), event)).ok()
    selector = "involvedObject.name=b,involvedObject.kind=ConfigMap,reason=R"
    assert (await api.get(ns.events(), fieldSelector=selector)).names == ["b"]


async def test_a_namespace_is_labelled_with_its_name(api: Api, ns: Space) -> None:
    path = f"/api/v1/namespaces/{ns.name}"
    body = (await api.get(path)).body
    assert body["metadata"]["labels"]["kubernetes.io/metadata.name"] == ns.name
    assert body["spec"]["finalizers"] == ["kubernetes"]
    assert body["status"] == {"phase": "Active"}
    patch = {"metadata": {"labels": {"kubernetes.io/metadata.name": "other"}}}
    changed = await api.merge(path, patch)
    assert changed.metadata["labels"]["kubernetes.io/metadata.name"] == ns.name


async def test_a_namespace_must_be_a_dns_label(api: Api) -> None:
    answer = await api.create("/api/v1/namespaces", {"metadata": {"name": "a.b"}})
    assert answer.status == 422
    assert answer.fields == {"metadata.name"}


async def test_a_namespace_that_ends_takes_nothing_new(api: Api, word: str) -> None:
    space, hold = Space(word), ["conformance.example.com/hold"]
    (await api.create("/api/v1/namespaces", {"metadata": {"name": word}})).ok()
    (await api.create(space.leases(), lease("kept", finalizers=hold))).ok()
    ended = (await api.delete(f"/api/v1/namespaces/{word}")).ok()
    answer = await api.create(space.leases(), lease("late"))
    written = await api.merge(space.leases("kept"), {"spec": {"holderIdentity": "x"}})
    await api.merge(space.leases("kept"), {"metadata": {"finalizers": None}})
    assert ended.body["status"]["phase"] == "Terminating"
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert "because it is being terminated" in answer.message
    assert answer.fields == {"metadata.namespace"}
    assert written.status == 200


async def test_a_node_keeps_what_its_provisioner_writes(api: Api, word: str) -> None:
    node = {
        "metadata": {"name": word, "labels": {"a": "b"}},
        "spec": {"providerID": "azure:///x", "taints": [{"key": "k", "effect": "NoSchedule"}]},
    }
    created = await api.create("/api/v1/nodes", node)
    changed = await api.merge(f"/api/v1/nodes/{word}", {"spec": {"providerID": "azure:///y"}})
    await api.delete(f"/api/v1/nodes/{word}")
    assert created.ok().body["spec"]["providerID"] == "azure:///x"
    assert changed.status == 422


async def test_a_replica_count_below_zero_is_refused(api: Api, ns: Space) -> None:
    answer = await api.create(ns.deployments(), deployment("d", replicas=-1))
    assert answer.fields == {"spec.replicas"}


async def test_a_job_needs_a_restart_policy_that_ends(api: Api, ns: Space) -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "model:1"}]}}
    body = {"metadata": {"name": "j"}, "spec": {"template": template}}
    refused = await api.create(ns.jobs(), body)
    template["spec"]["restartPolicy"] = "Never"  # type: ignore[assignment]
    taken = await api.create(ns.jobs(), body)
    assert refused.fields == {"spec.template.spec.restartPolicy"}
    assert taken.ok().body["spec"]["completions"] == 1
    assert taken.body["spec"]["backoffLimit"] == 6
    uid = taken.metadata["uid"]
    assert taken.body["spec"]["selector"]["matchLabels"] == {
        "batch.kubernetes.io/controller-uid": uid
    }


async def test_a_claim_grows_only_where_its_class_lets_it(api: Api, ns: Space, word: str) -> None:
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    path = ns.path("/api/v1", "persistentvolumeclaims")
    fixed = {"metadata": {"name": word}, "provisioner": "conformance.example.com/none"}
    (await api.create(classes, fixed)).ok()
    claim = {
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": word,
        },
    }
    (await api.create(path, claim)).ok()
    bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    (await api.merge(f"{path}/c/status", bound)).ok()
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    refused = await api.merge(f"{path}/c", larger)
    await api.merge(f"{classes}/{word}", {"allowVolumeExpansion": True})
    taken = await api.merge(f"{path}/c", larger)
    await api.delete(f"{classes}/{word}")
    assert (refused.status, taken.status) == (403, 200)
    assert "only dynamically provisioned pvc can be resized" in refused.message


async def test_the_ranges_of_a_node_are_written_once(api: Api, word: str) -> None:
    node = {"metadata": {"name": word}, "spec": {"podCIDR": "10.1.0.0/24"}}
    made = await api.create("/api/v1/nodes", node)
    moved = await api.merge(f"/api/v1/nodes/{word}", {"spec": {"podCIDR": "10.2.0.0/24"}})
    await api.delete(f"/api/v1/nodes/{word}")
    assert made.ok().body["spec"]["podCIDRs"] == ["10.1.0.0/24"]
    assert moved.fields == {"spec.podCIDRs"}


async def test_the_phase_of_a_namespace_follows_from_its_deletion(api: Api, ns: Space) -> None:
    path = f"/api/v1/namespaces/{ns.name}/status"
    answer = await api.merge(path, {"status": {"phase": "Terminating"}})
    assert answer.fields == {"status.Phase"}


async def test_what_a_new_event_tells_does_not_change(api: Api, ns: Space) -> None:
    path = ns.path("/apis/events.k8s.io/v1", "events")
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "c-0",
        "action": "Test",
        "reason": "Tested",
        "type": "Normal",
        "regarding": {"kind": "ConfigMap", "namespace": ns.name, "name": "a"},
    }
    (await api.create(path, event)).ok()
    series = {"count": 2, "lastObservedTime": "2026-01-02T03:04:06.000000Z"}
    counted = await api.merge(f"{path}/e", {"series": series})
    told = await api.merge(f"{path}/e", {"note": "other"})
    assert counted.status == 200
    assert told.fields == {"message"}


async def test_a_binding_keeps_its_role(api: Api, ns: Space) -> None:
    path = ns.path("/apis/rbac.authorization.k8s.io/v1", "rolebindings")
    body = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}}
    made = await api.create(path, body)
    answer = await api.merge(f"{path}/b", {"roleRef": {"name": "other"}})
    assert made.ok().body["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert answer.fields == {"roleRef"}
    assert "cannot change roleRef" in answer.message
