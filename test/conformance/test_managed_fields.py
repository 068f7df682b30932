"""managedFields in the corners: other versions, open values, migration, what a client writes."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object, Space, config_map, deployment, lease
from test.conformance.test_apply import owned

pytestmark = pytest.mark.apiserver

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def version(name: str, spec: Object, **more: Any) -> Object:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    return {
        "name": name,
        "served": True,
        "storage": name == "v1",
        "schema": {"openAPIV3Schema": schema},
        **more,
    }


async def test_an_apply_finds_the_name_in_the_live_object(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    await api.apply(ns.leases("a"), body, "alpha")
    nameless = {**lease("a", {"leaseDurationSeconds": 5}), "metadata": {}}
    answer = await api.apply(ns.leases("a"), nameless, "beta")
    missing = await api.apply(ns.leases("b"), nameless, "beta")
    assert answer.ok().body["spec"] == {"holderIdentity": "me", "leaseDurationSeconds": 5}
    assert (missing.status, missing.reason) == (400, "BadRequest")


async def test_giving_up_all_metadata_takes_the_name_away(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", labels={"x": "1"}), "alpha")
    bare = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    answer = await api.apply(ns.leases("a"), bare, "alpha")
    assert answer.status == 400
    assert "undeterminable" in answer.message


async def test_a_null_leaves_what_has_members_alone(api: Api, define: Defining) -> None:
    widgets = await define(
        {"type": "object", "properties": {"m": {"type": "object", "additionalProperties": STRING}}}
    )
    (await api.apply(widgets.path("a"), widgets.new("a", {"m": {"k": "v"}}), "alpha")).ok()
    answer = await api.apply(widgets.path("a"), widgets.new("a", {"m": None}), "beta")
    assert answer.ok().body["spec"] == {"m": {"k": "v"}}
    assert owned(answer, "beta") == {"f:spec": {"f:m": {}}}


async def test_a_null_scalar_is_applied_as_it_is(api: Api, define: Defining) -> None:
    widgets = await define({"type": "object", "properties": {"n": INTEGER}})
    answer = await api.apply(widgets.path("a"), widgets.new("a", {"n": None}), "alpha")
    assert answer.status == 422
    assert answer.fields == {"spec.n"}


async def test_an_open_value_that_changes_its_form_loses_its_owners(
    api: Api, define: Defining
) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {"x": {"k": 1}}), fieldManager="one")).ok()
    answer = await api.apply(
        widgets.path("a"), widgets.new("a", {"x": [1, 2]}), "alpha", force=True
    )
    assert answer.ok().body["spec"] == {"x": [1, 2]}
    assert owned(answer, "one", "Update") == {"f:spec": {}}


async def test_true_is_not_one(api: Api, define: Defining) -> None:
    widgets = await define()
    (await api.apply(widgets.path("a"), widgets.new("a", {"x": {"y": 1}}), "alpha")).ok()
    answer = await api.merge(widgets.path("a"), {"spec": {"x": {"y": True}}}, fieldManager="editor")
    assert owned(answer.ok(), "editor", "Update") == {"f:spec": {"f:x": {"f:y": {}}}}
    assert answer.metadata["generation"] == 2


async def test_an_apply_that_changes_nothing_notes_no_time(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    await api.apply(ns.leases("a"), body, "alpha")
    answer = (await api.apply(ns.leases("a"), body, "beta")).ok()
    times = {e["manager"]: e.get("time") for e in answer.metadata["managedFields"]}
    assert times["alpha"]
    assert times["beta"] is None


async def test_a_list_without_time_and_version_is_ignored(api: Api, ns: Space) -> None:
    created = await api.create(ns.leases(), lease("a", {"holderIdentity": "me"}), fieldManager="x")
    entry = {k: v for k, v in created.metadata["managedFields"][0].items() if k != "apiVersion"}
    answer = await api.merge(ns.leases("a"), {"metadata": {"managedFields": [entry]}})
    assert answer.ok().metadata["managedFields"] == created.metadata["managedFields"]


async def test_an_empty_list_clears_the_owners_of_built_in_kinds_only(
    api: Api, ns: Space, define: Defining
) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {"n": 1}))).ok()
    (await api.create(ns.configmaps(), config_map("a", {"k": "v"}))).ok()
    empty: Object = {"metadata": {"managedFields": []}}
    kept = await api.merge(widgets.path("a"), empty)
    cleared = await api.merge(ns.configmaps("a"), empty)
    assert kept.ok().metadata["managedFields"]
    assert "managedFields" not in cleared.ok().metadata


async def test_owners_in_a_version_that_is_no_more_are_forgotten(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "v"}), fieldManager="x")
    old = {
        "manager": "old",
        "operation": "Update",
        "apiVersion": "v0",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:k": {}}},
    }
    entries = [*created.metadata["managedFields"], old]
    answer = await api.merge(ns.configmaps("a"), {"metadata": {"managedFields": entries}})
    assert [e["manager"] for e in answer.ok().metadata["managedFields"]] == ["x"]


async def test_the_oldest_of_many_updaters_become_one(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a", {"k0": ""}), fieldManager="m0")).ok()
    for i in range(1, 13):
        patch = {"data": {f"k{i}": ""}}
        answer = await api.merge(ns.configmaps("a"), patch, fieldManager=f"m{i}")
    managers = [e["manager"] for e in answer.ok().metadata["managedFields"]]
    assert len(managers) == 10
    assert "ancient-changes" in managers


async def test_owners_see_a_write_in_their_own_version(api: Api, define: Defining) -> None:
    spec = {"a": INTEGER, "b": INTEGER}
    widgets = await define(versions=[version("v1", spec), version("v2", spec)])
    first = widgets.new("a", {"a": 1, "b": 1})
    (await api.apply(widgets.path("a"), first, "alpha")).ok()
    second = widgets.new("a", {"a": 2}, version="v2")
    refused = await api.apply(widgets.path("a", version="v2"), second, "beta")
    forced = await api.apply(widgets.path("a", version="v2"), second, "beta", force=True)
    emptied = await api.apply(
        widgets.path("a", version="v2"), widgets.new("a", version="v2"), "alpha"
    )
    assert refused.fields == {".spec.a"}
    assert owned(forced.ok(), "alpha") == {"f:spec": {"f:b": {}}}
    assert emptied.ok().body["spec"] == {"a": 2}


async def test_a_version_shows_the_defaults_of_the_stored_one(api: Api, define: Defining) -> None:
    widgets = await define(
        versions=[
            version("v1", {"a": {**INTEGER, "default": 1}}),
            version("v2", {"a": INTEGER, "c": {**INTEGER, "default": 3}}),
        ]
    )
    body = widgets.new("a", {}, version="v2")
    created = await api.create(widgets.path(version="v2"), body)
    found = await api.get(widgets.path("a", version="v2"))
    assert created.ok().body["spec"] == found.ok().body["spec"] == {"a": 1}


async def test_whole_numbers_of_custom_resources_have_no_fraction(
    api: Api, define: Defining
) -> None:
    widgets = await define({"type": "object", "properties": {"x": {"type": "number"}}})
    text = (
        f'{{"apiVersion":"{widgets.group}/v1","kind":"Widget","metadata":{{"name":"a"}},'
        '"spec":{"x":2.0}}'
    )
    answer = await api.create(widgets.path(), text)
    assert repr(answer.ok().body["spec"]["x"]) == "2"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "bool"),
        ("x", "string"),
        ([], "[]interface {}"),
        ({}, "map[string]interface {}"),
    ],
)
async def test_a_number_says_which_type_it_got(
    api: Api, define: Defining, value: object, found: str
) -> None:
    widgets = await define({"type": "object", "properties": {"n": INTEGER}})
    answer = await api.apply(widgets.path("a"), widgets.new("a", {"n": value}), "alpha")
    assert answer.status == 500
    assert answer.message.endswith(f".spec.n: expected numeric (int or float), got {found}")


async def test_kubectl_takes_over_what_it_applied_on_the_client_side(api: Api, ns: Space) -> None:
    note = (
        '{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"annotations":{},'
        '"name":"a"}}\n'
    )
    key = "kubectl.kubernetes.io/last-applied-configuration"
    body = config_map("a", {"k": "v"}, annotations={key: note})
    (await api.create(ns.configmaps(), body, fieldManager="kubectl-client-side-apply")).ok()
    wanted = config_map("a", {"k": "w"})
    other = await api.apply(ns.configmaps("a"), wanted, "alpha")
    taken = await api.apply(ns.configmaps("a"), wanted, "kubectl")
    assert other.status == 409
    assert taken.ok().body["data"] == {"k": "w"}
    assert '"k":"w"' in taken.metadata["annotations"][key]


async def test_repeated_keys_of_an_apply_are_warned_of(api: Api, ns: Space) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: a\n  k: b\n"
    warned = await api.apply(ns.configmaps("a"), body, "alpha")
    refused = await api.apply(ns.configmaps("a"), body, "alpha", fieldValidation="Strict")
    assert any('line 6: key "k" already set in map' in w for w in warned.ok().warnings)
    assert refused.status == 400


async def test_the_owner_of_replicas_hands_them_to_the_scaler(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d", replicas=1), fieldManager="maker")).ok()
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "d"},
        "spec": {"replicas": 3},
    }
    refused = await api.apply(ns.deployments("d", "scale"), scale, "scaler")
    (await api.apply(ns.deployments("d", "scale"), scale, "scaler", force=True)).ok()
    answer = await api.get(ns.deployments("d"))
    assert refused.status == 409
    assert owned(answer, "scaler", sub="scale") == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owned(answer, "maker", "Update")["f:spec"]
