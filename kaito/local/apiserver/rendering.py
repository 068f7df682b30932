"""Answers as JSON or as YAML text, which has the quotes and the order of the server's own printer.

Reading YAML is another matter: see `yamltext`.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from kaito.local.apiserver.http import JSON, Response
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.yamltext import BOOLS, FLOATS, INTS

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TEXT = "tag:yaml.org,2002:str"
# Plain text that a reader would take for something else than text.
OTHERWISE = re.compile(
    r"~|null|Null|NULL|<<|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # a number of base 60
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?|"
)


def render(value: dict[str, Any], media: str, status: int = 200) -> Response:
    text = encode(value) if media == JSON else yaml_text(value)
    return Response(status, {"content-type": media}, text)


def yaml_text(value: object) -> bytes:
    printed = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)
    return printed.encode()


class _Dumper(_Base):  # type: ignore[misc]  # the fast dumper where it is built
    """Block style throughout, and no references between equal parts."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif any(p.fullmatch(value) for p in (OTHERWISE, BOOLS, INTS, FLOATS)):
        style = '"'
    return dumper.represent_scalar(TEXT, value, style=style)


def _map(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", sorted(value.items(), key=_place))


def _place(item: tuple[str, Any]) -> list[tuple[int, int, str]]:
    """Where a key belongs: signs before digits before letters, numbers by their value."""
    return [
        (1, int(part), part) if part.isdecimal() else (2 if part.isalpha() else 0, 0, part)
        for part in re.findall(r"[0-9]+|[^0-9]", item[0])
    ]


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _map)
