"""A container behind which nothing runs: its state follows from the time since it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaito.local.pods.containers import REASON_COMPLETED, ContainerState
from kaito.local.pods.simulation import Moment, at
from kaito.local.profile import Profile
from kaito.runtime import Object


@dataclass(frozen=True, slots=True)
class SimulatedContainer:
    """`began` counts by a monotonic clock, `since` from the epoch; both in seconds."""

    container: Mapping[str, Any]
    began: float
    since: float
    at_once: bool = False
    """Whether it has done its work as soon as it begins, as simulated init containers have."""

    def moment(self, pod: Object, monotonic: float, profile: Profile) -> Moment:
        """Its state now, and when it changes."""
        if not self.at_once:
            return at(monotonic - self.began, self.since, self.container, pod, profile)
        done = ContainerState(
            is_="terminated", reason=REASON_COMPLETED, started=self.since, ended=self.since
        )
        return Moment(done)
