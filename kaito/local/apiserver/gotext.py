"""Values as the server's own types print them.

A refusal that shows a whole struct shows the server's internal form of it: every field in the
order of its declaration, under its Go name, unset ones included. That form follows from the types
that clients see; data/internal.json holds the structs where it differs. A struct is written as
`Name=json:type ...`; a type is a scalar, `*` optional, `L` list, `M` map or a struct, a final `?`
a field that is left out when unset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from kaito.local.apiserver.fields import Raw
from kaito.local.apiserver.schema import Field, Node, TypeTable
from kaito.local.apiserver.typed import go_name

ZEROS: dict[str, Any] = {"s": "", "n": 0, "b": False, "q": "0", "i": 0, "t": None, "j": None}
SCALARS = {"i32": "n", "i64": "n", "f": "n", "ios": "i", "mt": "t", "B": "*s"}
HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
# Words at the start of a JSON name that Go writes in capitals.
CAPITALS = re.compile(
    r"(?:api|aws|ca|cel|cidr|csi|dns|fc|fs|gce|gid|gmsa|grpc|http|ip|iqn|iscsi|json|nfs|os|pd|qos"
    r"|rbd|se|ssl|tcp|tls|ttl|tty|uid|url)(?=[A-Z]|s?$)"
)


@cache
def _differing() -> dict[str, str]:
    text = resources.files("kaito.local.apiserver").joinpath("data/internal.json").read_bytes()
    found: dict[str, str] = json.loads(text)
    return found


@cache
def _nodes() -> dict[str, Node]:
    """Every known struct by its Go name and by the name of its model."""
    types = TypeTable()
    models = {model: types.node(model) for model in types}
    return {go_name(model): node for model, node in reversed(models.items())} | models


@cache
def _tokens(struct: str) -> tuple[str, ...]:
    node = _nodes().get(struct)
    found = _differing().get(go_name(struct))
    if found is not None or node is None:
        return tuple((found or "").split())
    headless = "metadata" in node.fields
    return tuple(
        _token(f, tagged=node.tagged)
        for f in node.fields.values()
        if not (headless and f.name in {"kind", "apiVersion"})
    )


def _token(field: Field, *, tagged: bool) -> str:
    if field.node.name == "V1ObjectMeta":
        return f"{field.name}:v"
    if tagged:
        return f"{field.name}={field.name}:{_code(field.node)}{'' if field.zero else '?'}"
    optional = "*" if is_pointer(field) else ""
    return f"{field_name(field)}={field.name}:{optional}{_code(field.node)}"


def field_name(field: Field) -> str:
    """A field's name in its Go struct."""
    start = CAPITALS.match(field.name)
    head = start[0] if start else field.name[0]
    return field.go_name or head.upper() + field.name[len(head) :]


def is_pointer(field: Field) -> bool:
    """Whether the Go field holds a pointer."""
    whole = field.node.form == "struct" or field.node.scalar in {"q", "ios"}
    return field.pointer or (whole and not field.zero)


def _code(node: Node) -> str:
    if node.element is not None:
        return node.form[0].upper() + _code(node.element)
    if node.form == "struct":
        return node.name
    return "j" if node.form == "any" else SCALARS.get(node.scalar, node.scalar)


def compact(struct: str, value: Any) -> Raw:
    """A struct, or a list of them where the name starts with `L`, on one line."""
    text = json.dumps(_convert(struct, value), separators=(",", ":"), ensure_ascii=False)
    return Raw(text.translate(HTML))


def pretty(struct: str, value: Mapping[str, Any]) -> list[str]:
    """A struct as lines, each indented by one blank a level."""
    text = json.dumps(_convert(struct, value), indent=1, ensure_ascii=False)
    return text.translate(HTML).split("\n")


def _convert(code: str, value: Any) -> Any:
    if code[0] == "*":
        return None if value is None else _convert(code[1:], value)
    if code[0] == "L" and code not in _nodes():
        return None if value is None else [_convert(code[1:], v) for v in value]
    if code[0] == "M" and code not in _nodes():
        found = value if value is None else sorted(value.items())
        return None if found is None else {k: _convert(code[1:], v) for k, v in found}
    if code in ZEROS:
        return ZEROS[code] if value is None else value
    return _struct(code, value or {})


def _struct(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for token in _tokens(name):
        field, _, code = token.partition(":")
        shown, _, given = field.partition("=")
        key = given or shown[0].lower() + shown[1:]
        if code == "v":  # object metadata, which prints as it came
            out.update(value.get(key) or {})
        elif code[-1] != "?":
            out[shown] = _convert(code, value.get(key))
        elif value.get(key):
            out[shown] = _convert(code[:-1], value[key])
    return out


def plain(struct: str, value: Mapping[str, Any]) -> str:
    """A struct of scalars as `{Name:value ...}`."""
    parts = _convert(struct, value).items()
    return "{" + " ".join(f"{name}:{found}" for name, found in parts) + "}"
