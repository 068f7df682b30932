"""What the cloud says when it refuses: HTTP status, ARM error code, message, details.

Azure answers in two forms: Resource Manager in an envelope {"error": {...}}, and AKS behind it in
a flat object. Clients must read both, so both occur here, each where the real service has it as
far as that is known.
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
    target: str = ""
    details: tuple[Failure, ...] = ()
    information: tuple[Mapping[str, Any], ...] = ()
    """additionalInfo: objects with a type and whatever that type has to say."""

    def wire(self) -> dict[str, Any]:
        """As it stands in an ARM error envelope or in an operation."""
        wire: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "details": [detail.wire() for detail in self.details],
        }
        if self.target:
            wire["target"] = self.target
        if self.information:
            wire["additionalInfo"] = list(self.information)
        return wire


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


class Broken(Exception):
    """A connection that a fault breaks instead of an answer."""


def refuse(status: int, code: str, message: str) -> ArmError:
    """The plain case of Resource Manager: one code and one sentence in the envelope."""
    return ArmError(status, Failure(code=code, message=message))


def refuse_flatly(code: str, message: str, target: str = "") -> ArmError:
    """The plain case of AKS: 400, one code and one sentence in a flat object."""
    return ArmError(400, Failure(code=code, message=message, target=target), flat=True)


def invalid(parameter: str, reason: str) -> ArmError:
    """400 for a value that AKS does not take. `reason` is a sentence without its full stop."""
    return refuse_flatly(
        "InvalidParameter",
        f"The value of parameter {parameter} is invalid. Error details: {reason}.",
        target=parameter,
    )


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
