"""What can go wrong between us and the API server, named by what the caller should do.

    RuntimeFailure
    ├── ApiError                  the server answered with a Status
    │   ├── BadRequest            400  our request is wrong; repeating it is useless
    │   ├── Unauthorized          401  credentials are missing, wrong or expired
    │   ├── Forbidden             403  a role must be granted
    │   ├── NotFound              404  it is not there (or its kind is not)
    │   ├── Conflict              409  somebody wrote first: read again and recompute
    │   │   └── AlreadyExists     409  somebody created it first
    │   ├── Expired               410  that version is gone: list again
    │   ├── Invalid               422  the object breaks a rule; .causes says which
    │   ├── TooManyRequests       429  wait .retry_after seconds
    │   └── ServerError           5xx  the server's fault; try again later
    ├── ConnectionFailed          no answer, or one that broke off (also an OSError)
    ├── CallTimedOut              no answer in time (also a TimeoutError)
    ├── UnreadableAnswer          an answer of success that is no object of the kind
    └── OversizedLine             a watch sent a line beyond the limit

Every one of them carries `.call`, what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kaito.runtime.transport import NO_PAIRS, Call

_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')


class Cause(msgspec.Struct, frozen=True):
    """One reason of a refusal, as in `details.causes` of a Status."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, rename="camel"):
    """What a Status is about."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """The body of every error of a Kubernetes API server (meta/v1 Status)."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details = msgspec.field(default_factory=Details)


class RuntimeFailure(Exception):
    """Anything this library raises about a call."""

    def __init__(self, message: str, call: Call | None = None) -> None:
        super().__init__(message)
        self.call = call


class ApiError(RuntimeFailure):
    """The server answered, and the answer is a refusal."""

    def __init__(
        self, status: Status, call: Call | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(status.message or status.reason or f"HTTP {status.code}", call)
        self.status = status
        self.retry_after = retry_after
        """Seconds the server asked us to wait, None when it did not say."""

    @property
    def causes(self) -> tuple[Cause, ...]:
        return self.status.details.causes

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything."""
        return False

    @property
    def version_too_large(self) -> bool:
        """Whether the asked resourceVersion lies in this server's future.

        Servers before 1.20 say so only in the message.
        """
        return self.status.reason == "Timeout" and (
            any(cause.reason == "ResourceVersionTooLarge" for cause in self.causes)
            or "Too large resource version" in self.status.message
        )

    @property
    def said(self) -> str:
        """The server's answer in one line, without the call."""
        return f"{self.status.code} {self.status.reason}".rstrip() + f": {self.status.message}"

    def __str__(self) -> str:
        return f"{self.said} ({self.call})" if self.call else self.said


class BadRequest(ApiError):
    """400: the request itself is wrong."""


class Unauthorized(ApiError):
    """401: credentials are missing, wrong or expired."""


class Forbidden(ApiError):
    """403: the user or service account lacks a role for this verb on this resource."""


class NotFound(ApiError):
    """404: the object, or its kind, is not there."""


class Conflict(ApiError):
    """409: somebody wrote first. Read again and recompute; do not resend."""

    @property
    def owners(self) -> Mapping[str, tuple[str, ...]]:
        """Who owns the fields that an apply without force asked for: their paths by manager."""
        found: dict[str, tuple[str, ...]] = {}
        for cause in self.causes:
            if cause.reason == "FieldManagerConflict":
                named = _MANAGER.search(cause.message)
                manager = named[1] if named else cause.message
                found[manager] = (*found.get(manager, ()), cause.field)
        return found


class AlreadyExists(Conflict):
    """409 on create: an object of that name is there already."""


class Expired(ApiError):
    """410: the resourceVersion or continue token is too old. List again."""


class Invalid(ApiError):
    """422: the object breaks rules of its kind; `.causes` names them."""


class TooManyRequests(ApiError):
    """429: the server is protecting itself. Wait `.retry_after` seconds."""

    @property
    def transient(self) -> bool:
        return True


class ServerError(ApiError):
    """5xx: the server's fault, ours to survive."""

    @property
    def transient(self) -> bool:
        return True


class ConnectionFailed(RuntimeFailure, ConnectionError):
    """No answer, or one that broke off in the middle."""


class CallTimedOut(RuntimeFailure, TimeoutError):
    """No complete answer within the call's timeout."""


class UnreadableAnswer(RuntimeFailure):
    """The server, or something before it, answered with success and with no such object."""


class OversizedLine(RuntimeFailure):
    """A watch event is longer than we are willing to hold in memory."""


_BY_CODE: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}
_BY_REASON: Mapping[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Expired,
    "Gone": Expired,
    "TooManyRequests": TooManyRequests,
}
_decode_status = msgspec.json.Decoder(Status).decode


def api_error(
    code: int,
    body: bytes,
    call: Call | None = None,
    headers: Mapping[str, str] = NO_PAIRS,
) -> ApiError:
    """The typed error for an answer with an error status, or for an ERROR event of a watch.

    A body that is no Status (a proxy's page, say) becomes the message, cut at 500 characters.
    """
    try:
        status = _decode_status(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = Status(message=body.decode(errors="replace").strip()[:500])
    if not status.code:
        status = msgspec.structs.replace(status, code=code)
    retry_after = _seconds(headers.get("retry-after"))
    if retry_after is None and status.details.retry_after_seconds:
        retry_after = float(status.details.retry_after_seconds)
    kind = _BY_REASON.get(status.reason) or _BY_CODE.get(status.code)
    if kind is None:
        kind = ServerError if status.code >= 500 else ApiError
    return kind(status, call, retry_after=retry_after)


def _seconds(header: str | None) -> float | None:
    # A date is allowed by HTTP; API servers send whole seconds and client-go reads nothing else.
    return float(header) if header is not None and header.strip().isdigit() else None


def describe(error: BaseException) -> Mapping[str, Any]:
    """The fields of an error that belong in a log line."""
    said = error.said if isinstance(error, ApiError) else str(error)
    fields: dict[str, Any] = {"error": said or type(error).__name__}
    if isinstance(error, RuntimeFailure) and error.call is not None:
        fields["call"] = str(error.call)
    if not isinstance(error, RuntimeFailure):
        fields["type"] = type(error).__name__
    return fields
