"""Probes: when to ask, and how many answers of a kind it takes to believe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kaito.local.pods.actions import Actor
from kaito.runtime import Clock

Name = Literal["Startup", "Liveness", "Readiness"]
_FIELDS: dict[Name, str] = {
    "Startup": "startupProbe",
    "Liveness": "livenessProbe",
    "Readiness": "readinessProbe",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How to ask, and how often. Times in seconds; defaults are those of the API."""

    name: Name
    action: Mapping[str, Any]
    delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    """So many in a row until it counts."""
    failures: int = 3
    grace: float | None = None
    """How long a container that fails has to end, where it differs from the pod's."""


def probe_of(container: Mapping[str, Any], name: Name) -> Probe | None:
    """One of the probes of a container, None when it has none of that kind."""
    wanted = container.get(_FIELDS[name])
    if not wanted:
        return None
    return Probe(
        name=name,
        action=wanted,
        delay=wanted.get("initialDelaySeconds", 0),
        period=wanted.get("periodSeconds", 10),
        timeout=wanted.get("timeoutSeconds", 1),
        successes=wanted.get("successThreshold", 1),
        failures=wanted.get("failureThreshold", 3),
        grace=wanted.get("terminationGracePeriodSeconds"),
    )


@dataclass(slots=True)
class Belief:
    """What the answers so far amount to, for `probe`. `holds` is believed at the start."""

    probe: Probe
    holds: bool
    _last: bool | None = None
    _run: int = 0

    def hear(self, well: bool) -> bool:
        """Take an answer in; whether the belief is settled by it, be it new or confirmed."""
        self._run = self._run + 1 if well == self._last else 1
        self._last = well
        if self._run < (self.probe.successes if well else self.probe.failures):
            return False
        self.holds = well
        return True


@dataclass(slots=True)
class Prober:
    """Asks one probe of one container that runs, until told to stop by cancelling.

    `hurry` is a ceiling for the period until the first success, so that nobody waits out delays
    written for programs that load for minutes; failures count no faster for it.
    """

    probe: Probe
    actor: Actor
    clock: Clock
    hurry: float
    unhealthy: Callable[[str], None]
    """Told of each failure that counts."""
    _counted: float = float("-inf")
    """When a failure counted last."""

    def __post_init__(self) -> None:
        self._counted = self.clock.monotonic() + self.probe.delay - self.probe.period

    async def settled(self, belief: Belief) -> bool:
        """Ask until the belief is settled, for the first time or once more; what it is then."""
        while True:
            outcome = await self.actor.act(self.probe.action, self.probe.timeout)
            if outcome.well:
                if belief.hear(True):
                    return True
            elif self._counts():
                tried = outcome.well is not None
                what = "failed" if tried else "errored and resulted in unknown state"
                self.unhealthy(f"{self.probe.name} probe {what}: {outcome.says}")
                if tried and belief.hear(False):
                    return False
            await self.clock.sleep(min(self.probe.period, self.hurry))

    def _counts(self) -> bool:
        """Whether a failure counts now: once in a period, and not before the delay is over."""
        now = self.clock.monotonic()
        if now < self._counted + self.probe.period:
            return False
        self._counted = now
        return True

    async def pause(self) -> None:
        """Wait as long as between two questions."""
        await self.clock.sleep(self.probe.period)
