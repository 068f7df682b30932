"""The in-memory record of the cloud: asks what a decision wants asked, and remembers the answers.

One list of all pools answers the looks of all claims that ask at about the same time, so the
cloud sees one read for each pause and not one for each claim. Every answer is dated by when it
was asked for, so that a slow list cannot undo what a later call has learnt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from kaito.controllers.machine.cloud import (
    UNASKED,
    UNKNOWN,
    Ask,
    CloudFacts,
    Confirm,
    DeleteMachine,
    Destroy,
    Launch,
    ListMachines,
    Look,
    Refusal,
    Resize,
    Trouble,
    Unknown,
)
from kaito.controllers.machine.waiting import NEARLY
from kaito.provisioner import (
    Absent,
    Cause,
    CloudError,
    Failure,
    NodeSource,
    Pool,
    PoolState,
    Way,
)
from kaito.provisioner.failure import one_line
from kaito.runtime import Clock

REMEMBERED = 32  # refusals of one claim: more than any backoff counts
MAX_DEFECT = 200  # characters of an exception in a condition
LIST_SHARE = 0.1  # of the time may go into listing, however many pools there are


class Subject(NamedTuple):
    """Who asks about a pool: refusals count for one spec of one object."""

    kind: str
    name: str
    """The claim's, and the pool's unless `pool` says another one."""
    uid: str = ""
    """Of the claim; "" when there is none."""
    generation: int = 0
    pool: str = ""

    @property
    def about(self) -> str:
        """The name of the pool that is asked about."""
        return self.pool or self.name


# What is not asked of one pool as a whole has no pool for an answer.
PoolAsk = Launch | Look | Confirm | Destroy | Resize | DeleteMachine
CHANGES = (Launch, Destroy, Resize, DeleteMachine)

log = structlog.get_logger("kaito.controllers.machine")


@dataclass(slots=True)
class _Entry:
    subject: Subject
    facts: CloudFacts = UNASKED


class _Changed(NamedTuple):
    at: float
    by: tuple[str, str] | None


UNCHANGED = _Changed(0.0, None)


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
        self._changed: dict[str, _Changed] = {}
        """Who last asked the cloud to change a pool, if that was after the last list."""
        self._launched: set[str] = set()
        """Pools that were asked for after the last list."""
        self._lock = asyncio.Lock()

    def facts(self, subject: Subject) -> CloudFacts:
        """What is known about one pool. Refusals of an earlier subject are forgotten."""
        entry = self._entries.get(subject[:2])
        if entry is None:
            return replace(self._listed(subject.about), crowd=self._crowd())
        if entry.subject != subject:
            before, entry.subject = entry.subject, subject
            same = before.about == subject.about
            known = entry.facts if same else self._listed(subject.about)
            entry.facts = replace(known, refusals=())
        changed = self._changed.get(subject.about, UNCHANGED)
        if changed.at > entry.facts.at and changed.by != subject[:2]:
            # What this claim knows of the pool is of before.
            entry.facts = replace(entry.facts, at=0.0, confirmed=False, machines=None)
        return replace(entry.facts, crowd=self._crowd())

    async def browse(self) -> Mapping[str, Pool]:
        """All pools by name: those of a list that is no older than a poll, and those that were
        asked for since. Of before, when the cloud refuses to list them."""
        async with self._lock:
            if not self._recent():
                await self._list()
        return self._listing.pools

    def forget(self, subject: Subject) -> None:
        """Nobody asks about this pool any more."""
        self._entries.pop(subject[:2], None)

    async def ask(self, subject: Subject, ask: Ask) -> None:
        """Ask the cloud once and remember the answer, a refusal included. Raises nothing for it,
        nor for a defect of the source.

        Cancelled in the middle of a change, it leaves the pool UNKNOWN.
        """
        facts, name = self.facts(subject), subject.about
        entry = self._entries.setdefault(subject[:2], _Entry(subject, facts))
        asked_at = self._clock.now()
        if isinstance(ask, CHANGES):
            self._changed[name] = _Changed(asked_at, subject[:2])
            entry.facts = replace(facts, pool=UNKNOWN, confirmed=False, machines=None, at=asked_at)
        if isinstance(ask, Launch):
            self._launched.add(name)
        try:
            if isinstance(ask, ListMachines):
                found = tuple(await self._source.machines(name))
                entry.facts = replace(facts, machines=found, trouble=None)
                return
            pool = await self._put(name, facts, ask)
        except Exception as error:  # noqa: BLE001  whatever an adapter raises is told of
            failure = _failure(error, self._source.name)
            log.warning("cloud refused", pool=name, ask=type(ask).__name__, error=str(failure))
            entry.facts = _refused(facts, ask, failure, self._clock.now())
            if isinstance(ask, Launch) and isinstance(entry.facts.pool, Absent):
                self._launched.discard(name)
        else:
            answered = _answered(facts, ask, pool, asked_at)
            listed = isinstance(ask, Look)
            entry.facts = replace(answered, at=self._listed_at(asked_at)) if listed else answered

    async def _put(self, name: str, facts: CloudFacts, ask: PoolAsk) -> Pool | Absent:
        """Put the question."""
        match ask:
            case Launch(request, instance_type, _):
                log.info("launching", pool=name, instance_type=instance_type)
                pool = await self._source.launch(request, instance_type)
                # For those who look for a pool to share: the next list may be far away.
                self._listing.pools[name] = pool
                return pool
            case Destroy(pool, _):
                # Not its state, which we last saw when its Node was still to come.
                log.info("deleting", pool=name, instance_type=pool.instance_type)
                return await self._source.delete(pool)
            case Resize(pool, count, _):
                log.info("resizing", pool=name, machines=count)
                return await self._source.resize(pool, count)
            case DeleteMachine(pool, machine):
                log.info("deleting machine", pool=name, machine=machine.name)
                return await self._source.delete_machine(pool, machine)
            case Confirm():
                return await self._source.observe(name)
            case Look():
                return await self._look(name, facts)

    async def _look(self, name: str, facts: CloudFacts) -> Pool | Absent:
        """From a list of all pools, made now unless there is a recent one."""
        async with self._lock:
            if not self._recent():
                await self._list()
        if self._listing.failure is not None:
            raise CloudError(self._listing.failure)
        changed = self._changed.get(name, UNCHANGED).at
        if self._listing.at is not None and self._listing.at >= changed:
            return self._listing.pools.get(name, Absent())
        # The list is from before the last call about the pool, and another one is not due yet.
        if facts.pool is UNKNOWN or facts.at == 0.0:
            return await self._source.observe(name)
        return facts.pool

    def _crowd(self) -> int:
        listed = self._listing.pools
        return len(listed) + sum(name not in listed for name in self._launched)

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
        except Exception as error:  # noqa: BLE001  whatever an adapter raises is told of
            failure = _failure(error, self._source.name)
            self._listing = replace(self._listing, at=started, failure=failure)
        else:
            self._listing = _Listing(pools, started, self._clock.now() - started)
            self._changed = {name: it for name, it in self._changed.items() if it.at > started}
            self._launched &= set(self._changed)

    def _listed(self, name: str) -> CloudFacts:
        """From the last list, for a pool that nobody has asked about yet."""
        if self._listing.at is None or self._listing.failure is not None:
            return UNASKED
        pool: Pool | Absent = self._listing.pools.get(name, Absent())
        return CloudFacts(pool=pool, at=self._listing.at, since=self._listing.at)


def _answered(facts: CloudFacts, ask: PoolAsk, pool: Pool | Absent, asked_at: float) -> CloudFacts:
    refusals = facts.refusals
    match ask:
        case Launch(afresh=True):
            refusals = ()
        case Destroy(refusal=Refusal() as refusal) | Resize(refusal=Refusal() as refusal):
            refusals = (*refusals, refusal)[-REMEMBERED:]
    same = _state(pool) == _state(facts.pool)
    return CloudFacts(
        pool=pool,
        at=asked_at,
        since=facts.since if same else asked_at,
        confirmed=isinstance(ask, Confirm | Destroy),
        refusals=refusals,
        # A change makes it unknown which machines there are, and so does time: an upgrade that
        # nobody saw gives a pool other ones. Whoever confirms is about to decide by them.
        machines=facts.machines if same and isinstance(ask, Look) else None,
    )


def _failure(error: Exception, cloud: str) -> Failure:
    """What a call that failed means. What a source should not raise is a defect: told where people
    look, and tried again as something that may pass."""
    if isinstance(error, CloudError):
        return error.failure
    log.error("defect", cloud=cloud, exc_info=error)
    said = f"the way to {cloud} has a defect ({one_line(repr(error), MAX_DEFECT)})"
    return Failure(
        way=Way.RETRY,
        cause=Cause.UNKNOWN,
        code="",
        message=said,
        advice="the provisioner's log has the traceback; report it to whoever made this adapter",
    )


def _state(pool: Pool | Absent | Unknown) -> tuple[PoolState, int] | None:
    return (pool.state, pool.count) if isinstance(pool, Pool) else None


def _refused(facts: CloudFacts, ask: Ask, failure: Failure, now: float) -> CloudFacts:
    match ask:
        case Launch(_, instance_type, afresh):
            before = () if afresh else facts.refusals
            refusals = (*before, Refusal(instance_type, failure, now))[-REMEMBERED:]
            # After a failure that may pass, the pool may have been made all the same.
            pool = UNKNOWN if failure.way is Way.RETRY else Absent()
            return CloudFacts(pool=pool, at=now, refusals=refusals)
        case Resize(pool=asked):
            # It may have grown all the same: it is looked at again before anything else.
            refusals = (*facts.refusals, Refusal(asked.instance_type, failure, now))[-REMEMBERED:]
            return CloudFacts(pool=UNKNOWN, refusals=refusals)
        case _:
            times = facts.trouble.times + 1 if facts.trouble else 1
            deleting = isinstance(ask, Destroy | DeleteMachine)
            known = ask.pool if isinstance(ask, Destroy | DeleteMachine) else facts.pool
            trouble = Trouble(failure, now, times, deleting)
            return replace(facts, pool=known, trouble=trouble, machines=None)
