"""The sweep: finds what a crash, a removal by force or a lost answer has left over, and tells it
first; deletes it after a delay, when it is proven to be ours.

It judges nothing while the caches may be stale, and deletes nothing while so much is left over
that something else must be wrong; then a person decides, by `kaito provisioner sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, Protocol

import structlog

from kaito.controllers.machine.broom import Done
from kaito.controllers.machine.findings import (
    Finding,
    Identity,
    Inventory,
    Kind,
    Place,
    Verdict,
    judge,
    weigh,
)
from kaito.controllers.machine.tallies import SweepTallies
from kaito.provisioner import CloudError, NodeSource, Pool
from kaito.runtime import Clock, RuntimeFailure

# In polls: at the default poll of 15 s, every 2 minutes, and after 5 minutes of being left over.
PERIOD = 8
DELAY = 20

log = structlog.get_logger("kaito.controllers.machine.sweep")


class Remover(Protocol):
    """Deletes a finding after a look at it."""

    async def remove(self, finding: Finding) -> Done:
        """See Broom.remove."""


class Tell(Protocol):
    """Records an Event."""

    def __call__(
        self, type_: Literal["Normal", "Warning"], reason: str, message: str, /
    ) -> None: ...


class Journal(Protocol):
    """Who keeps the story of pools."""

    def leaked(self, pool: Pool, now: float) -> None:
        """A pool of ours was found without a claim."""

    def claimed(self, name: str, now: float) -> None:
        """It has a claim after all."""

    def swept(self, pool: Pool, now: float) -> None:
        """It is being deleted for that."""


class Sweep:
    """Sweeps every PERIOD polls while `run` runs.

    `cached` gives what the caches hold and these pools; `stale` why they may not be believed, ""
    when they may.
    """

    def __init__(
        self,
        source: NodeSource,
        *,
        cached: Callable[[list[Pool]], Inventory],
        stale: Callable[[], str],
        remover: Remover,
        tell: Tell,
        journal: Journal,
        tallies: SweepTallies,
        clock: Clock,
        poll_seconds: float,
        cluster: str,
    ) -> None:
        self._source = source
        self._cached = cached
        self._stale = stale
        self._remover = remover
        self._tell = tell
        self._journal = journal
        self._tallies = tallies
        self._clock = clock
        self._poll = poll_seconds
        self._place = Place.of(source, cluster)
        self._since: Mapping[Identity, float] = {}
        self._shown: Mapping[Identity, Finding] = {}
        self._blocked = False
        self._at_home = False
        """Whether the source has shown pools of this very cluster: it asks about no other."""

    async def run(self) -> None:
        """Sweep until cancelled. A sweep that fails is logged and tried again at its next time."""
        while True:
            try:
                await self.once()
            except CloudError as error:
                log.warning("sweep failed", error=str(error))
            await self._clock.sleep(PERIOD * self._poll)

    async def once(self) -> None:
        """One sweep. CloudError when the pools could not be listed; what cannot be deleted, whoever
        refuses it, is logged and left to the next."""
        if self._doubted():
            return
        pools = await self._source.pools()
        # The list may have taken a minute.
        if self._doubted():
            return
        seen = replace(self._cached(pools), at_home=self._at_home)
        self._at_home = seen.is_at_home(self._place)
        found = judge(seen, self._place)
        verdict = weigh(
            found,
            self._since,
            self._clock.monotonic(),
            delay=DELAY * self._poll,
            own=seen.own(self._place.cluster),
        )
        self._since = verdict.since
        self._tallies.found(found, blocked=verdict.blocked)
        self._show(found)
        self._show_block(verdict)
        if not verdict.blocked:
            for finding in verdict.due:
                await self._remove(finding)

    def _doubted(self) -> bool:
        """Whether the caches are stale. What was left over may then have been claimed in between,
        so that every delay begins anew."""
        why = self._stale()
        self._tallies.stale(bool(why))
        if why:
            log.warning("nothing swept", reason=why)
            self._since = {}
        return bool(why)

    async def _remove(self, finding: Finding) -> None:
        try:
            done = await self._remover.remove(finding)
        except (CloudError, RuntimeFailure) as error:
            log.warning("not swept", kind=finding.kind, name=finding.name, error=str(error))
            return
        if not done.deleted:
            log.info("not swept", kind=finding.kind, name=finding.name, reason=done.said)
            return
        log.warning("swept", kind=finding.kind, name=finding.name, proof=finding.proof)
        self._tallies.removed(finding.kind)
        if finding.pool is not None:
            self._journal.swept(finding.pool, self._clock.now())
        said = f"{finding.what} {finding.name} was deleted: {finding.why} ({finding.proof})."
        self._tell("Warning", "Swept", _sentence(said))

    def _show(self, found: tuple[Finding, ...]) -> None:
        """Tell each finding once, and again when what is known of its proof changes."""
        shown = {each.identity: each for each in found}
        for identity in self._shown.keys() - shown.keys():
            if identity.kind is Kind.POOL:
                self._journal.claimed(identity.name, self._clock.now())
        for identity, finding in shown.items():
            if finding.pool is not None and finding.proven:
                self._journal.leaked(finding.pool, self._clock.now())
            before = self._shown.get(identity)
            if before is not None and before.missing == finding.missing:
                continue
            log.warning(
                "left over",
                kind=finding.kind,
                name=finding.name,
                why=finding.why,
                proof=finding.proof,
                missing=finding.missing,
            )
            self._tell("Warning", "LeftOver", told(finding, DELAY * self._poll))
        self._shown = shown

    def _show_block(self, verdict: Verdict) -> None:
        if verdict.blocked and not self._blocked:
            log.error("sweep blocked", found=verdict.proven, limit=verdict.limit)
            self._tell("Warning", "SweepBlocked", blocked(verdict.proven, verdict.limit))
        self._blocked = verdict.blocked


def told(finding: Finding, delay: float) -> str:
    """A finding for people, with what becomes of it."""
    said = f"{finding.what} {finding.name} is left over: {finding.why}"
    if finding.proven:
        return _sentence(f"{said}. It is deleted in {delay:.0f} s unless that changes.")
    return _sentence(f"{said}, but {finding.missing}. Delete it if nobody needs it.")


def blocked(proven: int, limit: int) -> str:
    """Why nothing is deleted, and the way out."""
    return (
        f"{proven} pools, claims and Nodes are left over at once and no more than {limit} are "
        "believed to be: nothing is deleted. Look for a common cause; see what they are with "
        "`kaito provisioner sweep`, and delete single ones with `--delete NAME`."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
