"""The small print of the three patch types: leniencies, directives and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from test.conformance.client import STRATEGIC_PATCH, Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object, Space, config_map, deployment

pytestmark = pytest.mark.apiserver

REFUSED = "the server rejected our request due to an error in our request"


@pytest.fixture
async def path(api: Api, ns: Space) -> str:
    labels = {"one": "1", "two": "2"}
    body = config_map("a", {"k": "v", "html": "<b>"}, labels=labels, annotations={"x/y": "z"})
    (await api.create(ns.configmaps(), body)).ok()
    return ns.configmaps("a")


@pytest.fixture
async def workload(api: Api, ns: Space) -> str:
    body = deployment("d")
    env = [{"name": name, "value": "1"} for name in "ABC"]
    main = {"name": "main", "image": "model:1", "args": ["a"], "env": env}
    side = {"name": "side", "image": "side:1"}
    body["spec"]["template"]["spec"]["containers"] = [main, side]
    (await api.create(ns.deployments(), body)).ok()
    return ns.deployments("d")


def in_pod(**spec: Any) -> Object:
    return {"spec": {"template": {"spec": spec}}}


def pod_of(found: Object) -> Any:
    return found["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([{"op": "test", "path": "/data/none", "value": None}], {"k": "v"}),
        ([{"op": "test", "path": "/data/none"}], {"k": "v"}),
        ([{"op": "replace", "path": "/data/new", "value": "n"}], {"k": "v", "new": "n"}),
        ([{"op": "add", "path": "/data/z"}], {"k": "v", "z": ""}),
        ([{"op": "copy", "from": "/data/none", "path": "/data/z"}], {"k": "v", "z": ""}),
        ([{"op": "copy", "from": "/metadata/labels", "path": "/data"}], {"one": "1", "two": "2"}),
        ([{"op": "move", "from": "/data/k", "path": "/data/k"}], {"k": "v"}),
        ("null", {"k": "v"}),
    ],
)
async def test_a_json_patch_forgives_what_is_missing(
    api: Api, path: str, operations: object, data: Object
) -> None:
    await api.merge(path, {"data": {"html": None}})
    answer = await api.json_patch(path, operations)
    assert answer.ok().body["data"] == data


@pytest.mark.parametrize(
    ("at", "status"), [("-", 200), ("0", 200), ("-1", 200), ("01", 200), ("9", 422), ("x", 422)]
)
async def test_an_index_may_count_from_the_end(
    api: Api, workload: str, at: str, status: int
) -> None:
    where = f"/spec/template/spec/containers/0/args/{at}"
    answer = await api.json_patch(workload, [{"op": "add", "path": where, "value": "z"}])
    assert answer.status == status


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "", "value": {}},
        {"op": "remove", "path": ""},
        {"op": "move", "from": "/data/none", "path": "/data/z"},
        {"op": "test", "path": "/data/k", "value": 1},
        {"op": "test", "path": "/data/html", "value": "<b>"},
        {"op": "replace", "path": "", "value": 5},
        {"op": "ADD", "path": "/data/z", "value": "1"},
        {"path": "/data/z"},
        None,
    ],
)
async def test_an_operation_that_does_not_apply_is_refused_without_a_reason(
    api: Api, path: str, operation: object
) -> None:
    answer = await api.json_patch(path, [operation])
    assert (answer.status, answer.reason, answer.message) == (422, "Invalid", REFUSED)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{}", "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("[5]", "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        ('[{"op": 5}]', "Go struct field jsonPatchOp.op of type string"),
        ("[", "unexpected end of JSON input"),
    ],
)
async def test_a_json_patch_that_is_none_says_why(
    api: Api, path: str, body: str, says: str
) -> None:
    answer = await api.json_patch(path, body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.startswith("error decoding patch: ")
    assert answer.message.endswith(says)


async def test_a_malformed_patch_of_nothing_finds_nothing(api: Api, ns: Space) -> None:
    assert (await api.merge(ns.configmaps("none"), "{")).status == 404
    assert (await api.json_patch(ns.configmaps("none"), "{")).status == 404


async def test_strict_validation_looks_into_the_operations_of_a_patch(api: Api, path: str) -> None:
    body = '[{"op": "add", "op": "add", "path": "/data/z", "value": "1", "extra": 1}]'
    warned = await api.json_patch(path, body, dryRun="All")
    strict = await api.json_patch(path, body, fieldValidation="Strict")
    faults = ('json patch duplicate field "[0].op"', 'json patch unknown field "[0].extra"')
    assert warned.ok().warnings == faults
    assert strict.status == 422
    assert strict.message.endswith("strict decoding error: " + ", ".join(faults))


def printed(answer_body: Object) -> str:
    return str(answer_body["details"]["causes"][0]["message"])


async def test_a_merge_patch_that_does_not_decode_shows_the_whole_object(
    api: Api, path: str
) -> None:
    live = (await api.get(path)).body
    answer = await api.merge(path, {"metadata": {"labels": {"a": "1"}}, "binaryData": 5})
    assert (answer.status, answer.fields) == (422, {"patch"})
    assert answer.message.startswith(' "" is invalid: patch: Invalid value: "{')
    text = printed(answer.body).removeprefix("Invalid value: ")
    quoted, _, why = text.rpartition(": json: ")
    shown = json.loads(json.loads(quoted))
    assert why.endswith("Go struct field ConfigMap.binaryData of type map[string][]uint8")
    assert list(shown) == ["apiVersion", "binaryData", "data", "kind", "metadata"]
    assert list(shown["metadata"]) == sorted(live["metadata"])
    assert list(shown["metadata"]["labels"]) == ["a", "one", "two"]
    assert "\\\\u003cb\\\\u003e" in quoted


async def test_what_a_patch_leaves_alone_is_shown_in_the_order_of_the_struct(
    api: Api, workload: str
) -> None:
    answer = await api.merge(workload, {"spec": {"replicas": "x"}})
    quoted = printed(answer.body).removeprefix("Invalid value: ").rpartition(": json: ")[0]
    shown = json.loads(json.loads(quoted))
    names = list(shown["metadata"])
    assert names[:5] == ["name", "namespace", "uid", "resourceVersion", "generation"]
    main = pod_of(shown)["containers"][0]
    assert list(main)[:5] == ["name", "image", "args", "env", "resources"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "Nope"}, 'no kind "Nope" is registered for version "v1"'),
        ({"kind": "Secret", "data": {"k": "%"}}, "illegal base64 data at input byte 0"),
        ({"kind": "Pod"}, "converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
        ({"kind": 5}, "json: cannot unmarshal number into Go struct field .kind of type string"),
    ],
)
async def test_a_merge_patch_cannot_make_another_kind(
    api: Api, path: str, change: Object, says: str
) -> None:
    answer = await api.merge(path, change)
    assert (answer.status, answer.fields) == (422, {"patch"})
    assert says in answer.message


async def test_a_strategic_patch_cannot_rename_but_ignores_another_kind(
    api: Api, path: str
) -> None:
    answer = await api.strategic(path, {"kind": "Secret", "apiVersion": "v2", "data": {"z": "1"}})
    assert answer.ok().body["kind"] == "ConfigMap"
    assert answer.body["data"]["z"] == "1"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"replicas": "3"}, "unrecognized type: int32"),
        ({"replicas": 3.5}, "cannot convert float64 to int32"),
        ({"paused": 1}, "unrecognized type: bool"),
        ({"selector": {"matchLabels": {"a": 5}}}, "cannot convert int64 to string"),
        ({"strategy": 5}, "cannot restore struct from: int64"),
        ({"strategy": {"type": True}}, "unrecognized type: string"),
        ({"strategy": {"type": 5}}, "cannot convert int64 to v1.DeploymentStrategyType"),
    ],
)
async def test_a_strategic_patch_of_the_wrong_type_shows_the_patch(
    api: Api, workload: str, spec: Object, says: str
) -> None:
    answer = await api.strategic(workload, {"spec": spec})
    assert (answer.status, answer.fields) == (422, {"patch"})
    assert '"map[spec:map[' in answer.message
    assert answer.message.endswith(": " + says)


async def test_a_strategic_patch_takes_a_whole_number_in_any_writing(
    api: Api, workload: str
) -> None:
    answer = await api.strategic(workload, {"spec": {"replicas": 3.0}})
    assert answer.ok().body["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["side", "main"], ["side", "main"]),
        (["side"], ["main", "side"]),
        (["side", "new", "main"], ["side", "new", "main"]),
    ],
)
async def test_set_element_order_arranges_a_list(
    api: Api, workload: str, order: list[str], names: list[str]
) -> None:
    patch: Object = {"$setElementOrder/containers": [{"name": name} for name in order]}
    if "new" in order:
        patch["containers"] = [{"name": "new", "image": "new:1"}]
    found = pod_of((await api.strategic(workload, in_pod(**patch))).ok().body)
    assert [container["name"] for container in found["containers"]] == names


@pytest.mark.parametrize(
    ("containers", "says"),
    [
        ([{"image": "x"}], "map: map[image:x] does not contain declared merge key: name"),
        (
            [{"name": "main", "$patch": "merge"}],
            "merging lists cannot yet be specified in the patch",
        ),
        (
            [{"name": "main", "$patch": "x"}],
            "unknown patch type: x in map: map[$patch:x name:main]",
        ),
        (["x"], "list element types are not identical"),
    ],
)
async def test_a_strategic_patch_that_cannot_be_merged_is_an_error_of_the_server(
    api: Api, workload: str, containers: list[object], says: str
) -> None:
    answer = await api.strategic(workload, in_pod(containers=containers))
    assert (answer.status, answer.reason) == (500, "")
    assert says in answer.message


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"strategy": {"$retainKeys": "type"}}, 400),
        ({"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": {}}}, 400),
        ({"template": {"spec": {"containers": [[1]]}}}, 500),
        ({"template": {"spec": {"$setElementOrder/nope": []}}}, 500),
    ],
)
async def test_a_bad_directive_is_refused(
    api: Api, workload: str, spec: Object, status: int
) -> None:
    assert (await api.strategic(workload, {"spec": spec})).status == status


async def test_replaced_and_deleted_members_follow_their_directives(
    api: Api, workload: str
) -> None:
    env: list[Object] = [{"name": "B", "$patch": "delete"}, {"name": "D", "value": "4"}]
    kept = await api.strategic(workload, in_pod(containers=[{"name": "main", "env": env}]))
    names = [entry["name"] for entry in pod_of(kept.ok().body)["containers"][0]["env"]]
    assert names == ["D", "A", "C"]
    only: list[Object] = [{"$patch": "replace"}, {"name": "z", "image": "z:1"}]
    found = await api.strategic(workload, in_pod(containers=only))
    assert [c["name"] for c in pod_of(found.ok().body)["containers"]] == ["z"]


async def test_the_scale_takes_all_three_patch_types(api: Api, workload: str) -> None:
    path = f"{workload}/scale"
    merged = await api.merge(path, {"spec": {"replicas": 5}})
    strategic = await api.strategic(path, {"spec": {"replicas": 6}})
    operation = {"op": "replace", "path": "/spec/replicas", "value": 7}
    patched = await api.json_patch(path, [operation])
    assert [a.ok().body["spec"]["replicas"] for a in (merged, strategic, patched)] == [5, 6, 7]
    wrong = await api.merge(path, {"spec": {"replicas": "8"}})
    assert "Go struct field ScaleSpec.spec.replicas of type int32" in wrong.message
    unknown = await api.merge(path, {"spec": {"foo": 1}}, fieldValidation="Strict")
    assert unknown.message.endswith('strict decoding error: unknown field "spec.foo"')


async def test_a_patch_cannot_make_another_custom_kind(
    api: Api, ns: Space, define: Defining
) -> None:
    widgets = await define()
    (await api.create(widgets.path(), widgets.new("a", {}))).ok()
    renamed = await api.merge(widgets.path("a"), {"kind": "Nope"})
    assert (renamed.status, renamed.fields) == (422, {"kind"})
    assert renamed.message.endswith('kind: Invalid value: "Nope": must be Widget')
    gone = await api.merge(widgets.path("a"), {"kind": None})
    assert gone.fields == {"patch"}
    assert "Object 'Kind' is missing in" in gone.message
    scaled = await api.call("PATCH", widgets.path("a"), "[]", content_type=STRATEGIC_PATCH)
    assert scaled.status == 415
