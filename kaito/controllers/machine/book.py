"""The in-memory record of the cloud: asks what a decision wants asked, and remembers the answers.

One list of all pools answers the looks of all claims that ask at about the same time, so the
cloud sees one read for each pause and not one for each claim. Every answer is dated by when it
was asked for, so that a slow list cannot undo what a later call has learnt.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from kaito.controllers.machine.cloud import (
    UNASKED,
    UNKNOWN,
    Ask,
    CloudFacts,
    Confirm,
    Destroy,
    Launch,
    Look,
    Refusal,
    Trouble,
    Unknown,
)
from kaito.controllers.machine.waiting import NEARLY
from kaito.provisioner import (
    Absent,
    CloudError,
    Failure,
    NodeSource,
    Pool,
    PoolState,
    Way,
)
from kaito.runtime import Clock

REMEMBERED = 32  # refusals of one claim: more than any backoff counts
LIST_SHARE = 0.1  # of the time may go into listing, however many pools there are


class Subject(NamedTuple):
    """Who asks about a pool: refusals count for one spec of one object."""

    kind: str
    name: str
    """The claim's, and the pool's."""
    uid: str = ""
    """Of the claim; "" when there is none."""
    generation: int = 0


log = structlog.get_logger("kaito.controllers.machine")


@dataclass(slots=True)
class _Entry:
    subject: Subject
    facts: CloudFacts = UNASKED
    changed_at: float = 0.0
    """When the cloud was last asked to make or delete this pool."""


@dataclass(slots=True)
class _Listing:
    """The last list of all pools."""

    pools: dict[str, Pool] = field(default_factory=dict)
    at: float | None = None
    took: float = 0.0
    failure: Failure | None = None


class PoolBook:
    """What is known about the pools of one cloud."""

    def __init__(self, source: NodeSource, clock: Clock, *, poll_seconds: float) -> None:
        self._source = source
        self._clock = clock
        self._poll = poll_seconds
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._listing = _Listing()
        self._lock = asyncio.Lock()

    def facts(self, subject: Subject) -> CloudFacts:
        """What is known about one pool. Refusals of an earlier subject are forgotten."""
        entry = self._entries.get(subject[:2])
        if entry is None:
            return self._listed(subject.name)
        if entry.subject != subject:
            entry.subject = subject
            entry.facts = replace(entry.facts, refusals=())
        return entry.facts

    def forget(self, subject: Subject) -> None:
        """Nobody asks about this pool any more."""
        self._entries.pop(subject[:2], None)

    async def ask(self, subject: Subject, ask: Ask) -> None:
        """Ask the cloud once and remember the answer, a refusal included. Raises nothing for it.

        Cancelled in the middle of a change, it leaves the pool UNKNOWN.
        """
        facts, name = self.facts(subject), subject.name
        entry = self._entries.setdefault(subject[:2], _Entry(subject, facts))
        asked_at = self._clock.now()
        if isinstance(ask, Launch | Destroy):
            entry.changed_at = asked_at
            entry.facts = replace(facts, pool=UNKNOWN, confirmed=False)
        try:
            pool = await self._put(name, entry, ask)
        except CloudError as error:
            log.warning("cloud refused", pool=name, ask=type(ask).__name__, error=str(error))
            entry.facts = _refused(entry.facts, ask, error.failure, self._clock.now())
        else:
            answered = _answered(entry.facts, ask, pool, facts.pool, asked_at)
            listed = isinstance(ask, Look)
            entry.facts = replace(answered, at=self._listed_at(asked_at)) if listed else answered

    async def _put(self, name: str, entry: _Entry, ask: Ask) -> Pool | Absent:
        """Put the question."""
        match ask:
            case Launch(request, instance_type, _):
                log.info("launching", pool=name, instance_type=instance_type)
                return await self._source.launch(request, instance_type)
            case Destroy(pool, _):
                log.info("deleting", pool=name, state=pool.said)
                return await self._source.delete(pool)
            case Confirm():
                return await self._source.observe(name)
            case Look():
                return await self._look(name, entry)

    async def _look(self, name: str, entry: _Entry) -> Pool | Absent:
        """From a list of all pools, made now unless there is a recent one."""
        async with self._lock:
            if not self._recent():
                await self._list()
        if self._listing.failure is not None:
            raise CloudError(self._listing.failure)
        if self._listing.at is not None and self._listing.at >= entry.changed_at:
            return self._listing.pools.get(name, Absent())
        # The list is from before our own last call, and another one is not due yet.
        known = entry.facts.pool
        return await self._source.observe(name) if known is UNKNOWN else known

    def _listed_at(self, now: float) -> float:
        """How old a look's answer is. By that all who look come together at the next list."""
        at = self._listing.at
        return at if at is not None and 0 <= now - at < NEARLY * self._poll else now

    def _recent(self) -> bool:
        listing = self._listing
        lasts = max(NEARLY * self._poll, listing.took / LIST_SHARE)
        # A clock that was set back must not make the list last for ever.
        return listing.at is not None and 0 <= self._clock.now() - listing.at < lasts

    async def _list(self) -> None:
        started = self._clock.now()
        try:
            pools = {pool.name: pool for pool in await self._source.pools()}
        except CloudError as error:
            self._listing = replace(self._listing, at=started, failure=error.failure)
        else:
            self._listing = _Listing(pools, started, self._clock.now() - started)

    def _listed(self, name: str) -> CloudFacts:
        """From the last list, for a pool that nobody has asked about yet."""
        if self._listing.at is None or self._listing.failure is not None:
            return UNASKED
        pool: Pool | Absent = self._listing.pools.get(name, Absent())
        return CloudFacts(pool=pool, at=self._listing.at, since=self._listing.at)


def _answered(
    facts: CloudFacts,
    ask: Ask,
    pool: Pool | Absent,
    before: Pool | Absent | Unknown,
    asked_at: float,
) -> CloudFacts:
    refusals = facts.refusals
    match ask:
        case Launch(afresh=True):
            refusals = ()
        case Destroy(refusal=Refusal() as refusal):
            refusals = (*refusals, refusal)[-REMEMBERED:]
    return CloudFacts(
        pool=pool,
        at=asked_at,
        since=facts.since if _state(pool) == _state(before) else asked_at,
        confirmed=isinstance(ask, Confirm | Destroy),
        refusals=refusals,
    )


def _state(pool: Pool | Absent | Unknown) -> PoolState | None:
    return pool.state if isinstance(pool, Pool) else None


def _refused(facts: CloudFacts, ask: Ask, failure: Failure, now: float) -> CloudFacts:
    match ask:
        case Launch(_, instance_type, afresh):
            before = () if afresh else facts.refusals
            refusals = (*before, Refusal(instance_type, failure, now))[-REMEMBERED:]
            # After a failure that may pass, the pool may have been made all the same.
            pool = UNKNOWN if failure.way is Way.RETRY else Absent()
            return CloudFacts(pool=pool, at=now, refusals=refusals)
        case _:
            times = facts.trouble.times + 1 if facts.trouble else 1
            known = ask.pool if isinstance(ask, Destroy) else facts.pool
            return replace(facts, pool=known, trouble=Trouble(failure, now, times))
