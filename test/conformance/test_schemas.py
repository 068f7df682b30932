"""What a schema does to custom resources: causes, pruning, defaults, nulls, ratcheting."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object

pytestmark = pytest.mark.apiserver

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def having(**properties: Object) -> Object:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (INTEGER, "x", 'spec.x in body must be of type integer: "string"'),
        (STRING, 5, 'spec.x in body must be of type string: "integer"'),
        ({"type": "boolean"}, "yes", 'spec.x in body must be of type boolean: "string"'),
        ({"type": "array", "items": STRING}, {}, 'must be of type array: "object"'),
        ({"type": "array", "items": STRING}, ["a", 5], "spec.x[1] in body must be of type string"),
        (INTEGER | {"minimum": 3}, 2, "spec.x in body should be greater than or equal to 3"),
        (INTEGER | {"maximum": 3}, 4, "spec.x in body should be less than or equal to 3"),
        (
            INTEGER | {"maximum": 3, "exclusiveMaximum": True},
            3,
            "spec.x in body should be less than 3",
        ),
        (INTEGER | {"multipleOf": 3}, 4, "spec.x in body should be a multiple of 3"),
        (STRING | {"maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        (STRING | {"minLength": 2}, "a", "spec.x in body should be at least 2 chars long"),
        (STRING | {"pattern": "^a+$"}, "b", "spec.x in body should match '^a+$'"),
        (STRING | {"enum": ["a", "b"]}, "c", 'Unsupported value: "c": supported values: "a", "b"'),
        (STRING | {"format": "date-time"}, "no", "spec.x in body must be of type date-time"),
        (
            {"type": "array", "items": STRING, "maxItems": 1},
            ["a", "b"],
            "Too many: 2: must have at most 1 item",
        ),
        (
            {"type": "array", "items": STRING, "minItems": 1},
            [],
            "spec.x in body should have at least 1 items",
        ),
        (
            {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            'spec.x[1]: Duplicate value: "a"',
        ),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"k": "v"},
            "spec.x.k in body must be of type integer",
        ),
        (having(y=STRING) | {"required": ["y"]}, {}, "spec.x.y: Required value"),
        (
            {"type": "object", "additionalProperties": STRING, "maxProperties": 1},
            {"a": "b", "c": "d"},
            "Too many: 2: must have at most 1 item",
        ),
    ],
)
async def test_a_value_that_breaks_the_schema_is_named(
    api: Api, define: Defining, schema: Object, value: object, message: str
) -> None:
    widgets = await define(having(x=schema))
    answer = await api.create(widgets.path(), widgets.new("a", {"x": value}))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(f'Widget.{widgets.group} "a" is invalid: ')
    assert message in answer.message
    assert answer.body["details"]["group"] == widgets.group
    assert answer.body["details"]["kind"] == "Widget"


async def test_every_violation_is_a_cause(api: Api, define: Defining) -> None:
    widgets = await define(having(a=INTEGER, b=STRING) | {"required": ["c"]})
    answer = await api.create(widgets.path(), widgets.new("a", {"a": "x", "b": 1}))
    assert answer.fields == {"spec.a", "spec.b", "spec.c"}
    assert {c["reason"] for c in answer.body["details"]["causes"]} == {
        "FieldValueTypeInvalid",
        "FieldValueRequired",
    }


async def test_unknown_fields_are_pruned_with_a_warning(api: Api, define: Defining) -> None:
    widgets = await define(having(x=having(y=STRING)))
    body = widgets.new("a", {"x": {"y": "1", "z": "2"}, "w": 1})
    answer = await api.create(widgets.path(), body)
    assert answer.status == 201
    assert answer.body["spec"] == {"x": {"y": "1"}}
    assert set(answer.warnings) == {'unknown field "spec.w"', 'unknown field "spec.x.z"'}


async def test_strict_validation_refuses_unknown_fields(api: Api, define: Defining) -> None:
    widgets = await define(having(x=STRING))
    body = widgets.new("a", {"w": 1})
    answer = await api.create(widgets.path(), body, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.endswith('strict decoding error: unknown field "spec.w"')


async def test_preserved_parts_keep_unknown_fields(api: Api, define: Defining) -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    widgets = await define(having(free=free))
    body = widgets.new("a", {"free": {"any": [1, {"thing": None}]}})
    answer = await api.create(widgets.path(), body)
    assert answer.body["spec"] == {"free": {"any": [1, {"thing": None}]}}
    assert answer.warnings == ()


async def test_defaults_are_filled_in_where_their_parent_exists(api: Api, define: Defining) -> None:
    inner = having(n=INTEGER | {"default": 5})
    widgets = await define(having(top=STRING | {"default": "t"}, inner=inner))
    without = await api.create(widgets.path(), widgets.new("a", {}))
    with_it = await api.create(widgets.path(), widgets.new("b", {"inner": {}}))
    nothing = await api.create(widgets.path(), widgets.new("c"))
    assert without.body["spec"] == {"top": "t"}
    assert with_it.body["spec"] == {"top": "t", "inner": {"n": 5}}
    assert "spec" not in nothing.body


async def test_defaults_reach_items_and_values(api: Api, define: Defining) -> None:
    part = having(n=INTEGER | {"default": 5})
    spec = having(
        list={"type": "array", "items": part},
        map={"type": "object", "additionalProperties": part},
    )
    widgets = await define(spec)
    body = widgets.new("a", {"list": [{}, {"n": 1}], "map": {"k": {}}})
    answer = await api.create(widgets.path(), body)
    assert answer.ok().body["spec"] == {"list": [{"n": 5}, {"n": 1}], "map": {"k": {"n": 5}}}


async def test_null_is_dropped_defaulted_or_kept(api: Api, define: Defining) -> None:
    spec = having(
        plain=STRING,
        default=STRING | {"default": "d"},
        nullable=STRING | {"nullable": True},
        both=STRING | {"nullable": True, "default": "d"},
    )
    widgets = await define(spec)
    body = widgets.new("a", dict.fromkeys(("plain", "default", "nullable", "both")))
    answer = await api.create(widgets.path(), body)
    assert answer.ok().body["spec"] == {"default": "d", "nullable": None, "both": None}


@pytest.mark.parametrize(("value", "status"), [(5, 201), ("5%", 201), (True, 422), (1.5, 422)])
async def test_int_or_string_takes_both(
    api: Api, define: Defining, value: object, status: int
) -> None:
    widgets = await define(having(x={"x-kubernetes-int-or-string": True}))
    answer = await api.create(widgets.path(), widgets.new("a", {"x": value}))
    assert answer.status == status


async def test_an_embedded_object_needs_its_kind(api: Api, define: Defining) -> None:
    embedded = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }
    widgets = await define(having(x=embedded))
    refused = await api.create(widgets.path(), widgets.new("a", {"x": {"spec": 1}}))
    inner = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "n", "odd": 1}, "spec": 1}
    taken = await api.create(widgets.path(), widgets.new("b", {"x": inner}))
    assert refused.fields >= {"spec.x.apiVersion", "spec.x.kind"}
    assert taken.ok().body["spec"]["x"]["metadata"] == {"name": "n"}


async def test_one_of_must_hold_once(api: Api, define: Defining) -> None:
    spec = having(a=STRING, b=STRING) | {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    widgets = await define(spec)
    none = await api.create(widgets.path(), widgets.new("a", {}))
    both = await api.create(widgets.path(), widgets.new("a", {"a": "1", "b": "2"}))
    one = await api.create(widgets.path(), widgets.new("a", {"a": "1"}))
    assert (none.status, both.status, one.status) == (422, 422, 201)
    assert "must validate one and only one schema (oneOf)" in none.message


async def test_old_values_that_are_not_touched_stay_valid(api: Api, define: Defining) -> None:
    widgets = await define(having(x=STRING, y=STRING))
    (await api.create(widgets.path(), widgets.new("a", {"x": "long enough"}))).ok()
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/x/maxLength"
    (await api.json_patch(widgets.definition, [{"op": "add", "path": path, "value": 3}])).ok()
    probe = widgets.new("probe", {"x": "long enough"})
    await api.repeat(
        lambda: api.create(widgets.path(), probe, dryRun="All"),
        lambda answer: answer.status == 422,
    )
    untouched = await api.merge(widgets.path("a"), {"spec": {"y": "1"}})
    touched = await api.merge(widgets.path("a"), {"spec": {"x": "another"}})
    assert untouched.status == 200
    assert touched.status == 422
    assert touched.fields == {"spec.x"}


async def test_a_body_must_name_its_kind_and_version(api: Api, define: Defining) -> None:
    widgets = await define()
    whole = widgets.new("a", {})
    for missing in ("kind", "apiVersion"):
        body = {key: value for key, value in whole.items() if key != missing}
        answer = await api.create(widgets.path(), body)
        assert (answer.status, answer.reason) == (400, "BadRequest")
    other = await api.create(widgets.path(), whole | {"apiVersion": f"{widgets.group}/v9"})
    assert other.status == 400
    assert "does not match the expected API version" in other.message


async def test_metadata_is_checked_like_that_of_built_in_kinds(api: Api, define: Defining) -> None:
    widgets = await define()
    labels = await api.create(
        widgets.path(), widgets.new("a", {}, metadata={"labels": {"a b": "c"}})
    )
    name = await api.create(widgets.path(), widgets.new("A", {}))
    assert labels.fields == {"metadata.labels"}
    assert name.fields == {"metadata.name"}


async def test_a_large_integer_survives(api: Api, define: Defining) -> None:
    widgets = await define(having(x={"type": "integer", "format": "int64"}))
    body = widgets.new("a", {"x": 9007199254740993})
    answer = await api.create(widgets.path(), body)
    assert b"9007199254740993" in answer.ok().raw


FORMATS = {
    "date": ("2024-01-01", "2024-13-01"),
    "duration": ("3 days", "x"),
    "uuid4": ("123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
    "ipv4": ("1.2.3.4", "1.2.3"),
    "ipv6": ("::1", "1.2.3.4"),
    "cidr": ("10.0.0.0/8", "10.0.0.0/33"),
    "uri": ("https://a.b", "a/b"),
    "email": ("a@b.c", "a"),
    "hostname": ("a-b", "a_b"),
    "byte": ("aGVsbG8=", "*"),
    "mac": ("01:23:45:67:89:ab", "01:23"),
    "hexcolor": ("#fff", "#ffff"),
    "isbn": ("0321751043", "123"),
    "k8s-short-name": ("a-b", "a.b"),
}


async def test_formats_are_checked(api: Api, define: Defining) -> None:
    widgets = await define(having(**{f: STRING | {"format": f} for f in FORMATS}))
    good = {name: value for name, (value, _) in FORMATS.items()}
    bad = {name: value for name, (_, value) in FORMATS.items()}
    assert (await api.create(widgets.path(), widgets.new("a", good), dryRun="All")).status == 201
    answer = await api.create(widgets.path(), widgets.new("a", bad))
    assert answer.fields == {f"spec.{name}" for name in FORMATS}
    assert 'spec.mac in body must be of type mac: "01:23"' in answer.message


async def test_a_value_of_the_wrong_type_is_still_compared(api: Api, define: Defining) -> None:
    schema = having(e=STRING | {"enum": ["a"]}, n=INTEGER | {"minimum": 1}, f=INTEGER)
    schema["properties"]["f"] = INTEGER | {"format": "int32"}
    widgets = await define(schema)
    answer = await api.create(widgets.path(), widgets.new("a", {"e": 1, "n": 0.25, "f": True}))
    told = sorted(cause["message"] for cause in answer.body["details"]["causes"])
    assert told == [
        'Invalid value: "": Checked value must be of type integer (default format) in spec.n',
        'Invalid value: "": spec.f in body must be of type int32: ""',
        'Invalid value: "integer": spec.e in body must be of type string: "integer"',
        'Invalid value: "number": spec.n in body must be of type integer: "number"',
        "Invalid value: 0.25: spec.n in body should be greater than or equal to 1",
        'Unsupported value: 1: supported values: "a"',
    ]


async def test_whole_numbers_see_what_is_whole_of_a_bound(api: Api, define: Defining) -> None:
    number = {"type": "number"}
    widgets = await define(having(low=number | {"minimum": 0.5}, part=number | {"multipleOf": 0.5}))
    passed = await api.create(widgets.path(), widgets.new("a", {"low": 0}), dryRun="All")
    refused = await api.create(widgets.path(), widgets.new("a", {"part": 3}))
    assert passed.status == 201
    assert "factor MultipleOf declared for spec.part must be positive: 0" in refused.message


async def test_an_embedded_object_has_metadata_of_its_own(api: Api, define: Defining) -> None:
    inner = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }
    widgets = await define(having(inner=inner))
    bad = {"apiVersion": "a/b/c", "kind": "1", "metadata": {"labels": {"a b": "c"}}}
    answer = await api.create(widgets.path(), widgets.new("a", {"inner": bad}))
    assert answer.fields == {
        "spec.inner.apiVersion",
        "spec.inner.kind",
        "spec.inner.metadata.labels",
    }
