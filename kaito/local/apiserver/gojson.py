"""Objects as JSON in the very order and spelling of the server, for messages that show them."""

from __future__ import annotations

import json
from typing import Any

from kaito.local.apiserver.schema import ANY, Node

ESCAPES = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)


def text(value: Any) -> str:
    """Compact JSON in the order of the value, with what HTML knows escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(ESCAPES)


def ordered(node: Node, value: Any) -> Any:
    """A value with its fields in the order of the Go struct and its maps sorted."""
    if isinstance(value, list):
        return [ordered(node.element or ANY, v) for v in value]
    if not isinstance(value, dict) or node.form == "any":
        return value
    if node.form != "struct":
        return {k: ordered(node.child(k), v) for k, v in sorted(value.items())}
    return {
        name: by_key(value[name]) if name == "fieldsV1" else ordered(known.node, value[name])
        for name, known in node.fields.items()
        if name in value
    }


def by_key(value: Any) -> Any:
    """A value with every map sorted."""
    if isinstance(value, dict):
        return {k: by_key(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [by_key(v) for v in value]
    return value
