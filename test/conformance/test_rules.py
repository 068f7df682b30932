"""Rules of custom resources in the Common Expression Language."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object

pytestmark = pytest.mark.apiserver

INTEGER = {"type": "integer"}
SHORT = {"type": "string", "maxLength": 20}


def ruled(rule: str, *, properties: Object | None = None, **rest: Any) -> Object:
    found = {"n": INTEGER, "m": INTEGER, "s": SHORT} if properties is None else properties
    return {
        "type": "object",
        "properties": found,
        "x-kubernetes-validations": [{"rule": rule, **rest}],
    }


async def test_a_failed_rule_tells_its_message(api: Api, define: Defining) -> None:
    widgets = await define(ruled("self.n < 3", message="n must stay small"))
    bad = await api.create(widgets.path(), widgets.new("a", {"n": 5}))
    good = await api.create(widgets.path(), widgets.new("a", {"n": 2}))
    assert good.status == 201
    assert (bad.status, bad.reason) == (422, "Invalid")
    assert bad.message == (
        f'Widget.{widgets.group} "a" is invalid: spec: Invalid value: n must stay small'
    )


async def test_a_rule_without_message_is_shown_itself(api: Api, define: Defining) -> None:
    widgets = await define(ruled("self.n < 3"))
    answer = await api.create(widgets.path(), widgets.new("a", {"n": 5}))
    assert answer.message.endswith("failed rule: self.n < 3")


async def test_a_message_can_be_an_expression(api: Api, define: Defining) -> None:
    rule = ruled("self.s == 'a'", message="plain", messageExpression="'not ' + self.s")
    widgets = await define(rule)
    answer = await api.create(widgets.path(), widgets.new("a", {"s": "b"}))
    assert answer.message.endswith("not b")


async def test_a_rule_can_point_at_a_field_and_name_a_reason(api: Api, define: Defining) -> None:
    rule = ruled("self.n < 3", message="no", fieldPath=".n", reason="FieldValueForbidden")
    widgets = await define(rule)
    answer = await api.create(widgets.path(), widgets.new("a", {"n": 5}))
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldValueForbidden", "message": "Forbidden: no", "field": "spec.n"}
    ]


async def test_a_transition_rule_looks_at_updates_alone(api: Api, define: Defining) -> None:
    widgets = await define(ruled("self.n >= oldSelf.n", message="n only grows"))
    (await api.create(widgets.path(), widgets.new("a", {"n": 5}))).ok()
    down = await api.merge(widgets.path("a"), {"spec": {"n": 4}})
    up = await api.merge(widgets.path("a"), {"spec": {"n": 6}})
    assert (down.status, up.status) == (422, 200)
    assert "n only grows" in down.message


async def test_a_field_can_be_made_immutable(api: Api, define: Defining) -> None:
    field = SHORT | {
        "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "s is fixed"}]
    }
    widgets = await define({"type": "object", "properties": {"s": field}})
    (await api.create(widgets.path(), widgets.new("a", {"s": "x"}))).ok()
    answer = await api.merge(widgets.path("a"), {"spec": {"s": "y"}})
    removed = await api.merge(widgets.path("a"), {"spec": {"s": None}})
    assert answer.status == 422
    assert answer.fields == {"spec.s"}
    assert removed.status == 200


async def test_an_old_self_that_is_optional_lets_a_rule_look_at_creation(
    api: Api, define: Defining
) -> None:
    rule = ruled(
        "oldSelf.hasValue() || self.n == 0", message="n starts at zero", optionalOldSelf=True
    )
    widgets = await define(rule)
    refused = await api.create(widgets.path(), widgets.new("a", {"n": 5}))
    (await api.create(widgets.path(), widgets.new("a", {"n": 0}))).ok()
    moved = await api.merge(widgets.path("a"), {"spec": {"n": 5}})
    assert (refused.status, moved.status) == (422, 200)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("has(self.n) != has(self.m)", {"n": 1}, {"n": 1, "m": 1}),
        ("self.s.matches('^[a-z]+$')", {"s": "ab"}, {"s": "A"}),
        ("self.s.startsWith('a') && size(self.s) > 1", {"s": "ab"}, {"s": "a"}),
        ("self.s in ['x', 'y']", {"s": "x"}, {"s": "z"}),
        ("!has(self.n) || self.n % 2 == 0", {"n": 4}, {"n": 3}),
        ("has(self.n) ? self.n > 0 : true", {}, {"n": 0}),
        ("quantity(self.s).isGreaterThan(quantity('1Gi'))", {"s": "2Gi"}, {"s": "500Mi"}),
        ("isURL(self.s)", {"s": "https://a"}, {"s": "a b"}),
        ("self.s.split(',').size() == 2", {"s": "a,b"}, {"s": "a"}),
        ("duration(self.s) <= duration('1h')", {"s": "10m"}, {"s": "2h"}),
        ("[self.n, self.m].max() < 5", {"n": 1, "m": 2}, {"n": 1, "m": 9}),
        ("self.s.lowerAscii() == 'ab'", {"s": "AB"}, {"s": "AC"}),
    ],
)
async def test_a_rule_accepts_and_refuses(
    api: Api, define: Defining, rule: str, good: Object, bad: Object
) -> None:
    widgets = await define(ruled(rule))
    accepted = await api.create(widgets.path(), widgets.new("a", good))
    refused = await api.create(widgets.path(), widgets.new("b", bad))
    assert (accepted.status, refused.status) == (201, 422), accepted.text + refused.text


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("self.l.all(x, x > 0)", [1, 2], [1, 0]),
        ("self.l.exists(x, x == 7)", [1, 7], [1]),
        ("self.l.exists_one(x, x == 7)", [7], [7, 7]),
        ("self.l.map(x, x * 2).sum() < 10", [1, 2], [4, 4]),
        ("self.l.filter(x, x > 5).size() <= 1", [1, 9], [8, 9]),
        ("self.l.isSorted()", [1, 2], [2, 1]),
    ],
)
async def test_a_rule_reads_lists(
    api: Api, define: Defining, rule: str, good: list[int], bad: list[int]
) -> None:
    properties = {"l": {"type": "array", "items": INTEGER, "maxItems": 10}}
    widgets = await define(ruled(rule, properties=properties))
    accepted = await api.create(widgets.path(), widgets.new("a", {"l": good}))
    refused = await api.create(widgets.path(), widgets.new("b", {"l": bad}))
    assert (accepted.status, refused.status) == (201, 422), accepted.text + refused.text


async def test_a_rule_that_cannot_be_evaluated_fails(api: Api, define: Defining) -> None:
    widgets = await define(ruled("self.n / self.m > 0"))
    answer = await api.create(widgets.path(), widgets.new("a", {"n": 1, "m": 0}))
    assert answer.status == 422
    assert "division by zero" in answer.message


@pytest.mark.parametrize(
    "rule",
    ["self.none == 1", "self.n +", "self.n == 'a'", "self.n", "unknown(self.n)"],
)
async def test_a_rule_that_does_not_compile_is_refused_with_its_definition(
    define: Defining, rule: str
) -> None:
    answer = await define.try_out(ruled(rule))
    assert answer.status == 422
    assert any(field.endswith("x-kubernetes-validations[0].rule") for field in answer.fields)


async def test_a_rule_that_may_cost_too_much_is_refused(define: Defining) -> None:
    properties = {"l": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}}
    rule = "self.l.all(x, x.all(y, x.all(z, y == z)))"
    answer = await define.try_out(ruled(rule, properties=properties))
    assert answer.status == 422
    assert "estimated rule cost exceeds budget" in answer.message


async def test_a_root_rule_sees_the_name(api: Api, define: Defining) -> None:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object"}},
        "x-kubernetes-validations": [
            {"rule": "self.metadata.name.startsWith('ok')", "message": "bad name"}
        ],
    }
    widgets = await define(schema=schema)
    refused = await api.create(widgets.path(), widgets.new("a", {}))
    accepted = await api.create(widgets.path(), widgets.new("ok", {}))
    assert (refused.status, accepted.status) == (422, 201)
    assert "bad name" in refused.message


async def test_an_untouched_part_that_breaks_a_rule_is_a_warning(
    api: Api, define: Defining
) -> None:
    part = {"type": "object", "properties": {"x": INTEGER}}
    widgets = await define({"type": "object", "properties": {"part": part, "y": INTEGER}})
    (await api.create(widgets.path(), widgets.new("a", {"part": {"x": 5}}))).ok()
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/part/"
    rules = [{"rule": "self.x < 3", "message": "x under 3"}]
    patch = [{"op": "add", "path": f"{path}x-kubernetes-validations", "value": rules}]
    (await api.json_patch(widgets.definition, patch)).ok()
    probe = widgets.new("probe", {"part": {"x": 5}})
    await api.repeat(
        lambda: api.create(widgets.path(), probe, dryRun="All"),
        lambda answer: answer.status == 422,
    )
    untouched = await api.merge(widgets.path("a"), {"spec": {"y": 1}})
    touched = await api.merge(widgets.path("a"), {"spec": {"part": {"x": 6}}})
    assert untouched.status == 200
    assert touched.status == 422
