"""The shell around decide: reads the caches, asks what the decision wants asked, writes.

No step waits for the cloud to finish anything, nor for a Pod to leave. A worker is held for single
exchanges only, and the next look is a wake-up at a stated time or a change of a Node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from kaito.controllers.kinds import Node
from kaito.controllers.machine.book import PoolBook, Subject
from kaito.controllers.machine.cloud import Ask, Launch, Resize
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    Count,
    Decision,
    Fleet,
    Host,
    ListHosts,
    ListMates,
    ListPods,
    Observation,
    PodWrite,
    Policy,
)
from kaito.controllers.machine.tenants import Tenants
from kaito.controllers.machine.writes import Writes
from kaito.provisioner import Pool
from kaito.provisioner.claim import Claim, Dialect
from kaito.runtime import Again, Clock, Key

# Questions in one run. Three are common (what is there, make it, and who was first), and seven of
# a shared pool; a run that needs more is caught in a quarrel with somebody else about the pool and
# waits for the next poll.
QUESTIONS = 10


class Mates(Protocol):
    """Who is in which pool."""

    def home(self, claim: Claim) -> str:
        """The name of the pool that the claim's machine is in, or is to be in."""

    def of(self, pool: str) -> Iterable[Claim]:
        """The claims whose pool it is, as the cache has them."""

    async def live(self, pool: str) -> Iterable[Claim]:
        """The same, as the API server has them now."""

    def living(self, pool: str) -> int:
        """How many of them are not being deleted, as the cache has them."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was learnt in this run, and holds no longer."""

    fleet: Fleet | None = None
    live: tuple[Claim, ...] | None = None
    hosts: tuple[Host, ...] | None = None
    asked: frozenset[type[Ask]] = frozenset()


class Reconciler:
    """Reconciles one claim of one kind at a time, by name."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        claim: Callable[[str], Claim | None],
        nodes: Callable[[str], Iterable[Node]],
        mates: Mates,
        fleet: Callable[[], Fleet],
        book: PoolBook,
        tenants: Tenants,
        writes: Writes,
        policy: Policy,
        clock: Clock,
        stays: Callable[[Claim], Awaitable[bool]],
        performed: Callable[[Claim | None, Decision], None] = lambda claim, decision: None,
        blind: Callable[[], str] = lambda: "",
    ) -> None:
        self._dialect = dialect
        self._claim = claim
        self._nodes = nodes
        self._mates = mates
        self._fleet = fleet
        self._book = book
        self._tenants = tenants
        self._writes = writes
        self._policy = policy
        self._clock = clock
        self._stays = stays
        self._performed = performed
        self._blind = blind

    async def reconcile(self, key: Key) -> Again | None:
        """One run. Raises what a write raises; the cloud's refusals are facts, not errors.

        Machines are bought only for a claim that `stays` as the API server has it now.

        Nothing is decided while `blind` says why the caches cannot be kept: a Node that joins
        meanwhile is not seen, and its pool would be given up once patience has run out.
        """
        if self._blind():
            return Again.after(self._policy.poll_seconds)
        known = _Answers()
        for _ in range(QUESTIONS):
            seen, subject = self._observe(key.name, known)
            decision = decide(seen, self._policy)
            match decision.ask:
                case None:
                    break
                case Count():
                    known = replace(known, fleet=self._fleet())
                case ListMates():
                    others = await self._mates.live(seen.pool)
                    known = replace(known, live=_without(subject, others))
                case ListHosts():
                    pools = await self._book.browse()
                    known = replace(known, hosts=tuple(self._hosts(pools)))
                case ListPods(nodes):
                    await self._tenants.look(key.name, nodes)
                case Launch() | Resize() if seen.claim is None or not await self._stays(seen.claim):
                    # The cache tells the past, as it may after a restart: it will hear.
                    return Again.after(self._policy.poll_seconds)
                case ask:
                    await self._book.ask(subject, ask)
                    known = replace(known, asked=known.asked | {type(ask)})
        else:
            return Again.after(self._policy.poll_seconds)
        for write in decision.writes:
            if isinstance(write, PodWrite):
                await self._tenants.perform(key.name, write)
            else:
                await self._writes.perform(key.name, subject.uid, write)
        self._performed(seen.claim, decision)
        if seen.claim is None and decision.again is None:
            self._book.forget(subject)
            self._tenants.forget(key.name)
        return None if decision.again is None else Again.after(decision.again)

    def _observe(self, name: str, known: _Answers) -> tuple[Observation, Subject]:
        claim = self._claim(name)
        meta, kind = claim.metadata if claim else None, self._dialect.kind
        pool = self._mates.home(claim) if claim else name
        subject = Subject(kind, name, pool=pool)
        if meta is not None:
            subject = Subject(kind, name, meta.uid, meta.generation, pool)
        seen = Observation(
            name=name,
            dialect=self._dialect,
            claim=claim,
            pool=pool,
            nodes=tuple(self._nodes(pool)),
            mates=_without(subject, self._mates.of(pool)),
            live=known.live,
            hosts=known.hosts,
            tenancy=self._tenants.tenancy(name),
            fleet=known.fleet,
            cloud=self._book.facts(subject),
            asked=known.asked,
            now=self._clock.now(),
        )
        return seen, subject

    def _hosts(self, pools: Mapping[str, Pool]) -> Iterable[Host]:
        for name, pool in pools.items():
            yield Host(pool, self._mates.living(name))


def _without(subject: Subject, claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(each for each in claims if each.metadata.name != subject.name)
