"""Refusals of the registry, in the words of the distribution specification."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any


class Code(Enum):
    """Error codes with the status and the words that usually go with them."""

    BLOB_UNKNOWN = 404, "blob unknown to registry"
    BLOB_UPLOAD_INVALID = 400, "blob upload invalid"
    BLOB_UPLOAD_UNKNOWN = 404, "blob upload unknown to registry"
    DIGEST_INVALID = 400, "provided digest did not match uploaded content"
    MANIFEST_BLOB_UNKNOWN = 400, "manifest references a manifest or blob unknown to registry"
    MANIFEST_INVALID = 400, "manifest invalid"
    MANIFEST_UNKNOWN = 404, "manifest unknown to registry"
    NAME_INVALID = 400, "invalid repository name"
    NAME_UNKNOWN = 404, "repository name not known to registry"
    PAGINATION_NUMBER_INVALID = 400, "invalid number of results requested"
    RANGE_INVALID = 416, "invalid content range"
    SIZE_INVALID = 400, "provided length did not match content length"
    TAG_INVALID = 400, "invalid tag"
    TOOMANYREQUESTS = 429, "too many requests"
    UNAUTHORIZED = 401, "authentication required"
    UNKNOWN = 500, "unknown error"
    UNSUPPORTED = 405, "the operation is unsupported"

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


class RegistryError(Exception):
    """A request that is refused. `detail` is any JSON; `headers` are sent along."""

    def __init__(
        self,
        code: Code,
        detail: Any = None,
        *,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code.name}: {code.message}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status or code.status
        self.headers = dict(headers or {})

    def wire(self) -> dict[str, Any]:
        """The JSON body."""
        error = {"code": self.code.name, "message": self.code.message, "detail": self.detail}
        return {"errors": [error]}
