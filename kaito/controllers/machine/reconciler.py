"""The shell around decide: reads the caches, asks the cloud what the decision wants asked, writes.

No step waits for the cloud to finish anything. A worker is held for single exchanges only, and the
next look is a wake-up at a stated time or a change of a Node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kaito.api.machine import Machine
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine.book import NOBODY, PoolBook, Subject
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import Observation, Policy
from kaito.controllers.machine.writes import Writes
from kaito.runtime import Again, Clock, Key

# Questions in one run. Three are common (what is there, make it, and who was first); a run that
# needs more is caught in a quarrel with somebody else about the pool and waits for the next poll.
QUESTIONS = 8


class Reconciler:
    """Reconciles one Machine at a time, by name."""

    def __init__(
        self,
        *,
        machine: Callable[[str], Machine | None],
        nodes: Callable[[str], Iterable[Node]],
        book: PoolBook,
        writes: Writes,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._machine = machine
        self._nodes = nodes
        self._book = book
        self._writes = writes
        self._policy = policy
        self._clock = clock

    async def reconcile(self, key: Key) -> Again | None:
        """One run. Raises what a write raises; the cloud's refusals are facts, not errors."""
        name = key.name
        for _ in range(QUESTIONS):
            seen, subject = self._observe(name)
            decision = decide(seen, self._policy)
            if decision.ask is None:
                break
            await self._book.ask(name, subject, decision.ask)
        else:
            return Again.after(self._policy.poll_seconds)
        for write in decision.writes:
            await self._writes.perform(name, subject[0], write)
        if seen.machine is None and decision.again is None:
            self._book.forget(name)
        return None if decision.again is None else Again.after(decision.again)

    def _observe(self, name: str) -> tuple[Observation, Subject]:
        machine = self._machine(name)
        meta = machine.metadata if machine else None
        subject = (meta.uid, meta.generation) if meta else NOBODY
        seen = Observation(
            name=name,
            machine=machine,
            nodes=tuple(self._nodes(name)),
            cloud=self._book.facts(name, subject),
            now=self._clock.now(),
        )
        return seen, subject
