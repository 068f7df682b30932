"""What the trainer's settings are called, and which it refuses.

A table alone (data/trainer_settings.toml, made from the trainer's own); of what type a value must
be the trainer says.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

NEAR = 0.5  # of difflib, as the trainer has it: what is less alike is no slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of training_config.yaml."""

    settings: tuple[str, ...]
    refused: Mapping[str, str]
    """Why a setting of a library must not be said; "*" ends a beginning."""

    def refusal(self, name: str) -> str:
        """Why this setting must not be said, "" where it may be, or is none."""
        for known, why in self.refused.items():
            if name == known or (known.endswith("*") and name.startswith(known[:-1])):
                return why
        return ""

    def nearest(self, name: str) -> str:
        """The setting that is spelt most like this name, "" where none is."""
        found = difflib.get_close_matches(name, self.settings, n=1, cutoff=NEAR)
        return found[0] if found else ""


@cache
def trainer_settings() -> Mapping[str, Section]:
    """The sections by their names; the packaged table, read once."""
    data = resources.files("kaito.catalog").joinpath("data", "trainer_settings.toml")
    table = tomllib.loads(data.read_text("utf-8"))
    return MappingProxyType(
        {
            name: Section(
                settings=tuple(each["settings"]), refused=MappingProxyType(each["refused"])
            )
            for name, each in table.items()
        }
    )
