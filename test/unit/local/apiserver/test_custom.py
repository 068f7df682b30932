"""Structural schemas: pruning, defaults, nulls, checks and rules."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.apiserver.cel.expressions import Uncompilable, compile_expression
from kaito.local.apiserver.custom import cleaning
from kaito.local.apiserver.custom.checking import Checker
from kaito.local.apiserver.custom.declared import declared, place
from kaito.local.apiserver.custom.shapes import VersionShape
from kaito.local.apiserver.custom.structural import Structural, build
from kaito.local.apiserver.schema import TypeTable

Object = dict[str, Any]
META = TypeTable().node("V1ObjectMeta")


def spec(**properties: Any) -> Structural:
    return build({"type": "object", "properties": properties})


def faults(schema: Structural, obj: Object, old: Object | None = None) -> list[str]:
    return [str(e) for e in Checker(schema).check(obj, old)]


def test_unknown_fields_go_unless_preserved() -> None:
    obj = {"a": 1, "b": {"x": 1}, "c": 2, "m": {"k": {"v": 1, "w": 1}}}
    schema = spec(
        a={"type": "integer"},
        b={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        m={
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer"}}},
        },
    )
    gone: list[str] = []
    cleaning.prune(obj, schema, gone=gone)
    assert obj == {"a": 1, "b": {"x": 1}, "m": {"k": {"v": 1}}}
    assert sorted(gone) == ["c", "m.k.w"]


def test_defaults_fill_only_where_the_parent_is() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer", "default": 7}}}
    schema = spec(p=inner, q={**inner, "default": {}})
    obj: Object = {}
    cleaning.default(obj, schema)
    assert obj == {"q": {"x": 7}}


def test_nulls_go_where_nothing_allows_them() -> None:
    obj = {"a": None, "b": None}
    schema = spec(a={"type": "string"}, b={"type": "string", "nullable": True})
    cleaning.settle_nulls(obj, schema)
    assert obj == {"b": None}


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        ({"type": "integer", "maximum": 3}, 4, "should be less than or equal to 3"),
        ({"type": "string", "enum": ["b", "a"]}, "c", 'supported values: "b", "a"'),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        ({"type": "string", "pattern": "^x"}, "abc", "should match '^x'"),
        ({"type": "string"}, 3, "must be of type string"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], "Too many"),
        ({"x-kubernetes-int-or-string": True}, 1.5, "must be of type integer,string"),
    ],
)
def test_a_wrong_value_is_named(schema: Object, value: Any, says: str) -> None:
    found = faults(spec(f=schema), {"f": value})
    assert len(found) == 1
    assert found[0].startswith("f: ")
    assert says in found[0]


def test_what_was_wrong_before_may_stay() -> None:
    schema = spec(f={"type": "integer", "maximum": 3}, g={"type": "integer"})
    assert faults(schema, {"f": 9, "g": 2}, {"f": 9, "g": 1}) == []


def shape(*rules: Object, **schema: Any) -> VersionShape:
    whole = {
        "type": "object",
        "properties": {"spec": {**schema, "x-kubernetes-validations": list(rules)}},
    }
    return VersionShape({"schema": {"openAPIV3Schema": whole}}, META)


NUMBERS: Object = {"type": "object", "properties": {"n": {"type": "integer"}}}


def test_a_rule_fails_with_its_message() -> None:
    found = shape({"rule": "self.n < 3", "message": "too big"}, **NUMBERS)
    assert found.validate({"spec": {"n": 1}}) == []
    assert [e.detail for e in found.validate({"spec": {"n": 5}})] == ["too big"]


def test_a_message_may_be_computed() -> None:
    rule = {"rule": "self.n < 3", "messageExpression": "'got ' + string(self.n)"}
    assert [e.detail for e in shape(rule, **NUMBERS).validate({"spec": {"n": 5}})] == ["got 5"]


def test_a_rule_over_the_past_holds_on_updates_alone() -> None:
    found = shape({"rule": "self.n >= oldSelf.n", "message": "shrinks"}, **NUMBERS)
    assert found.validate({"spec": {"n": 1}}) == []
    assert [e.detail for e in found.validate({"spec": {"n": 1}}, {"spec": {"n": 2}})] == ["shrinks"]


def test_rules_are_not_asked_of_what_the_schema_refuses() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1]}}}
    found = shape({"rule": "self.n < 3", "message": "too big"}, **schema).validate(
        {"spec": {"n": 5}}
    )
    assert [e.what for e in found] == ["Unsupported value", "Invalid value"]
    assert "some validation rules were not checked" in found[1].detail


@pytest.mark.parametrize("text", ["self.n +", "nope(self)", "self.missing == 1", "self.n == 'a'"])
def test_a_rule_that_does_not_compile_is_refused(text: str) -> None:
    found = declared(build(NUMBERS))
    assert found is not None
    with pytest.raises(Uncompilable):
        compile_expression(text, place(found))
