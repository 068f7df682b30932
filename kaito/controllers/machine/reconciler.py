"""The shell around decide: reads the caches, asks what the decision wants asked, writes.

No step waits for the cloud to finish anything, nor for a Pod to leave. A worker is held for single
exchanges only, and the next look is a wake-up at a stated time or a change of a Node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kaito.controllers.kinds import Node
from kaito.controllers.machine.book import PoolBook, Subject
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    Count,
    Fleet,
    ListPods,
    Observation,
    PodWrite,
    Policy,
)
from kaito.controllers.machine.tenants import Tenants
from kaito.controllers.machine.writes import Writes
from kaito.provisioner.claim import Claim, Dialect
from kaito.runtime import Again, Clock, Key

# Questions in one run. Three are common (what is there, make it, and who was first); a run that
# needs more is caught in a quarrel with somebody else about the pool and waits for the next poll.
QUESTIONS = 8


class Reconciler:
    """Reconciles one claim of one kind at a time, by name."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        claim: Callable[[str], Claim | None],
        nodes: Callable[[str], Iterable[Node]],
        fleet: Callable[[], Fleet],
        book: PoolBook,
        tenants: Tenants,
        writes: Writes,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._dialect = dialect
        self._claim = claim
        self._nodes = nodes
        self._fleet = fleet
        self._book = book
        self._tenants = tenants
        self._writes = writes
        self._policy = policy
        self._clock = clock

    async def reconcile(self, key: Key) -> Again | None:
        """One run. Raises what a write raises; the cloud's refusals are facts, not errors."""
        fleet: Fleet | None = None
        for _ in range(QUESTIONS):
            seen, subject = self._observe(key.name, fleet)
            decision = decide(seen, self._policy)
            match decision.ask:
                case None:
                    break
                case Count():
                    fleet = self._fleet()
                case ListPods(nodes):
                    await self._tenants.look(key.name, nodes)
                case ask:
                    await self._book.ask(subject, ask)
        else:
            return Again.after(self._policy.poll_seconds)
        for write in decision.writes:
            if isinstance(write, PodWrite):
                await self._tenants.perform(key.name, write)
            else:
                await self._writes.perform(key.name, subject.uid, write)
        if seen.claim is None and decision.again is None:
            self._book.forget(subject)
            self._tenants.forget(key.name)
        return None if decision.again is None else Again.after(decision.again)

    def _observe(self, name: str, fleet: Fleet | None) -> tuple[Observation, Subject]:
        claim = self._claim(name)
        meta = claim.metadata if claim else None
        kind = self._dialect.kind
        subject = Subject(kind, name, meta.uid, meta.generation) if meta else Subject(kind, name)
        seen = Observation(
            name=name,
            dialect=self._dialect,
            claim=claim,
            nodes=tuple(self._nodes(name)),
            tenancy=self._tenants.tenancy(name),
            fleet=fleet,
            cloud=self._book.facts(subject),
            now=self._clock.now(),
        )
        return seen, subject
