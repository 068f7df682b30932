"""JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import pytest

from test.conformance.client import STRATEGIC_PATCH, Api
from test.conformance.definitions import Defining
from test.conformance.objects import Space, config_map, deployment, lease, pod, service

pytestmark = pytest.mark.apiserver

REFUSED = "the server rejected our request due to an error in our request"


@pytest.fixture
async def path(api: Api, ns: Space) -> str:
    body = config_map("a", {"k": "v"}, labels={"one": "1", "two": "2"})
    (await api.create(ns.configmaps(), body)).ok()
    return ns.configmaps("a")


async def test_a_json_patch_adds_removes_and_replaces(api: Api, path: str) -> None:
    answer = await api.json_patch(
        path,
        [
            {"op": "test", "path": "/data/k", "value": "v"},
            {"op": "add", "path": "/data/z", "value": "1"},
            {"op": "replace", "path": "/data/k", "value": "w"},
            {"op": "remove", "path": "/metadata/labels/one"},
        ],
    )
    assert answer.ok().body["data"] == {"k": "w", "z": "1"}
    assert answer.metadata["labels"] == {"two": "2"}


async def test_a_json_patch_copies_and_moves(api: Api, path: str) -> None:
    answer = await api.json_patch(
        path,
        [
            {"op": "copy", "from": "/data/k", "path": "/data/c"},
            {"op": "move", "from": "/data/k", "path": "/data/m"},
        ],
    )
    assert answer.ok().body["data"] == {"c": "v", "m": "v"}


async def test_a_json_patch_escapes_slashes_in_keys(api: Api, path: str) -> None:
    patch = [{"op": "add", "path": "/metadata/labels/example.com~1a", "value": "b"}]
    answer = await api.json_patch(path, patch)
    assert answer.ok().metadata["labels"]["example.com/a"] == "b"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/k", "value": "other"},
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/none/deeper", "value": "x"},
    ],
)
async def test_a_json_patch_that_fails_changes_nothing(
    api: Api, path: str, operation: dict[str, str]
) -> None:
    before = await api.get(path)
    patch = [{"op": "add", "path": "/data/z", "value": "1"}, operation]
    answer = await api.json_patch(path, patch)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == REFUSED
    assert (await api.get(path)).body == before.body


@pytest.mark.parametrize("body", ["{", "{}", '[{"op": "dance", "path": "/data"}]'])
async def test_a_json_patch_must_be_one(api: Api, path: str, body: str) -> None:
    answer = await api.json_patch(path, body)
    assert answer.status in {400, 422}


async def test_a_merge_patch_deletes_with_null(api: Api, path: str) -> None:
    patch = {"metadata": {"labels": {"one": None, "three": "3"}}, "data": None}
    answer = await api.merge(path, patch)
    assert answer.ok().metadata["labels"] == {"two": "2", "three": "3"}
    assert "data" not in answer.body


async def test_a_merge_patch_replaces_lists(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    containers = [{"name": "side", "image": "side:1"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    answer = await api.merge(ns.deployments("d"), patch)
    found = answer.ok().body["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in found] == ["side"]


async def test_a_patch_may_carry_its_own_lock(api: Api, path: str) -> None:
    old = (await api.get(path)).version
    await api.merge(path, {"data": {"k": "w"}})
    answer = await api.merge(path, {"metadata": {"resourceVersion": old}, "data": {"k": "x"}})
    assert (answer.status, answer.reason) == (409, "Conflict")


async def test_a_patch_cannot_rename(api: Api, path: str) -> None:
    answer = await api.merge(path, {"metadata": {"name": "b"}})
    assert answer.status == 400
    assert answer.message == "the name of the object (b) does not match the name on the URL (a)"


async def test_a_patch_cannot_change_the_uid(api: Api, path: str) -> None:
    answer = await api.merge(path, {"metadata": {"uid": "11111111-1111-1111-1111-111111111111"}})
    assert answer.status == 409 or answer.fields == {"metadata.uid"}


async def test_a_patch_to_the_same_content_changes_nothing(api: Api, path: str) -> None:
    before = (await api.get(path)).version
    assert (await api.merge(path, {"data": {"k": "v"}})).version == before
    assert (await api.merge(path, {})).version == before


async def test_a_merge_patch_does_not_create(api: Api, ns: Space) -> None:
    assert (await api.merge(ns.leases("none"), {"spec": {}})).status == 404


async def test_an_unknown_patch_type_is_unsupported(api: Api, path: str) -> None:
    answer = await api.call("PATCH", path, {}, content_type="application/json")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


async def test_a_strategic_patch_finds_list_members_by_their_key(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    side = {"name": "side", "image": "side:1"}
    main = {"name": "main", "env": [{"name": "A", "value": "1"}]}
    for containers in ([side], [main]):
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        answer = await api.strategic(ns.deployments("d"), patch)
    found = answer.ok().body["spec"]["template"]["spec"]["containers"]
    by_name = {container["name"]: container for container in found}
    assert by_name.keys() == {"main", "side"}
    assert by_name["main"]["image"] == "model:1"
    assert by_name["main"]["env"] == [{"name": "A", "value": "1"}]


async def test_a_strategic_patch_deletes_a_list_member(api: Api, ns: Space) -> None:
    body = pod("p", tolerations=[])
    body["spec"]["containers"].append({"name": "side", "image": "side:1"})
    made = deployment("d")
    made["spec"]["template"]["spec"] = body["spec"]
    (await api.create(ns.deployments(), made)).ok()
    gone = {"name": "side", "$patch": "delete"}
    patch = {"spec": {"template": {"spec": {"containers": [gone]}}}}
    answer = await api.strategic(ns.deployments("d"), patch)
    found = answer.ok().body["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in found] == ["main"]


async def test_a_strategic_patch_replaces_a_map_when_told_to(api: Api, path: str) -> None:
    patch = {"metadata": {"labels": {"$patch": "replace", "three": "3"}}}
    answer = await api.strategic(path, patch)
    assert answer.ok().metadata["labels"] == {"three": "3"}


async def test_a_strategic_patch_retains_named_keys_only(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    plain = {"spec": {"strategy": {"type": "Recreate"}}}
    refused = await api.strategic(ns.deployments("d"), plain)
    retained = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    answer = await api.strategic(ns.deployments("d"), retained)
    assert refused.status == 422
    assert answer.ok().body["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_strategic_patch_edits_finalizers_as_a_set(api: Api, ns: Space) -> None:
    body = config_map("a", finalizers=["example.com/one"])
    (await api.create(ns.configmaps(), body)).ok()
    added = await api.strategic(
        ns.configmaps("a"), {"metadata": {"finalizers": ["example.com/two"]}}
    )
    removed = await api.strategic(
        ns.configmaps("a"),
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/one"]}},
    )
    assert set(added.ok().metadata["finalizers"]) == {"example.com/one", "example.com/two"}
    assert removed.ok().metadata["finalizers"] == ["example.com/two"]
    await api.merge(ns.configmaps("a"), {"metadata": {"finalizers": None}})


async def test_a_strategic_patch_knows_service_ports_by_number(api: Api, ns: Space) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    (await api.create(ns.services(), service("s", ports=ports))).ok()
    patch = {"spec": {"ports": [{"port": 81, "name": "c"}]}}
    answer = await api.strategic(ns.services("s"), patch)
    found = {port["port"]: port["name"] for port in answer.ok().body["spec"]["ports"]}
    assert found == {80: "a", 81: "c"}


async def test_a_strategic_patch_updates_conditions_by_type(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    for name in ("Ready", "Other"):
        patch = {"status": {"conditions": [{"type": name, "status": "True"}]}}
        answer = await api.strategic(ns.pods("p", "status"), patch)
    found = {c["type"] for c in answer.ok().body["status"]["conditions"]}
    assert found == {"Ready", "Other"}


async def test_a_custom_resource_takes_no_strategic_patch(
    api: Api, ns: Space, define: Defining
) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {"x": [1]}))).ok()
    refused = await api.call("PATCH", widgets.path("a"), {}, content_type=STRATEGIC_PATCH)
    merged = await api.merge(widgets.path("a"), {"spec": {"x": [2]}})
    patched = await api.json_patch(
        widgets.path("a"), [{"op": "add", "path": "/spec/x/-", "value": 3}]
    )
    assert (refused.status, refused.reason) == (415, "UnsupportedMediaType")
    assert merged.ok().body["spec"] == {"x": [2]}
    assert patched.ok().body["spec"] == {"x": [2, 3]}


async def test_a_patch_obeys_field_validation(api: Api, path: str) -> None:
    strict = await api.merge(path, {"dato": {}}, fieldValidation="Strict")
    warned = await api.merge(path, {"dato": {}}, fieldValidation="Warn")
    ignored = await api.merge(path, {"dato": {}}, fieldValidation="Ignore")
    assert (strict.status, warned.status, ignored.status) == (422, 200, 200)
    assert warned.warnings == ('unknown field "dato"',)
    assert ignored.warnings == ()


async def test_what_a_patch_makes_is_validated(api: Api, ns: Space) -> None:
    (await api.create(ns.leases(), lease("a"))).ok()
    answer = await api.merge(ns.leases("a"), {"spec": {"leaseDurationSeconds": -1}})
    assert answer.status == 422
    assert answer.fields == {"spec.leaseDurationSeconds"}
