"""What a cloud's refusal means for us: every failure is given a way out before anybody acts on it.

A failure is a value, so that decisions about it stay pure; `CloudError` carries it through a call.
This module knows no cloud's codes: an adapter translates its own (aks/errors.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


class Cause(StrEnum):
    """What stood in the way."""

    CAPACITY = "capacity"
    QUOTA = "quota"
    SKU = "instance type"
    ACCESS = "access"
    POLICY = "policy"
    SCOPE = "scope"
    LIMIT = "limit"
    BUSY = "busy"
    THROTTLED = "throttled"
    SERVER = "server"
    NETWORK = "network"
    INVALID = "invalid request"
    UNKNOWN = "unknown"

    @property
    def unavailable(self) -> bool:
        """Whether the instance type could not be had, as opposed to not being asked for rightly."""
        return self in {Cause.CAPACITY, Cause.QUOTA, Cause.SKU}


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
