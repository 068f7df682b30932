"""Explores every state that a controller and an adversary can bring about, to a bound.

What is checked is eventually stable reconciliation, the property of Anvil (OSDI 2024): from every
state, once the adversary rests, a bounded number of fair rounds reaches one that nothing changes
any more and that is the desired one; and no state on the way is a wrong one. States are told apart
by their key, and each is left in every way there is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Generic[State]):
    """A controller and its environment, as pure functions."""

    begin: State
    key: Callable[[State], bytes]
    """Equal for states that nothing tells apart."""
    moves: Callable[[State], Iterable[tuple[str, State]]]
    """Everything that can happen next, with a word for it."""
    fair: Callable[[State], State]
    """One round without an adversary: the controller acts, and the environment does its part."""
    wrong: Callable[[State], str]
    """What must never be, as a sentence; "" where all is well."""
    undone: Callable[[State], str]
    """What is missing of the desired end, as a sentence; "" when nothing is."""
    rounds: int
    """How many fair rounds are enough from anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an exploration came to."""

    states: int
    moves: int
    depth: int
    """Moves from the beginning to the farthest state."""
    rounds: int
    """The most fair rounds that were needed."""
    whole: bool
    """Whether every state was explored, and not only as many as were allowed."""


class Violated(AssertionError):
    """The way to a state that breaks what is promised."""

    def __init__(self, trace: Iterable[str], why: str) -> None:
        super().__init__("\n".join([*trace, f"=> {why}"]))


def explore(model: Model[State], most: int) -> Found:
    """Breadth first, until all is explored or so many states have been seen. Violated with the
    shortest way there, else what was found."""
    return _Exploration(model).run(most)


class _Exploration(Generic[State]):
    def __init__(self, model: Model[State]) -> None:
        self._model = model
        self._ways: dict[bytes, tuple[bytes, str]] = {}
        self._rests: dict[bytes, int] = {}
        """Fair rounds from a state to its rest."""

    def run(self, most: int) -> Found:
        model = self._model
        first = model.key(model.begin)
        self._ways[first] = (first, "begin")
        queue = deque([(model.begin, first, 0)])
        moves = depth = rounds = 0
        while queue:
            state, key, depth = queue.popleft()
            self._check(state, key)
            rounds = max(rounds, self._rest(state, key))
            for word, after in model.moves(state):
                moves += 1
                found = model.key(after)
                if found in self._ways:
                    continue
                self._ways[found] = (key, word)
                if len(self._ways) <= most:
                    queue.append((after, found, depth + 1))
        states = len(self._ways)
        return Found(
            states=min(states, most), moves=moves, depth=depth, rounds=rounds, whole=states <= most
        )

    def _check(self, state: State, key: bytes, *rest: str) -> None:
        if why := self._model.wrong(state):
            raise Violated([*self._trace(key), *rest], why)

    def _rest(self, state: State, key: bytes) -> int:
        """The rounds from a state to its rest, which is known of each state on the way then."""
        model, way, at = self._model, [key], state
        while way[-1] not in self._rests:
            after = model.fair(at)
            self._check(after, key, *["a fair round"] * len(way))
            if (found := model.key(after)) == way[-1]:
                if why := model.undone(at):
                    raise Violated([*self._trace(key), *["a fair round"] * len(way)], why)
                self._rests[found] = 0
                break
            if len(way) > model.rounds or found in way:
                trace = [*self._trace(key), *["a fair round"] * len(way)]
                raise Violated(trace, f"it does not rest within {model.rounds} fair rounds")
            way.append(found)
            at = after
        left = self._rests[way[-1]]
        for back, each in enumerate(reversed(way)):
            self._rests.setdefault(each, left + back)
        if self._rests[key] > model.rounds:
            raise Violated(self._trace(key), f"it takes {self._rests[key]} fair rounds to rest")
        return self._rests[key]

    def _trace(self, key: bytes) -> list[str]:
        words = []
        while (found := self._ways[key])[0] != key:
            words.append(found[1])
            key = found[0]
        return [*reversed(words)]
