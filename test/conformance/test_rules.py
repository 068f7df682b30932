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


async def test_all_rules_are_asked_and_each_fails_in_its_own_words(
    api: Api, define: Defining
) -> None:
    rules = {
        "self.s.split(' ').map(x, x.size()) == [5, 5]": None,
        "self.texts.transformList(i, v, i > 0, v) == ['b']": None,
        "quantity('1k').compareTo(quantity('1000')) == 0": None,
        "cidr('10.0.0.0/8').containsIP('10.1.1.1')": None,
        "self.?absent.orValue('x') == 'x'": None,
        "self.either == '50%' && type(self.either) == string": None,
        "self.n / 0 == 1": "division by zero evaluating rule: {}",
        "self.absent == 'x'": "no such key: absent evaluating rule: {}",
        "self.texts[9] == 'b'": "index out of bounds: 9 evaluating rule: {}",
        "self.either > 5": "'no such overload': call arguments did not match a supported operator, "
        "function or macro signature for rule: {}",
        "self.n == 8": "failed rule: {}",
    }
    schema = {
        "type": "object",
        "properties": {
            "s": SHORT,
            "n": INTEGER,
            "absent": SHORT,
            "texts": {"type": "array", "maxItems": 5, "items": SHORT},
            "either": {"x-kubernetes-int-or-string": True},
        },
        "x-kubernetes-validations": [{"rule": rule} for rule in rules],
    }
    widgets = await define(schema)
    value = {"s": "hello world", "n": 7, "texts": ["a", "b"], "either": "50%"}
    answer = await api.create(widgets.path(), widgets.new("a", value))
    told = [cause["message"] for cause in answer.body["details"]["causes"]]
    wanted = [text.format(rule) for rule, text in rules.items() if text is not None]
    assert [t.removeprefix("Invalid value: ").removeprefix('"object": ') for t in told] == wanted


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("self.n == 7.0", "found no matching overload for '_==_' applied to '(int, double)'"),
        ("self.n && true", "expected type 'bool' but found 'int'"),
        ("self.s", "cel expression must evaluate to a bool"),
        ("has(self)", "invalid argument to has() macro"),
        ("[1, 'a'] == [1]", "expected type 'int' but found 'string'"),
        ("self.s.matches('[')", "invalid matches argument"),
        ("int('x') == 1", "program instantiation failed: type conversion error"),
        ("self.n ==", "Syntax error: mismatched input '<EOF>'"),
        ("cel.bind(x, self.n, x > 1)", "undeclared reference to 'cel'"),
        ("authorizer.path('/').check('get').allowed()", "undeclared reference to 'authorizer'"),
    ],
)
async def test_a_compiler_says_what_is_wrong(define: Defining, rule: str, message: str) -> None:
    answer = await define.try_out(ruled(rule))
    assert answer.status == 422
    assert message in answer.message


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"rule": " "}, "rule", "rule is not specified"),
        ({"rule": "true", "message": "a\nb"}, "message", "must not contain line breaks"),
        ({"rule": "true", "message": " "}, "message", "must be non-empty if specified"),
        ({"rule": "true", "reason": "Odd"}, "reason", 'Unsupported value: "Odd"'),
        ({"rule": "true", "fieldPath": ".zz"}, "fieldPath", "must be a valid path"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression", "must evaluate to a"),
        (
            {"rule": "true", "optionalOldSelf": True},
            "optionalOldSelf",
            "may not be set if oldSelf is not used in rule",
        ),
    ],
)
async def test_the_parts_of_a_rule_are_checked(
    define: Defining, rule: Object, field: str, message: str
) -> None:
    answer = await define.try_out(ruled(**rule))
    assert answer.status == 422
    (cause,) = answer.body["details"]["causes"]
    assert cause["field"].endswith(f"x-kubernetes-validations[0].{field}")
    assert message in cause["message"]


async def test_the_price_of_unbounded_values_is_told(define: Defining) -> None:
    endless = {"type": "array", "items": {"type": "string"}}
    rule = ruled("self.l.map(x, x).size() > 0", properties={"l": endless})
    answer = await define.try_out(rule)
    assert "estimated rule cost exceeds budget by factor of 1.363149x" in answer.message
