"""What vLLM's server takes on its command line, and of which type each argument is.

Tables alone (data/vllm_arguments.toml, made from the release's source); what an argument does is
not known here.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "flag",
    "switch",
    "optional",
    "integer",
    "number",
    "text",
    "size",
    "length",
    "json",
    "list",
    "choice",
]
Value: TypeAlias = str | int | float | bool | None
"""One value of a YAML text; None where a name has none."""

NEAR = 0.6  # of difflib: what is less alike is no slip
SIZE = re.compile(r"[0-9]+[kKmMgGtT]?|[0-9]+\.[0-9]+[kmgt]")
INTEGER = re.compile(r"[-+]?[0-9]+")
# What a refused value should have been.
WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        "flag": "true or false",
        "switch": "true, or left out",
        "optional": "a text",
        "integer": "a whole number",
        "number": "a number",
        "size": "a whole number, which may end in k, m or g",
        "length": "a whole number, which may end in k, m or g, or auto",
        "json": "a JSON text",
        "text": "a text",
        "list": "a text",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument."""

    kind: Kind
    choices: tuple[str, ...] = ()
    """What may be said, where that is a closed list."""

    def takes(self, value: Value) -> bool:
        """Whether the engine's parser takes this value; whether it makes sense is another matter.

        What stands alone is said by true, and by no value at all.
        """
        try:
            text = str(value)
        except ValueError:
            return False  # a number of more digits than Python writes
        match self.kind:
            case "flag":
                return value is None or isinstance(value, bool)
            case "switch":
                return value is None or value is True
            case "optional":
                return value is not False
            case _ if value is None or isinstance(value, bool):
                return False
            case "integer":
                return INTEGER.fullmatch(text) is not None
            case "number":
                return _is_number(text)
            case "size":
                return SIZE.fullmatch(text) is not None
            case "length":
                return text.lower() in ("auto", "-1") or SIZE.fullmatch(text) is not None
            case "json":
                return _is_json(text)
            case "choice":
                return text in self.choices
            case _:
                return True

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        return f"one of {', '.join(self.choices)}" if self.choices else WORDS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """All arguments of one release."""

    version: str
    by_name: Mapping[str, Argument]
    """Names as on a command line, with '-' and without the two in front."""

    def find(self, name: str) -> Argument | None:
        """The argument of this name, spelt with '-' or '_'; None where there is none.

        The engine also takes --no-NAME of a flag, --NAME.KEY of a JSON text, and the beginning of
        a name that no other one begins with.
        """
        head, dot, _ = name.partition(".")
        spelt = head.replace("_", "-")
        found = self.by_name.get(spelt) or self._negated(spelt) or self._begun(spelt)
        if dot:
            return Argument(kind="text") if found and found.kind == "json" else None
        return found

    def nearest(self, name: str) -> str:
        """The name that is spelt most like this one, "" where none is."""
        spelt = name.partition(".")[0].replace("_", "-")
        found = difflib.get_close_matches(spelt, self.by_name, n=1, cutoff=NEAR)
        return found[0] if found else ""

    def _negated(self, spelt: str) -> Argument | None:
        positive = self.by_name.get(spelt.removeprefix("no-")) if spelt.startswith("no-") else None
        return Argument(kind="switch") if positive and positive.kind == "flag" else None

    def _begun(self, spelt: str) -> Argument | None:
        meant = [name for name in self.by_name if name.startswith(spelt)]
        return self.by_name[meant[0]] if len(meant) == 1 else None


@cache
def arguments() -> Arguments:
    """Those of the release that KAITO starts; the packaged table, read once."""
    data = resources.files("kaito.catalog").joinpath("data", "vllm_arguments.toml")
    table = tomllib.loads(data.read_text("utf-8"))
    found = {
        name: Argument(kind=each["kind"], choices=tuple(each.get("choices", ())))
        for name, each in table["arguments"].items()
    }
    return Arguments(version=table["vllm"], by_name=MappingProxyType(found))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
