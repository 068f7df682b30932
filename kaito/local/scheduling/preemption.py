"""Which pods would have to go for one of higher priority: a pure decision.

As few as possible go, of the lowest priorities; of several Nodes the one where that hurts least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kaito.runtime import Key


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Node, and those that would leave it."""

    node: str
    victims: tuple[Key, ...]
    priorities: tuple[int, ...]
    """Of the victims."""


def victims_on(
    node: str, lower: Iterable[tuple[int, Key]], fits: Callable[[Sequence[Key]], bool]
) -> Candidate | None:
    """Who leaves `node`: of the pods of `lower` priority, as few as make room. `fits` says
    whether the pod fits once these are gone. None when that would not help."""
    ordered = sorted(lower)
    gone = {key for _, key in ordered}
    if not gone or not fits(tuple(gone)):
        return None
    for _, key in reversed(ordered):
        # The more important first: whoever can stay stays.
        if fits(tuple(gone - {key})):
            gone.discard(key)
    victims = [each for each in ordered if each[1] in gone]
    return Candidate(node, tuple(k for _, k in victims), tuple(p for p, _ in victims))


def least_harm(candidates: Iterable[Candidate]) -> Candidate | None:
    """The Node whose highest victim is lowest, then of the lowest sum, the fewest, by name."""
    return min(
        candidates,
        key=lambda each: (max(each.priorities), sum(each.priorities), len(each.victims), each.node),
        default=None,
    )
