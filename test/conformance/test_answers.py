"""How requests are answered whatever they are about: encodings, forms, deadlines and health."""

from __future__ import annotations

import pytest

from test.conformance.client import METADATA, METADATA_LIST, Api
from test.conformance.definitions import ANYTHING, Defining
from test.conformance.objects import Object, Space, config_map

pytestmark = pytest.mark.apiserver


async def test_yaml_quotes_what_would_be_read_as_something_else(api: Api, ns: Space) -> None:
    data = {"a10": "yes", "a9": "0x1", "b": "word", "c": "two\nlines", "d": "it: is", "e": ""}
    (await api.create(ns.configmaps(), config_map("a", data))).ok()
    answer = await api.get(ns.configmaps("a"), accept="application/yaml")
    shown = answer.text.partition("\nkind:")[0]
    assert shown == (
        'apiVersion: v1\ndata:\n  a9: "0x1"\n  a10: "yes"\n  b: word\n  c: |-\n    two\n    lines\n'
        "  d: 'it: is'\n  e: \"\""
    )


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/apis/apps", "/apis/apps/v1"])
async def test_discovery_is_yaml_where_yaml_is_asked_for(api: Api, path: str) -> None:
    answer = await api.get(path, accept="application/yaml")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert "kind: API" in answer.text


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps/v1"])
async def test_discovery_makes_no_tables(api: Api, path: str) -> None:
    answer = await api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert (answer.status, answer.reason) == (406, "NotAcceptable")
    assert answer.message.startswith("only the following media types are accepted")


async def test_an_object_is_no_list_of_metadata_even_with_a_fallback(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    accept = f"{METADATA_LIST},application/json"
    one = await api.get(ns.configmaps("a"), accept=accept)
    missing = await api.get(ns.configmaps("none"), accept=accept)
    made = await api.create(ns.configmaps(), config_map("b"), accept=accept)
    kept = await api.get(ns.configmaps("b"))
    says = "requested PartialObjectMetadataList, but the requested object is not a list"
    assert (one.status, missing.status, made.status, kept.status) == (406, 404, 406, 200)
    assert says in one.message
    assert says in made.message


async def test_a_list_is_no_metadata_of_one_object(api: Api, ns: Space) -> None:
    answer = await api.get(ns.configmaps(), accept=METADATA)
    assert answer.message == (
        "you requested PartialObjectMetadata, but the requested object is a list "
        "(*core.ConfigMapList)"
    )


@pytest.mark.parametrize(
    ("timeout", "says"),
    [
        ("x", 'time: invalid duration "x"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
    ],
)
async def test_a_timeout_is_a_length_of_time(api: Api, ns: Space, timeout: str, says: str) -> None:
    for path in (ns.configmaps(), "/api/v1"):
        answer = await api.get(path, timeout=timeout)
        assert answer.status == 400
        assert answer.message == f"invalid timeout specified in the request URL - {says}"
    assert (await api.get(ns.configmaps(), timeout="1m30s")).status == 200


async def test_each_check_of_health_is_named(api: Api) -> None:
    ready = (await api.get("/readyz", verbose="true")).text
    alive = (await api.get("/livez", verbose="true", exclude="etcd")).text
    one = await api.get("/readyz/poststarthook/rbac/bootstrap-roles")
    assert ready.startswith("[+]ping ok\n[+]log ok\n[+]informer-sync ok\n[+]poststarthook/")
    assert ready.endswith("[+]shutdown ok\nreadyz check passed\n")
    assert "[+]etcd excluded: ok\n" in alive
    assert (one.status, one.text) == (200, "ok")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"},
        ),
        (
            "/api/v1/namespaces/{}/events",
            {"apiVersion": "v1", "kind": "Event", "involvedObject": {"namespace": "{}"}},
        ),
    ],
)
async def test_some_kinds_take_finalizers_without_a_domain(
    api: Api, ns: Space, path: str, body: Object
) -> None:
    whole = {**body, "metadata": {"name": "a", "finalizers": ["plain"]}}
    if "involvedObject" in body:
        whole["involvedObject"] = {"namespace": ns.name}
    assert (await api.create(path.format(ns.name), whole, dryRun="All")).status == 201


async def test_an_owner_has_a_version_with_one_slash(api: Api, ns: Space) -> None:
    owner = {"apiVersion": "a/b/c", "kind": "Pod", "name": "p", "uid": "u"}
    answer = await api.create(ns.configmaps(), config_map("a", ownerReferences=[owner]))
    assert answer.fields == {"metadata.ownerReferences.apiVersion"}


async def test_a_namespace_is_finalized_by_its_own_name(api: Api, ns: Space) -> None:
    path = f"/api/v1/namespaces/{ns.name}/finalize"
    other = await api.replace(path, {"metadata": {"name": "other"}, "spec": {}})
    nameless = await api.replace(path, {"spec": {}})
    held = {"metadata": {"name": ns.name}, "spec": {"finalizers": ["example.com/x"]}}
    done = await api.replace(path, held)
    assert (other.status, nameless.status, done.status) == (400, 400, 200)
    assert done.metadata["managedFields"][-1]["subresource"] == "finalize"
    (await api.replace(path, {"metadata": {"name": ns.name}, "spec": {}})).ok()


async def test_objects_of_every_version_are_selected_by_the_fields_of_one(
    api: Api, define: Defining
) -> None:
    color: Object = {"type": "object", "properties": {"color": {"type": "string"}}}
    newer = {
        "name": "v1",
        "served": True,
        "storage": True,
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": color}}},
    }
    older = {
        "name": "v1beta1",
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": ANYTHING}}},
    }
    widgets = await define(versions=[newer, older])
    made = widgets.new("a", {"color": "red"}, version="v1beta1")
    (await api.create(widgets.path(version="v1beta1"), made)).ok()
    assert (await api.get(widgets.path(), fieldSelector="spec.color=red")).names == ["a"]
    assert (await api.get(widgets.path(), fieldSelector="spec.color=blue")).names == []


async def test_a_custom_resource_outside_of_a_namespace_is_no_page(
    api: Api, define: Defining
) -> None:
    widgets = await define()
    answer = await api.get(f"{widgets.prefix}/widgets/a")
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_the_prefix_of_a_name_is_checked_like_the_name(
    api: Api, ns: Space, define: Defining
) -> None:
    widgets = await define()
    body = {"metadata": {"generateName": "Bad_"}}
    lease = await api.create(ns.leases(), body)
    custom = await api.create(widgets.path(), widgets.new("") | body)
    assert lease.fields == {"metadata.name", "metadata.generateName"}
    assert custom.fields == {"metadata.name", "metadata.generateName"}
