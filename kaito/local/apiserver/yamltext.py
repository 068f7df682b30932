"""YAML 1.1 text as JSON values: the first document of it, as the server's own parser reads it.

Keys become strings, and maps come sorted, as the server turns them into JSON before it decodes.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import yaml

from kaito.local.apiserver.jsontext import TextError
from kaito.local.apiserver.scalars import LONGEST

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG = "tag:yaml.org,2002:"
DROPPED = {TAG + name for name in ("timestamp", "int", "float", "bool")}
# What the server's parser says otherwise than ours.
PROBLEMS = {
    "expected a mapping or list of mappings for merging": (
        "map merge requires map or sequence of maps as the value"
    ),
}


def parse_yaml(text: bytes) -> Any:
    """The value of the first document. Raises TextError."""
    loader = _Loader(text)
    try:
        node = loader.get_node() if loader.check_node() else None
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise TextError(_fault(error, text)) from error
    finally:
        loader.dispose()


def repeated_yaml_keys(text: bytes) -> list[str]:
    """Keys set twice in one map of a YAML text, each as the server reports it."""
    found: list[str] = []

    def shown(key: yaml.Node) -> str:
        value = loader.construct_object(key, deep=True)
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    def walk(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = shown(key)
                if name in seen:
                    found.append(f"line {key.start_mark.line + 1}: key {name} already set in map")
                seen.add(name)
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item)

    loader = _Loader(text)
    try:
        walk(loader.get_node() if loader.check_node() else None)
    except yaml.YAMLError:
        return []
    finally:
        loader.dispose()
    return found


def _fault(error: yaml.YAMLError, text: bytes) -> str:
    problem = getattr(error, "problem", None) or str(error)
    for known, said in PROBLEMS.items():
        if problem.startswith(known):
            return f"yaml: {said}"
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is not None and problem == "found undefined alias":
        line = text.decode(errors="replace").split("\n")[mark.line]
        name = re.match(r"\*?([\w-]*)", line[mark.column :])
        return f"yaml: unknown anchor '{name[1] if name else ''}' referenced"
    number = 0
    if mark is not None and mark.line:
        number = mark.line + isinstance(error, yaml.scanner.ScannerError)
    elif context is not None:
        number = context.line
    return f"yaml: line {number}: {problem}" if number else f"yaml: {problem}"


class _Loader(_Base):  # type: ignore[misc]  # the fast loader where it is built
    """YAML 1.1 with the scalars that the server's parser knows, and no points in time."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in DROPPED]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
BOOLS = re.compile(
    r"^(?:[yY]|yes|Yes|YES|[nN]|no|No|NO|[tT]rue|TRUE|[fF]alse|FALSE|[oO]n|ON|[oO]ff|OFF)$"
)
INTS = re.compile(r"^[-+]?(?:0b[01_]+|0o?[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)$")
FLOATS = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_Loader.add_implicit_resolver(TAG + "bool", BOOLS, list("yYnNtTfFoO"))
_Loader.add_implicit_resolver(TAG + "int", INTS, list("-+0123456789"))
_Loader.add_implicit_resolver(TAG + "float", FLOATS, list("-+0123456789."))


def _bool(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "true", "on"}


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    digits = text.lstrip("+-")
    octal = digits[:1] == "0" and digits[1:].isdigit()
    found = int(digits[:LONGEST], 8 if octal else 0)
    return -found if text[:1] == "-" else found


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    found = float(str(loader.construct_scalar(node)).replace("_", ""))
    return int(found) if found.is_integer() and abs(found) < 1e21 else found


def _binary(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return base64.b64decode(str(loader.construct_scalar(node))).decode(errors="replace")


_Loader.add_constructor(TAG + "bool", _bool)
_Loader.add_constructor(TAG + "int", _int)
_Loader.add_constructor(TAG + "float", _float)
_Loader.add_constructor(TAG + "binary", _binary)


def _map(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    found = {}
    for key_node, value_node in node.value:
        value = loader.construct_object(value_node, deep=True)
        found[_key(loader.construct_object(key_node, deep=True), value)] = value
    return dict(sorted(found.items()))


def _key(key: Any, value: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, dict | list):
        members = ", ".join(map(json.dumps, key))
        raise TextError(f"yaml: invalid map key: []interface {{}}{{{members}}}")
    if key is None:
        raise TextError(
            f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {json.dumps(value)}"
        )
    return str(key)


_Loader.add_constructor(TAG + "map", _map)
