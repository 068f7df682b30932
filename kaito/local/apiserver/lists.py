"""Lists: what a list or a page of it holds, at which revision, under which selectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kaito.local.apiserver.continuation import read_token, token
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.listoptions import ListOptions, Selection, parse_revision
from kaito.local.apiserver.status import StatusError, bad_request, expired
from kaito.local.apiserver.storage import Bucket, Compacted, Record

FUTURE_WAIT = 3.0  # seconds a read waits for a revision that has not happened yet
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)


@dataclass(slots=True)
class Page:
    """The records of one answer and the list metadata that goes with them."""

    records: list[Record]
    revision: int
    continuation: str = ""
    remaining: int | None = None

    def metadata(self, *, custom: bool = False) -> dict[str, Any]:
        """Lists of custom resources always carry a continue token, if an empty one."""
        found: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.continuation or custom:
            found["continue"] = self.continuation
        if self.remaining is not None:
            found["remainingItemCount"] = self.remaining
        return found


class Lister:
    """Lists objects of any kind."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def page(self, kind: Kind, namespace: str, options: ListOptions) -> Page:
        """Raises StatusError."""
        options.check_list()
        chosen = options.selection(kind)
        bucket = self._core.store.bucket(kind.bucket)
        limit = options.limit if options.version != "0" else 0  # the watch cache knows no pages
        state: dict[str, Record] | None = None
        start = ""
        if options.continuation:
            at, start = read_token(options.continuation)
            if options.version not in {"", "0"}:
                raise bad_request("specifying resource version is not allowed when using continue")
            await self._seen(at)
            state = self._continued(bucket, at, start)
            revision = at if state is not None else self._core.store.revision
        else:
            version = parse_revision(options.version, listing=True) or 0
            await self._seen(version)
            revision = self._core.store.revision
            exact = options.match == "Exact" or bool(limit and not options.match)
            if version and exact:
                revision, state = version, self._at(bucket, version)
            elif options.version and bucket.behind is not None and version <= bucket.behind:
                revision, state = bucket.behind, self._at(bucket, bucket.behind)
        return self._collect(kind, bucket, namespace, chosen, state, revision, limit, start)

    async def _seen(self, revision: int) -> None:
        if revision > self._core.store.revision:
            await self.wait_for(revision)

    def _at(self, bucket: Bucket, revision: int) -> dict[str, Record]:
        try:
            return bucket.at(revision)
        except Compacted as error:
            raise expired("The resourceVersion for the provided list is too old.") from error

    @staticmethod
    def _continued(bucket: Bucket, at: int, start: str) -> dict[str, Record] | None:
        """The objects at a token's revision; None for the newest."""
        if at < 0:
            return None
        try:
            return bucket.at(at)
        except Compacted as error:
            fresh = expired(TOO_OLD)
            fresh.details = None
            fresh.continuation = token(-1, start.removesuffix("\0"))
            raise fresh from error

    async def wait_for(self, revision: int) -> None:
        """Wait a little for a revision of the future. Raises StatusError when it does not come."""
        clock, store = self._core.clock, self._core.store
        deadline = clock.now() + FUTURE_WAIT
        while store.revision < revision:
            if clock.now() >= deadline:
                raise future(revision, store.revision)
            await clock.sleep(0.05)

    def _collect(
        self,
        kind: Kind,
        bucket: Bucket,
        namespace: str,
        chosen: Selection,
        state: dict[str, Record] | None,
        revision: int,
        limit: int,
        start: str,
    ) -> Page:
        prefix = f"{namespace}/" if namespace and kind.namespaced else ""
        objects = bucket.objects if state is None else state
        if chosen.name and (prefix or not kind.namespaced):
            found = objects.get(prefix + chosen.name)
            hit = [found] if found is not None and chosen.takes(found) else []
            return Page(hit, revision)
        first = prefix + start
        if state is None:
            keys = list(bucket.keys(prefix, first))
        else:
            keys = sorted(k for k in state if k.startswith(prefix) and k >= first)
        if not limit:
            if chosen.everything:
                return Page([objects[k] for k in keys], revision)
            return Page([r for k in keys if chosen.takes(r := objects[k])], revision)
        records: list[Record] = []
        for i, key in enumerate(keys, 1):
            record = objects[key]
            if not chosen.takes(record):
                continue
            records.append(record)
            if len(records) == limit and i < len(keys):
                left = len(keys) - i if chosen.everything else None
                return Page(records, revision, token(revision, key[len(prefix) :]), left)
        return Page(records, revision)


def future(wanted: int, present: int) -> StatusError:
    """504: the server has not seen this revision."""
    text = f"Too large resource version: {wanted}, current: {present}"
    return StatusError(
        504,
        "Timeout",
        f"Timeout: {text}",
        {
            "retryAfterSeconds": 1,
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
        },
        retry_after=1,
    )


_encode = msgspec.json.Encoder().encode


def list_body(kind: Kind, page: Page) -> bytes:
    """The list's JSON and the end of the line, its items joined as they are stored.

    Lists are large, so they are put together once: copying one again costs as much as all the rest.
    """
    version, named = {"apiVersion": kind.api_version}, {"kind": kind.list_kind}
    metadata = {"metadata": page.metadata(custom=kind.custom)}
    if kind.custom:
        head, tail = _encode(version), b"]," + _encode({**named, **metadata})[1:] + b"\n"
    else:
        head, tail = _encode({**named, **version, **metadata}), b"]}\n"
    head = head[:-1] + b',"items":['
    items = list(map(kind.item, page.records))
    if not items:
        return head + tail
    items[0] = head + items[0]
    items[-1] += tail
    return b",".join(items)
