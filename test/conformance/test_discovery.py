"""Discovery in both forms, OpenAPI, health and version."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining

pytestmark = pytest.mark.apiserver

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
COUNT = {"type": "object", "properties": {"n": {"type": "integer", "description": "How many."}}}


def resource(answer: Any, name: str) -> Any:
    return next(found for found in answer.body["resources"] if found["name"] == name)


async def test_the_core_group_has_one_version(api: Api) -> None:
    answer = await api.get("/api")
    assert (answer.body["kind"], answer.body["versions"]) == ("APIVersions", ["v1"])


async def test_a_core_resource_is_described(api: Api) -> None:
    pods = resource(await api.get("/api/v1"), "pods")
    assert {key: pods[key] for key in ("kind", "namespaced", "singularName", "shortNames")} == {
        "kind": "Pod",
        "namespaced": True,
        "singularName": "pod",
        "shortNames": ["po"],
    }
    assert set(pods["verbs"]) == {
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    }
    assert "all" in pods["categories"]


async def test_subresources_are_listed_by_their_own_kind(api: Api) -> None:
    scale = resource(await api.get("/apis/apps/v1"), "deployments/scale")
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert set(scale["verbs"]) == {"get", "patch", "update"}


async def test_groups_name_their_preferred_version(api: Api) -> None:
    answer = await api.get("/apis")
    assert answer.body["kind"] == "APIGroupList"
    groups = {group["name"]: group for group in answer.body["groups"]}
    wanted = {
        "apps",
        "batch",
        "coordination.k8s.io",
        "events.k8s.io",
        "apiextensions.k8s.io",
        "admissionregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "rbac.authorization.k8s.io",
        "policy",
        "storage.k8s.io",
        "scheduling.k8s.io",
        "discovery.k8s.io",
    }
    assert wanted <= groups.keys()
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}


async def test_one_group_can_be_asked_for(api: Api) -> None:
    answer = await api.get("/apis/apps")
    assert (answer.body["kind"], answer.body["name"]) == ("APIGroup", "apps")


async def test_an_unknown_group_is_a_page_not_found(api: Api) -> None:
    for path in ("/apis/none.example.com", "/apis/none.example.com/v1", "/nothing"):
        answer = await api.get(path)
        assert (answer.status, answer.text) == (404, "404 page not found\n"), path


async def test_an_unknown_resource_of_a_known_group_is_a_status(api: Api) -> None:
    answer = await api.get("/apis/apps/v1/nothings")
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == "the server could not find the requested resource"


@pytest.mark.parametrize("path", ["/api", "/apis"])
async def test_discovery_comes_aggregated_when_asked(api: Api, path: str) -> None:
    answer = await api.get(path, accept=AGGREGATED)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == AGGREGATED
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    assert answer.body["apiVersion"] == "apidiscovery.k8s.io/v2"
    for group in answer.body["items"]:
        for version in group["versions"]:
            assert version["freshness"] == "Current"
            for found in version["resources"]:
                assert found["scope"] in {"Namespaced", "Cluster"}
                assert found["responseKind"]["kind"]


async def test_aggregated_discovery_falls_back_to_plain(api: Api) -> None:
    answer = await api.get("/apis", accept=AGGREGATED.replace("v2", "v9") + ",application/json")
    assert answer.body["kind"] == "APIGroupList"


async def test_aggregated_discovery_nests_subresources(api: Api) -> None:
    answer = await api.get("/apis", accept=AGGREGATED)
    apps = next(g for g in answer.body["items"] if g["metadata"]["name"] == "apps")
    deployments = next(
        r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments"
    )
    assert {sub["subresource"] for sub in deployments["subresources"]} == {"scale", "status"}


async def test_a_definition_appears_in_discovery(api: Api, define: Defining) -> None:
    widgets = await define(COUNT, subresources={"status": {}})
    answer = await api.until(
        f"/apis/{widgets.group}/v1", lambda found: found.status == 200 and found.body["resources"]
    )
    assert answer.body["groupVersion"] == f"{widgets.group}/v1"
    assert resource(answer, "widgets")["kind"] == "Widget"
    assert set(resource(answer, "widgets/status")["verbs"]) == {"get", "patch", "update"}
    listed = await api.until(
        "/apis", lambda found: widgets.group in {g["name"] for g in found.body["groups"]}
    )
    assert listed.status == 200


async def test_open_api_has_a_document_for_each_group(api: Api) -> None:
    answer = await api.get("/openapi/v3")
    paths = answer.body["paths"]
    assert {"api/v1", "apis/apps/v1"} <= paths.keys()
    url = paths["apis/apps/v1"]["serverRelativeURL"]
    assert url.startswith("/openapi/v3/apis/apps/v1?hash=")


async def test_the_document_of_a_group_describes_its_kinds(api: Api) -> None:
    answer = await api.get("/openapi/v3/apis/apps/v1")
    document = answer.body
    assert document["openapi"].startswith("3.0")
    schemas = document["components"]["schemas"]
    marks = schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert marks == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert "/apis/apps/v1/namespaces/{namespace}/deployments" in document["paths"]


async def test_the_document_of_a_definition_has_its_schema(api: Api, define: Defining) -> None:
    widgets = await define(COUNT)

    def written(answer: Any) -> bool:
        return answer.status == 200 and widgets.group in answer.text

    answer = await api.until(f"/openapi/v3/apis/{widgets.group}/v1", written)
    schemas = answer.body["components"]["schemas"]
    name = ".".join(reversed(widgets.group.split("."))) + ".v1.Widget"
    spec = schemas[name]["properties"]["spec"]
    assert spec["properties"]["n"] == {"type": "integer", "description": "How many."}


async def test_the_version_tells_the_release(api: Api) -> None:
    answer = await api.get("/version")
    assert answer.body["major"] == "1"
    assert answer.body["gitVersion"].startswith(f"v1.{answer.body['minor'].rstrip('+')}.")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/livez/ping"])
async def test_a_healthy_server_says_ok(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.text) == (200, "ok")


async def test_a_verbose_health_check_lists_its_parts(api: Api) -> None:
    answer = await api.get("/readyz", verbose="true")
    assert "[+]ping ok\n" in answer.text
    assert answer.text.endswith("readyz check passed\n")


async def test_an_unknown_health_check_is_not_found(api: Api) -> None:
    assert (await api.get("/healthz/nothing")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/apis/apps/v9", 404),
        ("POST", "/apis/nope.example.com/v1", 404),
        ("GET", "/version/", 200),
        ("POST", "/version", 405),
        ("GET", "/healthz/", 404),
        ("GET", "/readyz/ping/", 404),
        ("POST", "/healthz", 200),
        ("POST", "/apis", 200),
        ("POST", "/apis/apps", 200),
        ("POST", "/apis/apps/v1", 405),
        ("POST", "/api", 405),
        ("GET", "/openapi/v2/", 404),
        ("GET", "/api/v1/bindings", 404),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x", 404),
        ("HEAD", "/api/v1/namespaces", 405),
    ],
)
async def test_a_path_is_taken_by_the_letter(api: Api, method: str, path: str, status: int) -> None:
    assert (await api.call(method, path)).status == status


async def test_an_unknown_version_of_a_known_group_is_a_status(api: Api) -> None:
    answer = await api.get("/apis/apps/v9")
    assert answer.message == "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("name", "why"), [("%25", "\"%\": may not contain '%'"), ("%2e%2e", "\"..\": may not be '..'")]
)
async def test_a_name_in_a_path_is_a_segment(api: Api, name: str, why: str) -> None:
    answer = await api.get(f"/api/v1/namespaces/default/configmaps/{name}")
    assert (answer.status, answer.message) == (400, f"Name parameter invalid: {why}")


async def test_the_watch_prefix_alone_is_no_path(api: Api) -> None:
    answer = await api.get("/api/v1/watch")
    assert answer.status == 500
    assert answer.text.startswith('Internal Server Error: "/api/v1/watch": failed to create')


async def test_the_fields_of_built_in_kinds_are_described(api: Api) -> None:
    document = (await api.get("/openapi/v3/api/v1")).body["components"]["schemas"]
    policy = document["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"]
    assert policy["enum"] == ["Always", "Never", "OnFailure"]
    assert policy["description"].startswith("Restart policy for all containers within the pod.")
    made = document["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]
    assert made["creationTimestamp"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Time"}
    ]


async def test_a_model_belongs_to_its_own_group(api: Api) -> None:
    document = (await api.get("/openapi/v3/apis/apps/v1")).body["components"]["schemas"]
    spec = document["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]
    reference = spec["template"]["allOf"][0]["$ref"]
    assert reference == "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"
