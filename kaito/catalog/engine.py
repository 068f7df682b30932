"""What the engine runs: the architectures that vLLM knows, and the parsers it needs for each model.

Tables alone (data/engine.toml); how an engine is started is not known here.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

SUGGESTIONS = 3  # how many near misses are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsers:
    """Which parser reads a model's answers."""

    by_prefix: Mapping[str, str]
    """By the start of a model's name without its organisation, lower case."""
    by_architecture: Mapping[str, str]
    never: frozenset[str] = frozenset()
    """Names of models that have none, whatever the tables say."""

    def of(self, name: str, architecture: str | None) -> str | None:
        """The parser of this model: by the longest start of its name, else by architecture."""
        short = name.lower().rpartition("/")[2]
        if short in self.never:
            return None
        starts = [start for start in self.by_prefix if short.startswith(start)]
        if starts:
            return self.by_prefix[max(starts, key=len)]
        return self.by_architecture.get(architecture or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One release of vLLM."""

    version: str
    architectures: frozenset[str]
    """All that it knows."""
    pooling: frozenset[str]
    """Those of them that turn text into vectors, scores or labels, and write none."""
    drafts: frozenset[str]
    """Those of them that only guess ahead for another model."""
    tool: Parsers
    reasoning: Parsers
    chat_template: Parsers

    def architectures_like(self, name: str) -> list[str]:
        """Architectures of models that write text with names close to this one, the closest
        first."""
        writing = self.architectures - self.pooling - self.drafts
        return difflib.get_close_matches(name, sorted(writing), n=SUGGESTIONS)


@cache
def engine() -> Engine:
    """The release that KAITO starts; the packaged tables, read once."""
    text = resources.files("kaito.catalog").joinpath("data", "engine.toml").read_text("utf-8")
    tables = tomllib.loads(text)

    def parsers(kind: str) -> Parsers:
        table = tables[kind]
        return Parsers(
            by_prefix=MappingProxyType(table["prefix"]),
            by_architecture=MappingProxyType(table.get("architecture", {})),
            never=frozenset(table.get("never", ())),
        )

    return Engine(
        version=tables["vllm"],
        architectures=frozenset(tables["architectures"]),
        pooling=frozenset(tables["pooling"]),
        drafts=frozenset(tables["drafts"]),
        tool=parsers("tool"),
        reasoning=parsers("reasoning"),
        chat_template=parsers("chat_template"),
    )
