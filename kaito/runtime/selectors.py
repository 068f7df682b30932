"""Label and field selectors: whether an object can be among those that one selects.

For the fence alone: the server does the selecting. So a selector that is not understood here
selects everything, which costs a wait and never a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from kaito.runtime.resource import Key

LabelTest: TypeAlias = Callable[[Mapping[str, str]], bool]

_TERM = re.compile(
    r"""\s*(?:
        !\s*(?P<absent>[\w./-]+)
      | (?P<name>[\w./-]+)\s*(?:
            (?P<sign>==|=|!=|<|>)\s*(?P<value>[\w.-]*)
          | (?P<word>in|notin)\s*\((?P<values>[\w.,\s-]*)\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE | re.ASCII,
)


def label_test(selector: str) -> LabelTest:
    """Whether labels can satisfy `selector`, all of whose terms must hold."""
    tests: list[LabelTest] = []
    at = 0
    while at < len(selector):
        term = _TERM.match(selector, at)
        if term is None:
            return lambda labels: True
        tests.append(_test(**term.groupdict()))
        at = term.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(
    *,
    absent: str | None,
    name: str | None,
    sign: str | None,
    value: str | None,
    word: str | None,
    values: str | None,
) -> LabelTest:
    if absent is not None:
        return lambda labels: absent not in labels
    assert name is not None
    if sign in ("<", ">"):
        return lambda labels: name in labels  # of numbers, the server knows the rules
    if sign is None and word is None:
        return lambda labels: name in labels
    wanted = {each.strip() for each in (values or "").split(",")} if word else {value}
    if sign == "!=" or word == "notin":
        return lambda labels: labels.get(name) not in wanted
    return lambda labels: name in labels and labels[name] in wanted


def field_test(selector: str) -> Callable[[Key], bool]:
    """Whether an object of this key can satisfy a field selector: by its name and namespace."""
    terms = list(_field_terms(selector))
    return lambda key: all((getattr(key, name) == value) is wanted for name, value, wanted in terms)


def _field_terms(selector: str) -> Iterator[tuple[str, str, bool]]:
    for term in selector.split(","):
        field, sign, value = term.partition("!=" if "!=" in term else "=")
        name = field.strip().removeprefix("metadata.")
        if sign and name in ("name", "namespace") and name != field.strip():
            yield name, value.removeprefix("=").strip(), sign == "="
