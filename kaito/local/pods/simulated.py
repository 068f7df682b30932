"""A container behind which nothing runs: its state follows from the time since it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaito.local.pods.containers import REASON_COMPLETED, ContainerState
from kaito.local.pods.events import Told
from kaito.local.pods.simulation import Moment, at, told
from kaito.local.profile import Profile
from kaito.local.rehearsal import Asked
from kaito.runtime import Object


@dataclass(slots=True)
class SimulatedContainer:
    """`began` counts by a monotonic clock, `since` from the epoch; both in seconds."""

    container: Mapping[str, Any]
    began: float
    since: float
    at_once: bool = False
    """Whether it has done its work as soon as it begins, as simulated init containers have."""
    restored: bool = False
    """Whether it ran already under an earlier run of the cluster: then nothing is told again."""
    _told: ContainerState | None = None

    def moment(self, pod: Object, monotonic: float, profile: Profile, asked: Asked) -> Moment:
        """Its state now, and when it changes."""
        if not self.at_once:
            began = monotonic - self.began
            return at(began, self.since, self.container, pod, profile, asked)
        done = ContainerState(
            is_="terminated", reason=REASON_COMPLETED, started=self.since, ended=self.since
        )
        return Moment(done)

    def news(self, state: ContainerState, pod: Object) -> list[Told]:
        """What is to be told now that this is its state."""
        before, self._told = self._told, state
        if before is None and self.restored:
            return []
        return told(before, state, self.container, pod)
