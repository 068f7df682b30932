"""Counters in the status of workloads: none below zero, none above the whole, none going back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.behaviours.podspec.checks import not_negative
from kaito.local.apiserver.fields import FieldError, wrong

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """`parts` are at most `replicas`; `alone` only may not be negative.

    `above` says why more pods cannot be available than ready.
    """

    parts: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    above: str = "cannot be greater than readyReplicas"
    kept: tuple[str, ...] = ("collisionCount",)

    def check(self) -> Callable[[Object, Object], list[FieldError]]:
        """The rule as a hook for writes to /status."""
        return lambda new, old: list(self._faults(new.get("status") or {}, old.get("status") or {}))

    def _faults(self, status: Object, before: Object) -> Iterator[FieldError]:
        for name in (*self.parts, *self.alone, *self.kept):
            yield from not_negative(status.get(name), f"status.{name}")
        for name in self.parts:
            if status.get(name, 0) > status.get("replicas", 0):
                why = "cannot be greater than status.replicas"
                yield wrong(f"status.{name}", status.get(name, 0), why)
        available = status.get("availableReplicas", 0)
        if "availableReplicas" in self.parts and available > status.get("readyReplicas", 0):
            yield wrong("status.availableReplicas", available, self.above)
        for name in self.kept:
            if name in before and status.get(name, -1) < before[name]:
                yield wrong(f"status.{name}", status.get(name, 0), "cannot be decremented")


DEPLOYMENT = Counts(
    parts=("updatedReplicas", "readyReplicas", "availableReplicas"),
    alone=("replicas", "unavailableReplicas", "terminatingReplicas", "observedGeneration"),
)
REPLICA_SET = Counts(
    parts=("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    alone=("replicas", "terminatingReplicas", "observedGeneration"),
    kept=(),
)
STATEFUL_SET = Counts(
    parts=("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    alone=("replicas", "observedGeneration"),
    above="cannot be greater than status.readyReplicas",
)
DAEMON_SET = Counts(
    alone=(
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "observedGeneration",
    ),
)
