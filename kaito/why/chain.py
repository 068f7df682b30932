"""What an explanation consists of. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kaito.runtime import Key


class Verdict(StrEnum):
    """What there is to expect, and of whom."""

    READY = "ready"
    """It serves, or has been trained."""
    PROGRESSING = "progressing"
    """It is on its way, and nothing is wrong so far."""
    RETRYING = "retrying"
    """Something failed that may pass; it is tried again without anybody."""
    NEEDS_YOU = "needs-you"
    """Somebody has to mend something around it; then it goes on by itself."""
    HOPELESS = "hopeless"
    """As it is written it can never be: the Workspace itself has to be changed."""

    @property
    def fine(self) -> bool:
        """Whether there is nothing to do but to wait."""
        return self in (Verdict.READY, Verdict.PROGRESSING)


class State(StrEnum):
    """How one link of a chain is."""

    DONE = "done"
    WAITING = "waiting"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One thing between the request and the model, and what says how it is."""

    kind: str
    name: str
    namespace: str = ""
    """Empty for what is in no namespace."""
    state: State
    since: float | None = None
    """Since when it is so, in seconds since the epoch; None where nobody wrote that down."""
    evidence: str
    """Where that is written: a condition, a field, an Event."""
    message: str = ""
    """What is written there, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What to do about a cause."""

    what: str
    """One sentence, or two."""
    commands: tuple[str, ...] = ()
    """For a shell, the one that helps most first. Words in capitals are to be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is the matter, before the chain that leads to it."""

    verdict: Verdict
    reason: str
    cause: str
    since: float | None = None
    fix: Fix | None = None
    links: tuple[Link, ...] = ()
    """What only this finding knows, to follow the chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Why a Workspace is as it is."""

    key: Key
    now: float
    """When that was looked at, in seconds since the epoch."""
    verdict: Verdict
    reason: str
    """One word for programs: the reason of the deepest condition that says it."""
    cause: str
    """One sentence for people, in the words of the condition or the Event."""
    since: float | None
    """Since when, in seconds since the epoch; None where nobody wrote that down."""
    fix: Fix | None
    """None where there is nothing to do."""
    links: tuple[Link, ...]
    """From the request on, each following from the one before it."""
    unseen: tuple[str, ...]
    """What could not be looked at, a sentence each: what is said may lack it."""
