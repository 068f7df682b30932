"""Corners of writing custom resources and their definitions: paths, numbers, owners, branches."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.definitions import ANYTHING, Defining
from test.conformance.objects import DEFINITIONS, Object, Space

pytestmark = pytest.mark.apiserver

INTEGER: Object = {"type": "integer"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_collection_of_custom_resources_is_not_written_without_a_name(
    api: Api, define: Defining, method: str
) -> None:
    widgets = await define(ANYTHING)
    form = "application/json" if method == "PUT" else "application/merge-patch+json"
    answer = await api.call(method, widgets.path(), widgets.new("a", {}), content_type=form)
    assert (answer.status, answer.message) == (400, "name must be provided")


async def test_a_post_below_a_name_creates_what_the_body_names(api: Api, define: Defining) -> None:
    widgets = await define(ANYTHING)
    created = await api.create(widgets.path("other"), widgets.new("a", {}))
    assert (created.status, created.metadata["name"]) == (201, "a")


async def test_an_integer_that_fills_no_word_becomes_a_double(api: Api, define: Defining) -> None:
    widgets = await define(ANYTHING)
    spec = {"big": 12345678901234567890, "huge": 10**29 + 1, "small": -(1 << 63)}
    created = (await api.create(widgets.path(), widgets.new("a", spec))).ok()
    shown = {"big": 12345678901234567000, "huge": 1e29, "small": -(1 << 63)}
    assert created.body["spec"] == shown


async def test_a_status_write_owns_what_it_sends_beside_spec_and_metadata(
    api: Api, define: Defining
) -> None:
    part = {"type": "object", "properties": {"n": INTEGER}}
    schema = {"type": "object", "properties": {"spec": part, "other": part, "status": part}}
    widgets = await define(schema=schema, subresources={"status": {}})
    (await api.create(widgets.path(), widgets.new("a", {"n": 1}, other={"n": 1}))).ok()
    sent = {"spec": {"n": 2}, "other": {"n": 2}, "status": {"n": 2}}
    answer = (await api.merge(widgets.path("a", "status"), sent)).ok()
    assert (answer.body["spec"], answer.body["other"]) == ({"n": 1}, {"n": 1})
    owners = {m.get("subresource", ""): m["fieldsV1"] for m in answer.metadata["managedFields"]}
    assert owners[""] == {"f:other": {}, "f:spec": {".": {}, "f:n": {}}}
    assert owners["status"] == {"f:other": {"f:n": {}}, "f:status": {".": {}, "f:n": {}}}


@pytest.mark.parametrize(
    ("value", "tail"), [("b", ". None validated"), ("ab", ""), ("bb", "")], ids=str
)
async def test_branches_that_must_all_hold_are_told_of_once(
    api: Api, define: Defining, value: str, tail: str
) -> None:
    branches = [{"minLength": 2}, {"pattern": "^a$"}]
    inner = {"type": "string", "allOf": branches}
    widgets = await define({"type": "object", "properties": {"x": inner}})
    answer = await api.create(widgets.path(), widgets.new("a", {"x": value}))
    told = [c["message"] for c in answer.body["details"]["causes"] if c["field"] == "<nil>"]
    says = f'Invalid value: "": "spec.x" must validate all the schemas (allOf){tail}'
    assert (answer.status, told) == (422, [says])


@pytest.mark.parametrize(
    "unread",
    [
        {"$ref": "#/definitions/a"},
        {"definitions": {"a": {"type": "string"}}},
        {"dependencies": {"a": ["b"]}},
        {"patternProperties": {"a": {"type": "string"}}},
        {"id": "a"},
    ],
    ids=lambda unread: next(iter(unread)),
)
async def test_the_structure_of_an_unreadable_schema_is_not_judged(
    api: Api, define: Defining, unread: Object
) -> None:
    _, body = define.draft({"type": "object", "properties": {"x": unread, "y": {}}})
    answer = await api.create(DEFINITIONS, body, dryRun="All")
    assert answer.status == 422
    assert not any(field.endswith(".type") for field in answer.fields), answer.text


async def test_the_stored_versions_of_a_definition_are_never_empty(
    api: Api, define: Defining
) -> None:
    widgets = await define(ANYTHING)
    answer = await api.merge(f"{widgets.definition}/status", {"status": {"storedVersions": []}})
    assert answer.ok().body["status"]["storedVersions"] == ["v1"]


async def test_a_token_is_not_bound_to_an_object_without_a_kind(api: Api, ns: Space) -> None:
    path = ns.path("/api/v1", "serviceaccounts")
    (await api.create(path, {"metadata": {"name": "robot"}})).ok()
    answer = await api.create(f"{path}/robot/token", {"spec": {"boundObjectRef": {}}})
    assert answer.status == 400
    assert answer.message == "cannot bind token to object of type /, Kind="
