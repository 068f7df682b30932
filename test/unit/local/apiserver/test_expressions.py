"""Expressions of rules: what they give, how they fail, what they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.apiserver.cel.expressions import Uncompilable, compile_expression
from kaito.local.apiserver.cel.values import CelError, TooCostly
from kaito.local.apiserver.custom.declared import declared, place, to_cel
from kaito.local.apiserver.custom.structural import build

TEXT = {"type": "string", "maxLength": 40}
NUMBERS = {"type": "array", "maxItems": 10, "items": {"type": "integer"}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "s": TEXT,
        "n": {"type": "integer"},
        "d": {"type": "number"},
        "b": {"type": "boolean"},
        "absent": TEXT,
        "texts": {"type": "array", "maxItems": 5, "items": TEXT},
        "numbers": NUMBERS,
        "endless": {"type": "array", "items": {"type": "string"}},
        "named": {"type": "object", "maxProperties": 5, "additionalProperties": TEXT},
        "o": {"type": "object", "properties": {"x": {"type": "integer"}}},
        "at": {"type": "string", "format": "date-time"},
        "span": {"type": "string", "format": "duration"},
        "data": {"type": "string", "format": "byte"},
        "either": {"x-kubernetes-int-or-string": True},
        "a-b": {"type": "integer"},
        "if": {"type": "integer"},
        "set": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": TEXT},
    },
}
VALUE = {
    "s": "hello world",
    "n": 7,
    "d": 2.5,
    "b": True,
    "texts": ["b", "a", "c", "a"],
    "numbers": [3, 1, 2],
    "named": {"a": "1", "b": "2"},
    "o": {"x": 5},
    "at": "2024-02-03T04:05:06Z",
    "span": "1h30m",
    "data": "aGVsbG8=",
    "either": "50%",
    "a-b": 1,
    "if": 8,
    "set": ["p", "q"],
}
SHAPE = build(SCHEMA)


def compiled(text: str) -> Any:
    found = declared(SHAPE)
    assert found is not None
    return compile_expression(text, place(found))


def evaluated(text: str) -> Any:
    return compiled(text).evaluate({"self": to_cel(VALUE, SHAPE)})[0]


@pytest.mark.parametrize(
    "text",
    """
    self.s.substring(6) == 'world' && self.s.indexOf('o', 5) == 7
    self.s.replace('l', 'L', 1) == 'heLlo world' && self.s.split(' ', 1) == [self.s]
    'abc'.replace('', '-') == '-a-b-c-' && 'abc'.lastIndexOf('') == 3
    '%s-%d %.2f'.format([self.s, self.n, self.d]) == 'hello world-7 2.50'
    '%s'.format([{'a': 1, 'b': [true]}]) == '{"a":1, "b":[true]}'
    self.s.find('[a-z]+') == 'hello' && self.s.findAll('[a-z]+', 1) == ['hello']
    self.s.matches('(?i)HELLO') && self.s.matches('[[:alpha:]]+')
    -self.n / 2 == -3 && -self.n % 2 == -1 && 7 % -3 == 1
    self.n < 7.5 && self.n <= 7u
    string(1e20) == '1e+20' && string(1234567.0) == '1.234567e+06' && string(0.1) == '0.1'
    int('-5') == -5 && double('2.5') == self.d && uint(3.9) == 3u && bool('t')
    self.absent == 'x' || true
    self.texts.exists(x, x == 'a') && !self.texts.exists_one(x, x == 'a')
    self.texts.transformList(i, v, i > 1, v) == ['c', 'a']
    self.named.transformMap(k, v, v + k) == {'a': '1a', 'b': '2b'}
    self.numbers.sortBy(e, -e) == [3, 2, 1] && self.numbers.sum() == 6
    self.texts.distinct() == ['b', 'a', 'c'] && [[1], [2, 3]].flatten() == [1, 2, 3]
    self.numbers.first().value() == 3 && self.numbers.slice(0, 2) == [3, 1]
    self.?absent.orValue('d') == 'd' && self.texts[?0].value() == 'b' && !self.texts[?9].hasValue()
    self.?o.optMap(x, x.x + 1).orValue(0) == 6 && [?self.?absent, 'a'] == ['a']
    self.at.getFullYear() == 2024 && self.at.getHours('-05:00') == 23
    self.at - timestamp('2024-02-03T03:05:06Z') == duration('1h') && self.span.getMinutes() == 90
    string(self.span) == '5400s' && string(self.at) == '2024-02-03T04:05:06Z'
    self.data == b'hello' && string(self.data) == 'hello'
    self.either == '50%' && type(self.either) == string && self.either != 5
    self.a__dash__b == 1 && self.__if__ == 8 && self.if == 8
    self.set == ['q', 'p'] && self.set + ['q'] == ['p', 'q']
    url('https://u:p@h.com:80/p a?x=1&x=2').getQuery() == {'x': ['1', '2']}
    ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.1.1')
    quantity('1Gi').isGreaterThan(quantity('500Mi')) && quantity('1k') == quantity('1000')
    semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && isSemver('v1.2', true)
    format.dns1123Label().validate('A_b').hasValue() && !format.named('nope').hasValue()
    sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects(self.numbers, [3])
    dyn(1) == 1.0 && dyn(self.n) != 'x' && {1: 2}[1] == 2
    """.strip().splitlines(),
)
def test_an_expression_holds(text: str) -> None:
    assert evaluated(text) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("self.n / 0 == 1", "division by zero"),
        ("self.n % 0 == 1", "modulus by zero"),
        ("9223372036854775807 + self.n > 0", "integer overflow"),
        ("1u - 2u == 1u", "unsigned integer overflow"),
        ("self.absent == 'x'", "no such key: absent"),
        ("self.texts[10] == 'b'", "index out of bounds: 10"),
        ("self.s.charAt(40) == 'o'", "index out of range: 40"),
        ("self.s.substring(5, 2) == ''", "invalid substring range. start: 5, end: 2"),
        ("[].min() == 0", "min called on empty list"),
        ("int(self.s) == 7", "type conversion error from 'string' to 'int'"),
        ("self.either > 5", "no such overload"),
        ("self.?absent.value() == 'x'", "optional.none() dereference"),
        ("semver('1').patch() == 0", "No Major.Minor.Patch elements found"),
        (
            "ip('1.2.3').family() == 4",
            (
                'IP Address "1.2.3" parse error during conversion from string: ParseAddr("1.2.3"): '
                "IPv4 address too short"
            ),
        ),
        (
            "self.texts.transformMapEntry(i, v, {v: i}).size() == 3",
            "insert failed: key a already exists",
        ),
    ],
)
def test_an_evaluation_fails(text: str, message: str) -> None:
    with pytest.raises(CelError) as caught:
        evaluated(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("self.nope == 1", "ERROR: <input>:1:5: undefined field 'nope'"),
        ("self.n == 7.0", "1:8: found no matching overload for '_==_' applied to '(int, double)'"),
        ("self.b && self.n", "1:15: expected type 'bool' but found 'int'"),
        ("self.foo()", "1:9: undeclared reference to 'foo' (in container '')"),
        ("self.texts.all(x, x > 0)", "applied to '(string, int)'"),
        ("self.n.all(x, true)", "cannot be range of a comprehension (must be list, map, or"),
        ("has(self)", "1:5: invalid argument to has() macro"),
        ("[1, 'a'] == [1]", "1:5: expected type 'int' but found 'string'"),
        ("duration('1d') == self.span", "1:10: invalid duration argument"),
        ("self.s.matches('[')", "1:16: invalid matches argument"),
        ("self.n ==", "1:10: Syntax error: mismatched input '<EOF>' expecting {"),
        ("for == 1", "1:1: reserved identifier: for"),
        ("9223372036854775808 == 1", "1:1: invalid int literal"),
        ("int('x') == 7", "program instantiation failed: type conversion error from 'string'"),
        ("'%d'.format([self.s]) == 'x'", "decimal clause can only be used on integers"),
    ],
)
def test_an_expression_does_not_compile(text: str, message: str) -> None:
    with pytest.raises(Uncompilable) as caught:
        compiled(text)
    assert message in str(caught.value)


def test_a_fault_shows_its_place_in_the_text() -> None:
    with pytest.raises(Uncompilable) as caught:
        compiled("self.n == 1 &&\n  self.nope == 2")
    assert str(caught.value) == (
        "compilation failed: ERROR: <input>:2:7: undefined field 'nope'\n"
        " |   self.nope == 2\n"
        " | ......^"
    )


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("self.n == 7", 2),
        ("self.s.contains('ab')", 18),
        ("self.endless.size() < 3", 4),
        ("self.endless.map(x, x).size() > 0", 13_631_490),
    ],
)
def test_a_price_is_what_a_real_server_estimates(text: str, price: int) -> None:
    assert compiled(text).price == price


def test_an_evaluation_stops_at_its_limit() -> None:
    with pytest.raises(TooCostly):
        compiled("self.texts.all(x, x != '')").evaluate({"self": to_cel(VALUE, SHAPE)}, limit=3)
