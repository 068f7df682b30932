"""What transformers takes for the fields that a configuration leaves out, by its model_type.

A config.json holds what differs from the defaults of its class alone, at the whim of who wrote it;
vLLM reads it through that class. A table alone (data/transformers.toml).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The defaults of one class; None where it has none."""

    context: int | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    vocabulary: int | None = None


@cache
def _read() -> tuple[str, Mapping[str, Defaults]]:
    text = resources.files("kaito.catalog").joinpath("data", "transformers.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return table["version"], {name: Defaults(**row) for name, row in table["models"].items()}


def version() -> str:
    """The release of transformers that the defaults are of."""
    return _read()[0]


def defaults(model_type: str | None) -> Defaults:
    """Those of the class that this model_type names; none where it names none that we know."""
    return _read()[1].get(model_type or "", Defaults())
