"""What a cloud's refusal means for us: every failure is given a way out before anybody acts on it.

A failure is a value, so that decisions about it stay pure; `CloudError` carries it through a call.
This module knows no cloud's codes: an adapter translates its own (aks/errors.py). What stood in
the way is a `Cause` of kaito.api.launch, whose value is the reason of the claim's condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kaito.api.launch import Cause

__all__ = ["Cause", "CloudError", "Failure", "Quota", "Way", "one_line"]


class Way(StrEnum):
    """What to do after a failure."""

    RETRY = "retry"
    """The same call may succeed later without anybody changing anything."""
    ANOTHER = "another way"
    """This instance type cannot be had now; another one may."""
    USER = "needs the user"
    """Somebody must change a right, a limit or a setting; ask again from time to time."""
    HOPELESS = "hopeless"
    """The request itself is wrong. Repeating it is useless until its Machine changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the cloud says of a quota that is too small; "" and None stand for what it does not."""

    name: str = ""
    location: str = ""
    limit: int | None = None
    used: int | None = None
    needed: int | None = None
    """How much more was asked for."""
    raise_to: int | None = None
    """The least limit that would do."""
    left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One refusal, classified."""

    way: Way
    cause: Cause
    code: str
    """The cloud's own code, "" when it gave none."""
    message: str
    """The cloud's own words, on one line."""
    advice: str
    """What a person can do about it, one clause without a final full stop; "" when nothing."""
    retry_after: float | None = None
    """Seconds the cloud asked us to wait, None when it did not say."""
    quota: Quota | None = None
    """What is known of the quota; None when the cause is none."""
    policy: str = ""
    """The name of the policy that forbade it, "" when unknown or none did."""
    asked: bool = True
    """Whether the cloud was asked: what it is known to refuse is refused in its stead."""

    def __str__(self) -> str:
        """The cloud's words, its code unless they already name it, and the way out."""
        code = f" ({self.code})" if self.code and self.code not in self.message else ""
        said = f"{self.message.rstrip('. ')}{code}."
        return f"{said} {self.advice[:1].upper()}{self.advice[1:]}." if self.advice else said


class CloudError(Exception):
    """A call to the cloud failed; `.failure` says what that means."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def one_line(text: str, most: int) -> str:
    """Words of somebody else on one line of at most so many characters, with nothing in them that
    moves a terminal's cursor or turns its direction."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(plain.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
