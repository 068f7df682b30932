"""The forms an answer can take: tables, metadata, YAML, and what is not acceptable."""

from __future__ import annotations

import pytest

from test.conformance.client import METADATA, METADATA_LIST, TABLE, Api
from test.conformance.definitions import Defining
from test.conformance.objects import Space, config_map, pod, secret

pytestmark = pytest.mark.apiserver


async def test_a_table_of_a_built_in_kind_has_its_columns(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    answer = await api.get(ns.pods(), accept=TABLE)
    body = answer.body
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    names = [column["name"] for column in body["columnDefinitions"]]
    assert names[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert body["rows"][0]["cells"][:4] == ["p", "0/1", "Pending", "0"]
    assert int(body["metadata"]["resourceVersion"]) > 0


async def test_a_table_carries_metadata_objects_or_nothing(api: Api, ns: Space) -> None:
    (await api.create(ns.secrets(), secret("s"))).ok()
    kinds = []
    for include in ("Metadata", "Object", "None"):
        answer = await api.get(ns.secrets("s"), accept=TABLE, includeObject=include)
        row = answer.body["rows"][0]
        kinds.append((row.get("object") or {}).get("kind"))
    assert kinds == ["PartialObjectMetadata", "Secret", None]


async def test_an_unknown_include_is_a_bad_request(api: Api, ns: Space) -> None:
    answer = await api.get(ns.secrets(), accept=TABLE, includeObject="Some")
    assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_a_custom_resource_without_columns_shows_name_and_age(
    api: Api, define: Defining
) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {}))).ok()
    body = (await api.get(widgets.path(), accept=TABLE)).body
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "Age"]


async def test_an_error_is_a_status_even_where_a_table_was_asked(api: Api, ns: Space) -> None:
    answer = await api.get(ns.secrets("none"), accept=TABLE)
    assert (answer.status, answer.body["kind"]) == (404, "Status")


async def test_metadata_alone_hides_the_rest(api: Api, ns: Space) -> None:
    (await api.create(ns.secrets(), secret("s", stringData={"k": "v"}))).ok()
    one = await api.get(ns.secrets("s"), accept=METADATA)
    listed = await api.get(ns.secrets(), accept=METADATA_LIST)
    assert one.body["kind"] == "PartialObjectMetadata"
    assert one.body.keys() == {"kind", "apiVersion", "metadata"}
    assert listed.body["kind"] == "PartialObjectMetadataList"
    assert all("data" not in item for item in listed.body["items"])


async def test_metadata_of_one_and_of_many_are_not_confused(api: Api, ns: Space) -> None:
    (await api.create(ns.secrets(), secret("s"))).ok()
    many = await api.get(ns.secrets(), accept=METADATA)
    one = await api.get(ns.secrets("s"), accept=METADATA_LIST)
    assert (many.status, one.status) == (406, 406)


async def test_yaml_is_spoken_both_ways(api: Api, ns: Space) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"
    created = await api.create(ns.configmaps(), body, content_type="application/yaml")
    answer = await api.get(ns.configmaps("a"), accept="application/yaml")
    assert created.ok().body["data"] == {"k": "v"}
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.text.startswith("apiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\n")


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Table;v=v9;g=meta.k8s.io"])
async def test_what_cannot_be_served_is_not_acceptable(api: Api, ns: Space, accept: str) -> None:
    answer = await api.get(ns.configmaps(), accept=accept)
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


async def test_an_unknown_form_falls_back_to_the_next(api: Api, ns: Space) -> None:
    accept = "application/json;as=Nothing;v=v1;g=meta.k8s.io,application/json"
    answer = await api.get(ns.configmaps(), accept=accept)
    assert answer.body["kind"] == "ConfigMapList"


async def test_a_body_of_an_unknown_type_is_unsupported(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), "x", content_type="text/plain")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


async def test_managed_fields_are_shown_to_all(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a", {"k": "v"}))).ok()
    entry = (await api.get(ns.configmaps("a"))).metadata["managedFields"][0]
    assert entry["operation"] == "Update"
    assert entry["fieldsType"] == "FieldsV1"
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}


POD = {"containers": [{"name": "c", "image": "i:1"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}


@pytest.mark.parametrize(
    ("path", "body", "cells"),
    [
        (
            "/apis/apps/v1/{}/deployments",
            {
                "replicas": 3,
                "selector": {
                    "matchExpressions": [
                        {"key": "z", "operator": "DoesNotExist"},
                        {"key": "a", "operator": "In", "values": ["c", "b"]},
                    ]
                },
                "template": TEMPLATE,
            },
            ["o", "0/3", 0, 0, "c", "i:1", "a in (b,c),!z"],
        ),
        (
            "/apis/networking.k8s.io/v1/{}/ingresses",
            {"rules": [{"host": f"{c}.example.com"} for c in "abcd"]},
            ["o", "<none>", "a.example.com,b.example.com,c.example.com + 1 more...", "", "80"],
        ),
        (
            "/apis/autoscaling/v2/{}/horizontalpodautoscalers",
            {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    },
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "q"},
                            "target": {"type": "AverageValue", "averageValue": "5"},
                        },
                    },
                ],
            },
            ["o", "Deployment/d", "cpu: <unknown>/50%, <unknown>/5", "1", 5, 0],
        ),
    ],
)
async def test_the_cells_of_a_kind_sum_it_up(
    api: Api, ns: Space, path: str, body: dict[str, object], cells: list[object]
) -> None:
    where = path.format(f"namespaces/{ns.name}")
    (await api.create(where, {"metadata": {"name": "o"}, "spec": body})).ok()
    table = (await api.get(f"{where}/o", accept=TABLE)).body
    age = [c["name"] for c in table["columnDefinitions"]].index("Age")
    found = table["rows"][0]["cells"]
    assert found[:age] + found[age + 1 :] == cells


@pytest.mark.parametrize(
    ("path", "columns", "rows"),
    [
        ("/api/v1/limitranges", ["Name", "Created At"], None),
        ("/apis/rbac.authorization.k8s.io/v1/roles", ["Name", "Created At"], None),
        ("/api/v1/serviceaccounts", ["Name", "Age"], []),
        ("/apis/storage.k8s.io/v1/csinodes", ["Name", "Drivers", "Age"], []),
        ("/apis/node.k8s.io/v1/runtimeclasses", ["Name", "Handler", "Age"], []),
    ],
)
async def test_an_empty_table_has_no_rows_of_its_own_way(
    api: Api, path: str, columns: list[str], rows: list[object] | None
) -> None:
    table = (await api.get(path, accept=TABLE, labelSelector="conformance=none")).body
    assert [c["name"] for c in table["columnDefinitions"]] == columns
    assert table["rows"] == rows
