"""Status, scale, binding, eviction, tokens; generation and who may change what."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.definitions import ANYTHING, Defining
from test.conformance.objects import Object, Space, deployment, pod

pytestmark = pytest.mark.apiserver

SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


async def test_a_write_to_the_object_leaves_the_status_alone(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}})
    body = widgets.new("a", {"n": 1}, status={"phase": "Early"})
    created = await api.create(widgets.path(), body)
    patch = {"status": {"phase": "Forged"}, "spec": {"n": 2}}
    patched = await api.merge(widgets.path("a"), patch)
    assert "status" not in created.body
    assert "status" not in patched.ok().body
    assert patched.body["spec"] == {"n": 2}


async def test_a_write_to_the_status_leaves_the_object_alone(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}})
    (await api.create(widgets.path(), widgets.new("a", {"n": 1}))).ok()
    patch = {
        "metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/x"]},
        "spec": {"n": 9},
        "status": {"phase": "Ready"},
    }
    answer = await api.merge(widgets.path("a", "status"), patch)
    assert answer.ok().body["spec"] == {"n": 1}
    assert answer.body["status"] == {"phase": "Ready"}
    assert not {"labels", "finalizers"} & answer.metadata.keys()


async def test_generation_counts_changes_of_the_spec(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}})
    generations = [
        (await api.create(widgets.path(), widgets.new("a", {"n": 1}))).metadata["generation"]
    ]
    for sub, patch in (
        ("", {"spec": {"n": 1}}),
        ("", {"metadata": {"labels": {"a": "b"}}}),
        ("status", {"status": {"phase": "Ready"}}),
        ("", {"spec": {"n": 2}}),
    ):
        answer = await api.merge(widgets.path("a", sub), patch)
        generations.append(answer.ok().metadata["generation"])
    assert generations == [1, 1, 1, 1, 2]


async def test_without_a_status_subresource_the_status_counts_too(
    api: Api, define: Defining
) -> None:
    widgets = await define(status=ANYTHING)
    (await api.create(widgets.path(), widgets.new("a", {}))).ok()
    answer = await api.merge(widgets.path("a"), {"status": {"phase": "Ready"}})
    assert answer.body["status"] == {"phase": "Ready"}
    assert answer.metadata["generation"] == 2


async def test_a_subresource_that_is_not_declared_is_not_found(api: Api, define: Defining) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {}))).ok()
    for sub in ("status", "scale"):
        answer = await api.get(widgets.path("a", sub))
        assert (answer.status, answer.reason) == (404, "NotFound")


async def test_replacing_the_status_checks_the_version(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}})
    created = await api.create(widgets.path(), widgets.new("a", {}))
    body = created.body | {"status": {"phase": "One"}}
    first = await api.replace(widgets.path("a", "status"), body)
    second = await api.replace(widgets.path("a", "status"), body | {"status": {"phase": "Two"}})
    assert (first.status, second.status) == (200, 409)


async def test_the_scale_of_a_custom_resource_maps_its_paths(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}, "scale": SCALE})
    (await api.create(widgets.path(), widgets.new("a", {"replicas": 2}))).ok()
    status = {"status": {"replicas": 1, "selector": "a=b"}}
    (await api.merge(widgets.path("a", "status"), status)).ok()
    answer = await api.get(widgets.path("a", "scale"))
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert answer.body["spec"] == {"replicas": 2}
    assert answer.body["status"] == {"replicas": 1, "selector": "a=b"}


async def test_writing_the_scale_writes_the_replicas(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"scale": SCALE})
    (await api.create(widgets.path(), widgets.new("a", {"replicas": 2}))).ok()
    scaled = await api.merge(widgets.path("a", "scale"), {"spec": {"replicas": 5}})
    answer = await api.get(widgets.path("a"))
    assert scaled.ok().body["spec"] == {"replicas": 5}
    assert answer.body["spec"] == {"replicas": 5}
    assert answer.metadata["generation"] == 2


async def test_a_scale_below_zero_is_refused(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"scale": SCALE})
    (await api.create(widgets.path(), widgets.new("a", {"replicas": 2}))).ok()
    answer = await api.merge(widgets.path("a", "scale"), {"spec": {"replicas": -1}})
    assert answer.status == 422
    assert answer.fields == {".spec.replicas"}


async def test_a_scale_must_say_how_many_where_nobody_did(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"scale": SCALE})
    (await api.create(widgets.path(), widgets.new("a", {}))).ok()
    unread = await api.get(widgets.path("a", "scale"))
    answer = await api.merge(widgets.path("a", "scale"), {})
    assert unread.status == 500
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == 'the spec replicas field ".spec.replicas" cannot be empty'


async def test_what_a_scale_maps_is_checked_on_every_write(api: Api, define: Defining) -> None:
    widgets = await define(status=ANYTHING, subresources={"status": {}, "scale": SCALE})
    negative = await api.create(widgets.path(), widgets.new("a", {"replicas": -1}))
    (await api.create(widgets.path(), widgets.new("a", {"replicas": 1}))).ok()
    text = await api.merge(widgets.path("a", "status"), {"status": {"replicas": "x"}})
    assert (negative.status, negative.fields) == (422, {".spec.replicas"})
    assert (text.status, text.fields) == (422, {".status.replicas"})
    assert ".status.replicas accessor error: x is of the type string" in text.message


async def test_a_scale_names_its_selector_in_the_order_of_keys(api: Api, ns: Space) -> None:
    body = deployment("d")
    body["spec"]["selector"]["matchExpressions"] = [
        {"key": "z", "operator": "DoesNotExist"},
        {"key": "app", "operator": "In", "values": ["e", "d"]},
    ]
    (await api.create(ns.deployments(), body)).ok()
    answer = await api.get(ns.deployments("d", "scale"))
    assert answer.body["status"]["selector"] == "app=d,app in (d,e),!z"


async def test_the_scale_of_a_deployment_reads_and_writes(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d", replicas=2))).ok()
    scale = (await api.get(ns.deployments("d", "scale"))).body
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "app=d"
    scale["spec"]["replicas"] = 3
    first = await api.replace(ns.deployments("d", "scale"), scale)
    second = await api.replace(ns.deployments("d", "scale"), scale | {"spec": {"replicas": 4}})
    assert (first.status, second.status) == (200, 409)
    assert (await api.get(ns.deployments("d"))).body["spec"]["replicas"] == 3


async def test_the_generation_of_a_deployment_counts_its_spec(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    status = await api.merge(ns.deployments("d", "status"), {"status": {"replicas": 1}})
    label = await api.merge(ns.deployments("d"), {"metadata": {"labels": {"a": "b"}}})
    spec = await api.merge(ns.deployments("d"), {"spec": {"replicas": 4}})
    generations = [answer.ok().metadata["generation"] for answer in (status, label, spec)]
    assert generations == [1, 1, 2]


async def test_a_pod_is_bound_to_a_node_once(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()

    def binding(node: str) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "p"},
            "target": {"kind": "Node", "name": node},
        }

    first = await api.create(ns.pods("p", "binding"), binding("n1"))
    second = await api.create(ns.pods("p", "binding"), binding("n2"))
    found = await api.get(ns.pods("p"))
    assert (first.status, second.status) == (201, 409)
    assert found.body["spec"]["nodeName"] == "n1"
    scheduled = [c for c in found.body["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert scheduled[0]["status"] == "True"


async def test_eviction_deletes_a_pod_without_budget(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    answer = await api.create(ns.pods("p", "eviction"), body)
    assert answer.status == 201
    assert (await api.get(ns.pods("p"))).status == 404


async def test_a_budget_forbids_eviction(api: Api, ns: Space) -> None:
    budget = {
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    }
    path = ns.path("/apis/policy/v1", "poddisruptionbudgets")
    (await api.create(path, budget)).ok()
    (await api.create(ns.pods(), pod("p", {"a": "b"}))).ok()
    patch = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    (await api.merge(ns.pods("p", "status"), patch)).ok()
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    answer = await api.create(ns.pods("p", "eviction"), body)
    assert (answer.status, answer.reason) == (429, "TooManyRequests")


async def test_the_spec_of_a_pod_is_fixed_but_for_its_images(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    image = {"spec": {"containers": [{"name": "main", "image": "model:2"}]}}
    command = {"spec": {"containers": [{"name": "main", "command": ["x"]}]}}
    taken = await api.strategic(ns.pods("p"), image)
    refused = await api.strategic(ns.pods("p"), command)
    assert (taken.status, refused.status) == (200, 422)
    assert "pod updates may not change fields other than" in refused.message


async def test_a_service_account_issues_tokens_that_are_recognised(api: Api, ns: Space) -> None:
    path = ns.path("/api/v1", "serviceaccounts")
    (await api.create(path, {"metadata": {"name": "robot"}})).ok()
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    issued = await api.create(f"{path}/robot/token", request)
    assert issued.status == 201
    token = issued.body["status"]["token"]
    review = {"spec": {"token": token}}
    answer = await api.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert answer.ok().body["status"]["authenticated"] is True
    user = answer.body["status"]["user"]
    assert user["username"] == f"system:serviceaccount:{ns.name}:robot"
    assert "system:serviceaccounts" in user["groups"]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"spec": {"expirationSeconds": 2**32 + 1}}, 422, "larger than 2^32 seconds"),
        ({"metadata": {"name": "other"}}, 422, "must match the service account name"),
        (
            {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "none"}}},
            404,
            'pods "none" not found',
        ),
        (
            {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "X", "name": "x"}}},
            400,
            "cannot bind token to object of type /v1, Kind=X",
        ),
    ],
)
async def test_a_token_is_not_issued_for_just_anything(
    api: Api, ns: Space, request_: Object, status: int, message: str
) -> None:
    path = ns.path("/api/v1", "serviceaccounts")
    (await api.create(path, {"metadata": {"name": "robot"}})).ok()
    answer = await api.create(f"{path}/robot/token", request_)
    assert answer.status == status
    assert message in answer.message


async def test_a_pod_without_a_node_has_no_log(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    assert (await api.get(ns.pods("p", "log"))).status == 204
