"""What the cloud says when it refuses: HTTP status, ARM error code, message, details.

AKS answers in two forms, the ARM envelope {"error": {...}} and a flat object; clients must read
both, so both occur here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request or a long operation failed."""

    code: str
    message: str
    details: tuple[Failure, ...] = ()

    def wire(self) -> dict[str, Any]:
        """As it stands in an ARM error envelope or in an operation."""
        return {
            "code": self.code,
            "message": self.message,
            "details": [detail.wire() for detail in self.details],
        }


class ArmError(Exception):
    """A request that is refused. The endpoint turns it into the answer.

    `flat` chooses the second form of the body. `headers` are sent along (Retry-After, say).
    """

    def __init__(
        self,
        status: int,
        failure: Failure,
        *,
        headers: Mapping[str, str] | None = None,
        flat: bool = False,
    ) -> None:
        super().__init__(f"{status} {failure.code}: {failure.message}")
        self.status = status
        self.failure = failure
        self.headers = dict(headers or {})
        self.flat = flat

    def body(self) -> bytes:
        """The JSON body of the answer."""
        if self.flat:
            wire = {**self.failure.wire(), "details": None, "subcode": ""}
        else:
            wire = {"error": self.failure.wire()}
        return json.dumps(wire).encode()


def refuse(status: int, code: str, message: str) -> ArmError:
    """The plain case: one code and one sentence in the envelope."""
    return ArmError(status, Failure(code=code, message=message))


def pool_not_found() -> ArmError:
    """404 in the words that clients match."""
    return refuse(404, "NotFound", "Agent Pool not found")


def busy(verb: str, pool: str) -> ArmError:
    """409 while a long operation of the pool is running; `verb` says what it is doing."""
    return refuse(
        409,
        "OperationNotAllowed",
        f"Operation is not allowed because there's an in progress {verb} node pool operation "
        f"on node pool {pool}. Wait for it to finish, or abort it, before starting another.",
    )
