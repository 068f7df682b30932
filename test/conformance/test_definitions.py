"""Custom resource definitions: establishment, names, versions, scope, end."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import TABLE, Api
from test.conformance.definitions import ANYTHING, Defining
from test.conformance.objects import DEFINITIONS, Object

pytestmark = pytest.mark.apiserver

COUNT: Object = {"type": "object", "properties": {"n": {"type": "integer"}}}


def conditions(body: Any) -> dict[str, str]:
    return {c["type"]: c["status"] for c in body["status"].get("conditions") or []}


async def test_a_definition_is_established_and_served(api: Api, define: Defining) -> None:
    widgets = await define(COUNT)
    definition = (await api.get(widgets.definition)).body
    assert conditions(definition) == {"NamesAccepted": "True", "Established": "True"}
    assert definition["status"]["storedVersions"] == ["v1"]
    assert definition["status"]["acceptedNames"]["plural"] == "widgets"
    listing = await api.get(widgets.path())
    assert (listing.body["kind"], listing.body["items"]) == ("WidgetList", [])


async def test_list_kind_and_singular_are_filled_in(api: Api, define: Defining) -> None:
    widgets, body = define.draft(COUNT)
    del body["spec"]["names"]["singular"]
    created = (await api.create(DEFINITIONS, body, dryRun="All")).ok()
    assert created.body["spec"]["names"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert created.body["spec"]["conversion"] == {"strategy": "None"}
    assert widgets.group == created.body["spec"]["group"]


async def test_a_custom_resource_has_a_generation_from_the_start(
    api: Api, define: Defining
) -> None:
    widgets = await define(COUNT)
    answer = await api.create(widgets.path(), widgets.new("a", {"n": 1}))
    assert answer.status == 201
    assert answer.metadata["generation"] == 1
    assert answer.body["spec"] == {"n": 1}


async def test_the_name_of_a_definition_is_plural_and_group(api: Api, define: Defining) -> None:
    _, body = define.draft(COUNT)
    body["metadata"]["name"] = "other"
    answer = await api.create(DEFINITIONS, body, dryRun="All")
    assert answer.status == 422
    assert "metadata.name" in answer.fields


async def test_exactly_one_version_is_stored(api: Api, define: Defining) -> None:
    one: Object = {
        "name": "v1",
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": ANYTHING},
    }
    none = await define.try_out(versions=[one])
    both = await define.try_out(
        versions=[one | {"storage": True}, one | {"name": "v2", "storage": True}]
    )
    for answer in (none, both):
        assert answer.status == 422
        assert "spec.versions" in answer.fields
        assert "must have exactly one version marked as storage version" in answer.message


async def test_a_version_needs_a_schema(api: Api, define: Defining) -> None:
    version = {"name": "v1", "served": True, "storage": True}
    answer = await define.try_out(versions=[version])
    assert answer.status == 422
    assert "spec.versions[0].schema.openAPIV3Schema" in answer.fields


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({}, "type"),
        ({"type": "thing"}, "type"),
        ({"type": "array"}, "items"),
        ({"type": "object", "properties": {"a": {"type": "string", "$ref": "#/x"}}}, "$ref"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
    ],
)
async def test_a_schema_that_is_not_structural_is_refused(
    define: Defining, schema: Object, field: str
) -> None:
    spec = {"type": "object", "properties": {"x": schema}}
    answer = await define.try_out(spec)
    assert answer.status == 422
    assert any(field in found for found in answer.fields), answer.message


async def test_a_default_must_be_valid(define: Defining) -> None:
    spec = {"type": "object", "properties": {"n": {"type": "integer", "default": "one"}}}
    answer = await define.try_out(spec)
    assert answer.status == 422
    assert any(found.endswith("properties[spec].properties[n].default") for found in answer.fields)


async def test_two_versions_share_one_object(api: Api, define: Defining) -> None:
    def version(name: str, stored: bool) -> Object:
        schema = {"type": "object", "properties": {"spec": COUNT}}
        return {
            "name": name,
            "served": True,
            "storage": stored,
            "schema": {"openAPIV3Schema": schema},
        }

    widgets = await define(versions=[version("v1", True), version("v2", False)])
    (await api.create(widgets.path(version="v2"), widgets.new("a", {"n": 1}, version="v2"))).ok()
    old = await api.get(widgets.path("a"))
    new = await api.get(widgets.path("a", version="v2"))
    assert old.body["apiVersion"] == f"{widgets.group}/v1"
    assert new.body["apiVersion"] == f"{widgets.group}/v2"
    assert old.metadata["uid"] == new.metadata["uid"]


async def test_a_version_that_is_not_served_is_not_found(api: Api, define: Defining) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": COUNT}}}
    widgets = await define(
        versions=[
            {"name": "v1", "served": True, "storage": True, "schema": schema},
            {"name": "v2", "served": False, "storage": False, "schema": schema},
        ]
    )
    answer = await api.get(widgets.path(version="v2"))
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_a_deprecated_version_warns(api: Api, define: Defining) -> None:
    widgets = await define(COUNT, deprecated=True, deprecationWarning="use something else")
    answer = await api.get(widgets.path())
    assert answer.warnings == ("use something else",)


async def test_a_cluster_scoped_kind_has_no_namespace(api: Api, define: Defining) -> None:
    widgets = await define(COUNT, cluster=True)
    answer = await api.create(widgets.path(), widgets.new("a", {"n": 1}))
    assert answer.status == 201
    assert "namespace" not in answer.metadata
    path = f"/apis/{widgets.group}/v1/namespaces/{widgets.ns.name}/widgets"
    assert (await api.get(path)).status == 404


async def test_a_deleted_definition_takes_its_objects_with_it(api: Api, define: Defining) -> None:
    widgets = await define(COUNT)
    (await api.create(widgets.path(), widgets.new("a", {"n": 1}))).ok()
    (await api.delete(widgets.definition)).ok()
    await api.until(widgets.definition, lambda answer: answer.status == 404)
    gone = await api.until(widgets.path(), lambda answer: answer.status == 404)
    assert gone.text == "404 page not found\n"


async def test_a_changed_schema_counts(api: Api, define: Defining) -> None:
    widgets = await define(COUNT)
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"
    patch = [{"op": "replace", "path": path, "value": schema}]
    (await api.json_patch(widgets.definition, patch)).ok()

    await api.repeat(
        lambda: api.create(widgets.path(), widgets.new("a", {"n": 4}), dryRun="All"),
        lambda answer: answer.status == 422,
    )


async def test_printer_columns_make_the_table(api: Api, define: Defining) -> None:
    columns = [
        {"name": "N", "type": "integer", "jsonPath": ".spec.n"},
        {"name": "Wide", "type": "string", "jsonPath": ".metadata.name", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    widgets = await define(COUNT, additionalPrinterColumns=columns)
    (await api.create(widgets.path(), widgets.new("a", {"n": 5}))).ok()
    table = (await api.get(widgets.path(), accept=TABLE)).body
    found = [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]]
    assert found == [
        ("Name", "string", 0),
        ("N", "integer", 0),
        ("Wide", "string", 1),
        ("Age", "date", 0),
    ]
    assert table["rows"][0]["cells"][:3] == ["a", 5, "a"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_selectable_fields_make_field_selectors(api: Api, define: Defining) -> None:
    spec = {"type": "object", "properties": {"color": {"type": "string"}}}
    widgets = await define(spec, selectableFields=[{"jsonPath": ".spec.color"}])
    for name, color in (("a", "red"), ("b", "blue")):
        (await api.create(widgets.path(), widgets.new(name, {"color": color}))).ok()
    answer = await api.get(widgets.path(), fieldSelector="spec.color=red")
    refused = await api.get(widgets.path(), fieldSelector="spec.size=1")
    assert answer.names == ["a"]
    assert refused.status == 400


async def test_names_that_another_definition_has_are_not_accepted(
    api: Api, define: Defining
) -> None:
    widgets = await define(COUNT)
    _, body = define.draft(COUNT)
    body["metadata"]["name"] = f"gadgets.{widgets.group}"
    body["spec"]["group"] = widgets.group
    body["spec"]["names"] = {"plural": "gadgets", "singular": "gadget", "kind": "Widget"}
    (await api.create(DEFINITIONS, body)).ok()
    path = f"{DEFINITIONS}/gadgets.{widgets.group}"
    try:
        answer = await api.until(path, lambda found: "NamesAccepted" in conditions(found.body))
        assert conditions(answer.body) == {"NamesAccepted": "False", "Established": "False"}
    finally:
        await api.delete(path)


@pytest.mark.parametrize(
    ("version", "field", "message"),
    [
        (
            {"deprecationWarning": "old"},
            "versions[0].deprecationWarning",
            "for deprecated versions",
        ),
        ({"subresources": {"scale": {}}}, "subresources.scale.specReplicasPath", "Required value"),
        (
            {
                "subresources": {
                    "scale": {"specReplicasPath": "a", "statusReplicasPath": ".status.r"}
                }
            },
            "subresources.scale.specReplicasPath",
            "must be a simple json path starting with .",
        ),
        (
            {"additionalPrinterColumns": [{"name": "a", "type": "odd", "jsonPath": ".a"}]},
            "additionalPrinterColumns[0].type",
            "must be one of boolean,date,integer,number,string",
        ),
        (
            {"additionalPrinterColumns": [{"name": "a", "type": "string", "jsonPath": "a"}]},
            "additionalPrinterColumns[0].JSONPath",
            "must be a simple json path starting with .",
        ),
        (
            {"selectableFields": [{"jsonPath": ".spec"}]},
            "selectableFields[0].jsonPath",
            "must point to a field of type string, boolean or integer",
        ),
        (
            {"selectableFields": [{"jsonPath": ".spec.zz"}]},
            "selectableFields[0].jsonPath",
            "is an invalid path: does not refer to a valid field",
        ),
    ],
)
async def test_the_parts_of_a_version_are_checked(
    define: Defining, version: Object, field: str, message: str
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    answer = await define.try_out(schema, **version)
    assert answer.status == 422
    told = {c["field"]: c["message"] for c in answer.body["details"]["causes"]}
    assert message in told[f"spec.{field}"]


async def test_an_unknown_format_is_a_warning(define: Defining) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "odd"}}}
    assert (await define.try_out(schema)).warnings == ('unrecognized format "odd"',)
