"""Tells the ledger what becomes of pools: from what the cloud answers, and from the sweep.

Each list of all pools settles it again, so that nothing is lost with a process that dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from kaito.controllers.machine.ledger import LONGEST, Entry, Ledger, Outcome
from kaito.controllers.machine.tallies import PoolTallies
from kaito.provisioner import Failure, Pool, PoolState
from kaito.provisioner.ownership import LAUNCHED, made_for_cluster, time_of


class Chronicle:
    """Writes entries. `price` is US dollars an hour of an instance type, None where unknown."""

    def __init__(
        self,
        ledger: Ledger,
        tallies: PoolTallies,
        *,
        cluster: str,
        price: Callable[[str], float | None],
    ) -> None:
        self._ledger = ledger
        self._tallies = tallies
        self._cluster = cluster
        self._price = price

    def refused(self, name: str, size: str, failure: Failure, now: float) -> None:
        """A request was refused. Repetitions are counted and not entered again."""
        self._tallies.requested(size)
        self._tallies.outcome(Outcome.REFUSED, failure.cause)
        last = self._ledger.last(name)
        at = int(now)
        repeated = (
            last is not None
            and last.outcome is Outcome.REFUSED
            and (last.size, last.cause) == (size[:LONGEST], failure.cause)
        )
        if last is not None and repeated:
            entry = msgspec.structs.replace(last, attempts=last.attempts + 1, changed=at)
        else:
            entry = Entry(
                pool=name,
                size=size,
                asked=at,
                outcome=Outcome.REFUSED,
                cause=failure.cause,
                changed=at,
            )
        self._ledger.put(entry)

    def launched(self, pool: Pool, now: float) -> None:
        """The cloud has taken a request, or shows what an earlier one has made."""
        if self._ours(pool) and self._entry(pool) is None:
            self._tallies.requested(pool.instance_type)
        self.seen(pool, now)

    def seen(self, pool: Pool, now: float) -> None:
        """The cloud shows a pool. Those that are not ours are not entered."""
        if not self._ours(pool):
            return
        entry = self._entry(pool)
        if entry is None:
            # Of an earlier pool of its name nobody saw the end.
            self.absent(pool.name, now)
            asked = int(time_of(pool.labels, LAUNCHED) or now)
            entry = Entry(
                pool=pool.name,
                size=pool.instance_type,
                asked=asked,
                outcome=Outcome.ASKED,
                changed=int(now),
            )
            self._ledger.put(entry)
        match pool.state:
            case PoolState.READY if entry.ready_after is None:
                took = max(0, int(now) - entry.asked)
                self._tallies.ready(took)
                self._become(entry, Outcome.READY, now, ready_after=took)
            case PoolState.FAILED if entry.outcome is not Outcome.FAILED:
                cause = pool.failure.cause if pool.failure else ""
                self._become(entry, Outcome.FAILED, now, cause=cause)
            case PoolState.DELETING if entry.outcome not in _GOING:
                # Whoever asked for it: what was asked for by us is entered by `deleting`.
                self._become(entry, Outcome.GONE, now)

    def listed(self, pools: Iterable[Pool], asked_at: float, now: float) -> None:
        """All pools, asked for at `asked_at`: those that are missing are gone."""
        there = {pool.name: pool for pool in pools if self._ours(pool)}
        for pool in there.values():
            self.seen(pool, now)
        names = {name[:LONGEST] for name in there}
        for entry in self._ledger.open():
            # What was entered since the question is not in the answer.
            if entry.pool not in names and entry.changed < int(asked_at):
                self._end(entry, now)
        prices = [(self._price(each.instance_type) or 0.0) * each.count for each in there.values()]
        self._tallies.running(len(there), sum(prices))

    def deleting(self, pool: Pool, now: float) -> None:
        """The cloud has taken our deletion."""
        entry = self._entry(pool)
        if entry is not None and entry.outcome not in _GOING:
            self._become(entry, Outcome.DELETING, now)

    def absent(self, name: str, now: float) -> None:
        """The cloud denies a pool that it once had."""
        entry = self._open(name)
        if entry is not None:
            self._end(entry, now)

    def _end(self, entry: Entry, now: float) -> None:
        match entry.outcome:
            case Outcome.DELETING | Outcome.DELETED:
                outcome = Outcome.DELETED
            case Outcome.SWEPT:
                outcome = Outcome.SWEPT
            case _:
                outcome = Outcome.GONE
        self._tallies.gone(max(0.0, now - entry.asked))
        self._become(entry, outcome, now, ended=int(now))

    def leaked(self, pool: Pool, now: float) -> None:
        """A pool of ours was found without a claim."""
        entry = self._entry(pool)
        if entry is not None and entry.leaked is None:
            self._become(entry, Outcome.LEAKED, now, leaked=int(now))

    def claimed(self, name: str, now: float) -> None:
        """It has a claim after all, or is gone."""
        entry = self._open(name)
        if entry is not None and entry.outcome is Outcome.LEAKED:
            was = Outcome.ASKED if entry.ready_after is None else Outcome.READY
            self._become(entry, was, now, leaked=None)

    def swept(self, pool: Pool, now: float) -> None:
        """It has been deleted because nobody claims it, and may be gone already."""
        entry = self._ledger.last(pool.name)
        if entry is not None and _of(pool, entry):
            self._become(entry, Outcome.SWEPT, now)

    def _ours(self, pool: Pool) -> bool:
        return made_for_cluster(pool.labels, self._cluster)

    def _open(self, name: str) -> Entry | None:
        last = self._ledger.last(name)
        return None if last is None or last.over else last

    def _entry(self, pool: Pool) -> Entry | None:
        """The open entry of this very pool: one of its name, asked for at the same time."""
        entry = self._open(pool.name)
        return entry if entry is not None and _of(pool, entry) else None

    def _become(self, entry: Entry, outcome: Outcome, now: float, **more: object) -> None:
        if outcome is not entry.outcome:
            self._tallies.outcome(outcome, str(more.get("cause", "")))
        changed = max(int(now), entry.changed)
        self._ledger.put(msgspec.structs.replace(entry, outcome=outcome, changed=changed, **more))


def _of(pool: Pool, entry: Entry) -> bool:
    """Whether the entry of its name is of this very pool, and not of an earlier one."""
    asked = time_of(pool.labels, LAUNCHED)
    return asked is None or entry.asked == int(asked)


_GOING = frozenset({Outcome.DELETING, Outcome.SWEPT, Outcome.GONE})
