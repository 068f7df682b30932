"""The Status bodies of failures, as exceptions: one constructor for each reason clients know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaito.local.apiserver.fields import FieldError
    from kaito.local.apiserver.kinds import Kind

TRY_AGAIN = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class StatusError(Exception):
    """An answer that is a Status of failure. `retry_after` (seconds) becomes a header.

    `continuation` is a fresh continue token, `warnings` what was found before the failure.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details) if details is not None else None
        self.retry_after = retry_after
        self.continuation = ""
        self.warnings: list[str] = []

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


class PlainError(Exception):
    """An answer that is plain text, as for a path that nobody serves."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def named(group: str, kind: str, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def not_found(group: str, plural: str, name: str) -> StatusError:
    return StatusError(
        404,
        "NotFound",
        f'{qualified(group, plural)} "{name}" not found',
        named(group, plural, name),
    )


def no_resource() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def no_page() -> PlainError:
    return PlainError(404, "404 page not found\n")


def already_exists(group: str, plural: str, name: str) -> StatusError:
    return StatusError(
        409,
        "AlreadyExists",
        f'{qualified(group, plural)} "{name}" already exists',
        named(group, plural, name),
    )


def conflict(group: str, plural: str, name: str, why: str = TRY_AGAIN) -> StatusError:
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}',
        named(group, plural, name),
    )


def forbidden(group: str, plural: str, name: str, why: str) -> StatusError:
    target = qualified(group, plural)
    what = f'{target} "{name}" is forbidden: {why}' if name else f"{target} is forbidden: {why}"
    return StatusError(403, "Forbidden", what, named(group, plural, name))


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def internal(message: str) -> StatusError:
    """A failure that the server wraps itself: reason InternalError and a cause."""
    return StatusError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )


def plain_failure(message: str) -> StatusError:
    """A failure that reached the client as it was: 500 without a reason."""
    return StatusError(500, "", message)


def method_not_allowed() -> StatusError:
    return StatusError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        {},
    )


def unsupported_verb(kind: Kind, verb: str) -> StatusError:
    """405 of a custom resource, which names the resource."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{qualified(kind.group, kind.plural)}"',
        named(kind.group, kind.plural, ""),
    )


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422 with one cause per field error, in the order given."""
    causes, texts = [], []
    for error in errors:
        causes.append(error.cause())
        text = str(error)
        if text not in texts:
            texts.append(text)
    target = qualified(group, kind)
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = named(group, kind, name)
    details["causes"] = causes
    message = (
        f'{target} "{name}" is invalid: {listed}' if texts else f'{target} "{name}" is invalid'
    )
    return StatusError(422, "Invalid", message, details)
