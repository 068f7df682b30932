"""Small checks that many parts of a pod share: names, ranges, choices, paths, selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.values import labels
from kaito.local.apiserver.fields import FieldError, denied, listed, required, wrong

Object = dict[str, Any]
Rule = Callable[[str], list[str]]
NOT_NEGATIVE = "must be greater than or equal to 0"
MODE_SAYS = "must be a number between 0 and 0777 (octal), both inclusive"
MAX_ID = 2**31 - 1  # of users and groups
VARIABLE_SAYS = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
PORT_NAME_LIMIT = 15


def by(rule: Rule, value: str, path: str) -> list[FieldError]:
    """What a naming rule says of a value."""
    return [wrong(path, value, fault) for fault in rule(value)]


def prefixed(errors: Iterable[FieldError], path: str) -> list[FieldError]:
    """Faults whose fields are meant below a path."""
    return [replace(e, field=path + e.field) for e in errors]


def needed(rule: Rule, value: str, path: str) -> list[FieldError]:
    """A value that must be there and obey a naming rule."""
    return by(rule, value, path) if value else [required(path)]


def missing_parts(value: Object, parts: Iterable[str], path: str) -> list[FieldError]:
    """Parts of a struct that must not be empty."""
    return [required(f"{path}.{part}") for part in parts if not value.get(part)]


def not_negative(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and value < 0:
        return [wrong(path, value, NOT_NEGATIVE)]
    return []


def between(value: int | None, low: int, high: int, path: str) -> list[FieldError]:
    if value is None or low <= value <= high:
        return []
    return [wrong(path, value, f"must be between {low} and {high}, inclusive")]


def owner_id(value: int | None, path: str) -> list[FieldError]:
    """A number of a user or a group."""
    return between(value, 0, MAX_ID, path)


def chosen(value: Any, allowed: Iterable[str], path: str) -> list[FieldError]:
    """An optional value out of a list."""
    return [] if value is None or value in allowed else [listed(path, value, allowed)]


def needs_choice(value: str, allowed: Iterable[str], path: str) -> list[FieldError]:
    """A value out of a list that must be there."""
    return chosen(value, allowed, path) if value else [required(path)]


def file_mode(value: int | None, path: str) -> list[FieldError]:
    if value is None or 0 <= value <= 0o777:
        return []
    return [wrong(path, value, MODE_SAYS)]


def no_backsteps(target: str, path: str) -> list[FieldError]:
    if ".." in target.split("/"):
        return [wrong(path, target, "must not contain '..'")]
    return []


def descending(target: str, path: str) -> list[FieldError]:
    """A relative path that never goes up."""
    errors = [wrong(path, target, "must be a relative path")] if target.startswith("/") else []
    return errors + no_backsteps(target, path)


def unreserved(target: str, path: str) -> list[FieldError]:
    """A relative path below a directory whose dot-dot names belong to the node."""
    errors = descending(target, path)
    if target.startswith("..") and not target.startswith("../"):
        errors.append(wrong(path, target, "must not start with '..'"))
    return errors


def dots(text: str) -> list[str]:
    if text in {".", ".."}:
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def config_key(text: str) -> list[str]:
    """Faults of a key of a ConfigMap or Secret."""
    faults = [] if len(text) <= names.MAX_SUBDOMAIN else [names.too_long(names.MAX_SUBDOMAIN)]
    if not CONFIG_KEY.fullmatch(text):
        faults.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
            "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
            "'[-._a-zA-Z0-9]+')"
        )
    return faults + dots(text)


def variable(text: str) -> list[str]:
    """Faults of the name of an environment variable."""
    if not text:
        return ["environment variable name must be non-empty"]
    if text.isascii() and text.isprintable() and "=" not in text:
        return []
    return [VARIABLE_SAYS]


def port_name(text: str) -> list[str]:
    faults = [names.too_long(PORT_NAME_LIMIT)] if len(text) > PORT_NAME_LIMIT else []
    if not re.fullmatch(r"[-a-z0-9]+", text):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        faults.append("must contain at least one letter (a-z)")
    if "--" in text:
        faults.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        faults.append("must not begin or end with a hyphen")
    return faults


def port_number(value: int, path: str) -> list[FieldError]:
    return between(value, 1, 65535, path)


def port(value: int | str, path: str) -> list[FieldError]:
    """A port by number or by name."""
    return port_number(value, path) if isinstance(value, int) else by(port_name, value, path)


def values_fit(rule: Object, path: str) -> list[FieldError]:
    """Whether the values of a requirement are there exactly where its operator wants some."""
    operator, values = rule.get("operator", ""), rule.get("values") or []
    if operator in {"In", "NotIn"} and not values:
        return [required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in {"Exists", "DoesNotExist"} and values:
        return [
            denied(
                f"{path}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        ]
    return []


def label_selector(selector: Object | None, path: str) -> list[FieldError]:
    """Faults of a LabelSelector; an absent one has none."""
    if selector is None:
        return []
    errors = labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for i, rule in enumerate(selector.get("matchExpressions") or ()):
        where, operator = f"{path}.matchExpressions[{i}]", rule.get("operator", "")
        errors += values_fit(rule, where)
        if operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            errors.append(wrong(f"{where}.operator", operator, "not a valid selector operator"))
        errors += by(names.qualified, rule.get("key", ""), f"{where}.key")
        for j, value in enumerate(rule.get("values") or ()):
            errors += by(names.label_value, value, f"{where}.values[{j}]")
    return errors
