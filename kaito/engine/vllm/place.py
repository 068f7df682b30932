"""Which part a Pod takes when several serve one model together. Pure.

The manager says it in variables (docs/workspace.md): the first Pod of the StatefulSet leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kaito.engine.vllm.asked import Unusable

INDEX, NODES, LEADER, PORT = "POD_INDEX", "KAITO_NODES", "KAITO_RAY_LEADER", "KAITO_RAY_PORT"


@dataclass(frozen=True, slots=True)
class Alone:
    """The model is served by this Pod."""


@dataclass(frozen=True, slots=True)
class Leads:
    """Starts Ray, waits for the others, and serves."""

    nodes: int
    port: int


@dataclass(frozen=True, slots=True)
class Works:
    """Joins the leader's Ray, and goes when the leader goes."""

    host: str
    port: int


Place: TypeAlias = Alone | Leads | Works


def place(variables: Mapping[str, str]) -> Place:
    """The part of the Pod that has these variables. Unusable when they contradict each other."""
    nodes = _number(variables, NODES, default=1)
    if nodes <= 1:
        return Alone()
    if _number(variables, INDEX) == 0:
        return Leads(nodes=nodes, port=_number(variables, PORT))
    host, colon, port = variables.get(LEADER, "").rpartition(":")
    if not host or not colon or not port.isdecimal():
        raise Unusable(f"The variable {LEADER} must be HOST:PORT.")
    return Works(host=host, port=int(port))


def _number(variables: Mapping[str, str], name: str, default: int | None = None) -> int:
    said = variables.get(name, "")
    if not said and default is not None:
        return default
    if not said.isdecimal():
        raise Unusable(f"The variable {name} must be a number.")
    return int(said)
