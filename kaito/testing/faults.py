"""What goes wrong between a client and its API server, on request.

    faults.on("patch", CONFIG_MAPS, times=2).fails(503)
    faults.on("create", PODS).loses_the_answer()
    faults.cut_watches()

Verbs are those of roles: get, list, watch, create, update, patch, delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kaito.runtime import Resource

# The server is imported where it is used: whoever needs a clock alone has no `kaito[local]`.
if TYPE_CHECKING:
    from kaito.local.apiserver import ApiServer, Fault, Request
    from kaito.local.apiserver.faults import Answer

VERBS = frozenset({"", "get", "list", "watch", "create", "update", "patch", "delete"})
_REASONS: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that a fault strikes; say what happens to them with one of its verbs.

    Each verb returns the fault, whose `seen` counts the requests struck so far.
    """

    server: ApiServer
    verb: str
    resource: Resource[Any] | None
    name: str
    times: int | None

    def fails(self, code: int = 500, reason: str = "", message: str = "") -> Fault:
        """A Status of failure. The reason follows from the code when it is left out."""
        from kaito.local.apiserver import Fails

        reason = reason or _REASONS.get(code, "InternalError")
        return self._strike(Fails(code, reason, message or f"{reason}, said the test"))

    def too_many(self, retry_after: int = 1) -> Fault:
        """429 with Retry-After in seconds."""
        from kaito.local.apiserver import TooMany

        return self._strike(TooMany(retry_after))

    def delays(self, seconds: float) -> Fault:
        """Served as usual, `seconds` late."""
        from kaito.local.apiserver import Delays

        return self._strike(Delays(seconds))

    def hangs(self) -> Fault:
        """No answer ever comes."""
        from kaito.local.apiserver import Hangs

        return self._strike(Hangs())

    def breaks(self) -> Fault:
        """The connection breaks before the request is served."""
        from kaito.local.apiserver import Resets

        return self._strike(Resets())

    def loses_the_answer(self) -> Fault:
        """The request is served, and the connection breaks before the answer arrives."""
        from kaito.local.apiserver import Resets

        return self._strike(Resets(after=True))

    def _strike(self, answer: Answer) -> Fault:
        from kaito.local.apiserver import Fault

        return self.server.faults.add(Fault(answer, self._matches, self.times))

    def _matches(self, request: Request) -> bool:
        from kaito.local.apiserver.paths import target

        goal = target(request.path)
        if goal is None:
            return False
        resource = self.resource
        if resource is not None and (resource.group, resource.plural) != (goal.group, goal.plural):
            return False
        if self.name and self.name != goal.name:
            return False
        return not self.verb or self.verb == goal.verb(request.method, request.parameters())


class Faults:
    """The faults of one API server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def on(
        self,
        verb: str = "",
        resource: Resource[Any] | None = None,
        *,
        name: str = "",
        times: int | None = 1,
    ) -> Requests:
        """The next `times` requests with this verb, resource and name; what is left out matches
        anything, and `times` None means until `clear`. ValueError for a verb there is not."""
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no verb; there are {', '.join(sorted(VERBS - {''}))}.")
        return Requests(self._server, verb, resource, name, times)

    def cut_watches(self) -> int:
        """Break every running watch off; gives how many there were."""
        return self._server.cut_watches()

    def forget_history(self) -> None:
        """Compact: what happened until now can no longer be watched from (410)."""
        self._server.compact()

    def clear(self) -> None:
        """End every fault."""
        self._server.faults.clear()
