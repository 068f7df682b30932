"""JSON and YAML text, and what the server says of their faults."""

from __future__ import annotations

import pytest

from kaito.local.apiserver import jsontext, yamltext


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a":}', "invalid character '}' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{} x", "invalid character 'x' after top-level value"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_server(text: bytes, says: str) -> None:
    with pytest.raises(jsontext.TextError) as failure:
        jsontext.parse_json(text)
    assert str(failure.value) == says


def test_an_integer_stays_an_integer() -> None:
    found = jsontext.parse_json(b'{"a": 1, "b": 1.0}')
    assert isinstance(found["a"], int)
    assert isinstance(found["b"], float)


def test_repeated_keys_are_found_with_their_paths() -> None:
    text = b'{"a":1,"b":{"c":1,"c":2},"l":[{"d":1,"d":1}],"a":2}'
    assert jsontext.may_repeat_keys(text, jsontext.parse_json(text))
    assert sorted(jsontext.repeated_keys(text)) == ["a", "b.c", "l[0].d"]


def test_yaml_reads_only_plain_data() -> None:
    assert yamltext.parse_yaml(b"a: yes\nb: 012\nc: 2020-01-01\n") is not None
    with pytest.raises(jsontext.TextError):
        yamltext.parse_yaml(b"a: !!python/object/apply:os.system [ls]\n")
    with pytest.raises(jsontext.TextError):
        yamltext.parse_yaml(b"a: [1\n")
