"""Errors as OpenAI's API has them, so that its clients understand ours. Pure."""

from __future__ import annotations

from types import MappingProxyType

# What OpenAI's clients tell errors apart by, beside the status.
TYPES = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        413: "invalid_request_error",
        429: "rate_limit_error",
        500: "server_error",
        503: "service_unavailable_error",
    }
)


class Refused(Exception):
    """A request that is answered with an error; the message is a sentence for its author."""

    def __init__(self, message: str, *, status: int = 400, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        """The field that it is about."""
        self.code = code
        """What programs go by, such as model_not_found."""

    @property
    def body(self) -> dict[str, object]:
        """What stands in the answer."""
        return error(self.status, str(self), param=self.param, code=self.code)


def error(status: int, message: str, *, param: str = "", code: str = "") -> dict[str, object]:
    """The body of an answer with this status."""
    # Half of a surrogate pair, which JSON may have, is told as it would be written.
    message, param = (each.encode(errors="backslashreplace").decode() for each in (message, param))
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {
        "error": {"message": message, "type": kind, "param": param or None, "code": code or None}
    }
