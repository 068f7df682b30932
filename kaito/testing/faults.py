"""What goes wrong between a client and its API server, on request.

    faults.on("patch", CONFIG_MAPS, times=2).fails(503)
    faults.on("create", PODS).loses_the_answer()
    faults.cut_watches()
    with faults.behind(PODS):
        ...

Verbs are those of roles: get, list, watch, create, update, patch, delete, deletecollection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kaito.runtime import Resource

# The server is imported where it is used: whoever needs a clock alone has no `kaito[local]`.
if TYPE_CHECKING:
    from kaito.local.apiserver import ApiServer, Fault, Request
    from kaito.local.apiserver.faults import Answer
    from kaito.local.apiserver.storage import Bucket
    from kaito.local.apiserver.watches import Watch

VERBS = frozenset(
    {"", "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
)
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


Run = Callable[[Callable[[], int]], int]
"""Carries out work in the event loop of a server, wherever it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests that a fault strikes; say what happens to them with one of its verbs.

    Each verb returns the fault, whose `seen` counts the requests struck so far.
    """

    server: ApiServer
    verb: str = ""
    resource: Resource[Any] | None = None
    namespace: str = ""
    name: str = ""
    subresource: str | None = None
    manager: str = ""
    after: int = 0
    times: int | None = 1

    def fails(self, code: int = 500, reason: str = "", message: str = "") -> Fault:
        """A Status of failure. The reason follows from the code when it is left out."""
        from kaito.local.apiserver import Fails

        reason = reason or _REASONS.get(code, "InternalError")
        return self._strike(Fails(code, reason, message or f"{reason}, said the test"))

    def conflicts(self) -> Fault:
        """409: as though another had written first. Read again, and decide anew."""
        return self.fails(409, "Conflict", "the object has been modified, said the test")

    def too_many(self, retry_after: int = 1) -> Fault:
        """429 with Retry-After in seconds."""
        from kaito.local.apiserver import TooMany

        return self._strike(TooMany(retry_after))

    def delays(self, seconds: float) -> Fault:
        """Served as usual, `seconds` late by the clock of the cluster."""
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

        fault = Fault(answer, self._matches, self.times, spared=self.after)
        return self.server.faults.add(fault)

    def _matches(self, request: Request) -> bool:
        from kaito.local.apiserver.paths import target

        goal = target(request.path)
        if goal is None:
            return False
        resource = self.resource
        if resource is not None and (resource.group, resource.plural) != (goal.group, goal.plural):
            return False
        if self.namespace not in ("", goal.namespace) or self.name not in ("", goal.name):
            return False
        if self.subresource not in (None, goal.subresource):
            return False
        query = request.parameters()
        if self.manager not in ("", query.get("fieldManager")):
            return False
        return self.verb in ("", goal.verb(request.method, query))


class Lasting:
    """A fault that lasts until `end`, the end of a `with` block over it, or `clear`."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end
        """End it; harmless when it has ended."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Faults:
    """The faults of one API server. `run` is needed where that lives on another thread."""

    def __init__(self, server: ApiServer, run: Run = lambda work: work()) -> None:
        self._server = server
        self._run = run

    def on(
        self,
        verb: str = "",
        resource: Resource[Any] | None = None,
        *,
        namespace: str = "",
        name: str = "",
        subresource: str | None = None,
        manager: str = "",
        after: int = 0,
        times: int | None = 1,
    ) -> Requests:
        """The next `times` requests that fit, once `after` of them have passed unharmed; `times`
        None means until `clear`. What is left out matches anything.

        `subresource` is "status" or the like, "" for the object itself. `manager` is the field
        manager of a write, so that those of the test itself can be left alone. ValueError for a
        verb there is not.
        """
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no verb; there are {', '.join(sorted(VERBS - {''}))}.")
        return Requests(
            server=self._server,
            verb=verb,
            resource=resource,
            namespace=namespace,
            name=name,
            subresource=subresource,
            manager=manager,
            after=after,
            times=times,
        )

    # Of watches; without a resource, of all. Each gives how many watches there were.

    def cut_watches(self, resource: Resource[Any] | None = None) -> int:
        """Break running watches off. They can be taken up where they ended."""
        return self._each(resource, lambda watch: watch.cut())

    def expire_watches(self, resource: Resource[Any] | None = None) -> int:
        """End running watches with 410 Gone: what they have seen is to be listed anew."""
        from kaito.local.apiserver.status import expired

        gone = expired("The resourceVersion for the provided watch is too old.")
        return self._each(resource, lambda watch: watch.fail(gone))

    def send_bookmarks(self, resource: Resource[Any] | None = None) -> int:
        """Send bookmarks, which servers send once a minute, now."""
        return self._each(resource, lambda watch: watch.bookmark())

    def behind(self, resource: Resource[Any] | None = None) -> Lasting:
        """From now on the server's watch cache lags, as that of a replica may: watches are told
        nothing but bookmarks, and lists from the cache (resourceVersion 0, as informers ask for
        them) are stale. Writes, gets and consistent lists see the truth. When it ends, watches
        are told what they missed."""
        buckets = self._buckets(resource)

        def fall() -> int:
            for bucket in buckets:
                if bucket.behind is None:  # one that lags already goes on lagging from there
                    bucket.behind = self._server.core.store.revision
            return len(buckets)

        self._run(fall)
        return Lasting(lambda: self._catch_up(buckets))

    def forget_history(self) -> None:
        """Compact: what happened until now can no longer be watched from (410)."""
        self._run(self._server.compact)

    def webhook_down(self, name: str = "") -> Lasting:
        """From now on nobody listens where the admission webhook of this name is, or any of them:
        its failurePolicy decides."""
        down = self._server.faults.webhooks_down
        down.add(name)
        return Lasting(lambda: down.discard(name))

    def clear(self) -> None:
        """End every fault."""
        self._server.faults.clear()
        self._catch_up(self._buckets(None))

    def _each(self, resource: Resource[Any] | None, strike: Callable[[Watch], None]) -> int:
        names = {bucket.name for bucket in self._buckets(resource)}

        def work() -> int:
            running = [w for w in self._server.handlers.watches if w.bucket.name in names]
            for watch in running:
                strike(watch)
            return len(running)

        return self._run(work)

    def _catch_up(self, buckets: list[Bucket]) -> None:
        lagging = {bucket.name: bucket.behind for bucket in buckets if bucket.behind is not None}

        def work() -> int:
            for bucket in buckets:
                bucket.behind = None
            told = [w for w in self._server.handlers.watches if w.bucket.name in lagging]
            for watch in told:
                watch.catch_up(lagging[watch.bucket.name])
            return len(told)

        self._run(work)

    def _buckets(self, resource: Resource[Any] | None) -> list[Bucket]:
        server = self._server
        if resource is None:
            kinds = list(server.kinds)
        else:
            kind = server.kinds.get(resource.group, resource.version, resource.plural)
            if kind is None:
                raise LookupError(f"{resource} is not served here; `install` its definition first.")
            kinds = [kind]
        return [server.core.store.bucket(name) for name in dict.fromkeys(k.bucket for k in kinds)]
