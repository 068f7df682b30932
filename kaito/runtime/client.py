"""The API server's verbs as coroutines, for typed and untyped objects.

Errors are typed (errors.py). Calls are repeated only where that is safe: when the server itself
asks for it with Retry-After, and reads whose connection broke. Everything else is the caller's
decision. Reads go to the server; caches are informers, and nothing here starts one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from kaito.runtime import fence
from kaito.runtime.clock import Clock, SystemClock, deadline
from kaito.runtime.errors import (
    ApiError,
    CallTimedOut,
    ConnectionFailed,
    Expired,
    ServerError,
    TooManyRequests,
    api_error,
)
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object, Resource
from kaito.runtime.transport import Call, Reply, Transport
from kaito.runtime.wire import Page, split_page

T = TypeVar("T")

MAX_RETRIES = 10  # client-go's limit for answers that carry Retry-After
RECONNECT_SECONDS = 1.0  # client-go's pause before a broken read is repeated
PAGE_SIZE = 500  # client-go's page
JSON = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A whole list, and the version at which it is true."""

    items: list[T]
    resource_version: str


class Client:
    """Talks to one API server as one field manager. Close it, or use `async with`.

    Every verb raises the errors of errors.py: ApiError when the server refuses, ConnectionFailed
    when no answer came, CallTimedOut when none came within `timeout` seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str = "kaito-runtime",
        timeout: float = 30.0,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.field_manager = field_manager
        self._transport = transport
        self._timeout = timeout
        self._metrics = metrics or Metrics()
        self._clock = clock or SystemClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, running watches included."""
        await self._transport.aclose()

    # Reading

    async def get(self, resource: Resource[T], key: Key) -> T:
        """One object as it is now."""
        body = await self.send(self._call("GET", resource.path(*key)))
        return resource.decode(body)

    async def list(
        self, resource: Resource[T], *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Listing[T]:
        """All objects that match, read page by page; consistent as of one version."""
        items: list[T] = []
        version = ""
        async for page in self.pages(resource, namespace=namespace, labels=labels, fields=fields):
            if page.begins_anew:
                items.clear()
            items += [resource.decode(bytes(item)) for item in page.items]
            version = page.metadata.resource_version
        return Listing(items, version)

    async def pages(
        self,
        resource: Resource[T],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[Page]:
        """The pages of a list, undecoded.

        When a continue token expires on the way, the list begins anew, unpaged: that page says
        so (`begins_anew`), and the pages before it must be forgotten.
        """
        query = _selectors(labels, fields)
        if resource_version:
            query["resourceVersion"] = resource_version
        if page_size:
            query["limit"] = str(page_size)
        path = resource.path(namespace)
        while True:
            try:
                page = split_page(await self.send(self._call("GET", path, query)))
            except Expired:
                if "continue" not in query:
                    raise
                query = _selectors(labels, fields)
                page = split_page(await self.send(self._call("GET", path, query)))
                page.begins_anew = True
            yield page
            if not page.metadata.next:
                return
            # A continue token carries its version; sending one again is an error.
            query.pop("resourceVersion", None)
            query["continue"] = page.metadata.next

    async def open_watch(
        self,
        resource: Resource[T],
        *,
        resource_version: str,
        timeout_seconds: int,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
    ) -> Reply:
        """A running watch; the caller reads its chunks and closes it."""
        query = _selectors(labels, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        call = replace(self._call("GET", resource.path(namespace), query), timeout=None)
        # The answer's head must come in time even though its body may last.
        async with self._deadline(self._timeout, call):
            reply = await self._transport.send(call)
            self._count(call, str(reply.status))
            if reply.status >= 400:
                try:
                    raise api_error(reply.status, await reply.read(), call, reply.headers)
                finally:
                    await reply.aclose()
        return reply

    # Writing

    async def create(self, resource: Resource[T], obj: T | Object, *, namespace: str = "") -> T:
        """Create an object; AlreadyExists when its name is taken."""
        body = resource.encode(obj)
        where = namespace or _name_of(body).namespace
        path = resource.path(where if resource.namespaced else "")
        return await self._write("POST", resource, path, body)

    async def update(self, resource: Resource[T], obj: T | Object) -> T:
        """Replace an object. Conflict when its resourceVersion is no longer the current one."""
        return await self._replace(resource, obj, "")

    async def update_status(self, resource: Resource[T], obj: T | Object) -> T:
        """Replace an object's status; everything else in `obj` is ignored by the server."""
        return await self._replace(resource, obj, "status")

    async def patch(
        self,
        resource: Resource[T],
        key: Key,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> T:
        """Merge `patch` (RFC 7386) into an object; null removes, lists are replaced whole.

        Put metadata.resourceVersion into the patch to have it refused (Conflict) when somebody
        wrote in between.
        """
        path = resource.path(*key, subresource)
        body = msgspec.json.encode(patch)
        return await self._write("PATCH", resource, path, body, "application/merge-patch+json")

    async def apply(
        self,
        resource: Resource[T],
        obj: Object,
        *,
        subresource: str = "",
        force: bool = True,
        field_manager: str = "",
    ) -> T:
        """Server-side apply: the object shall have these fields, and they are ours.

        Fields that we applied before and leave out now are removed. With `force` a field that
        somebody else owns is taken over; without it that is a Conflict naming the owner.
        """
        path = resource.path(*_key_of(resource, obj), subresource)
        query = {
            "fieldManager": field_manager or self.field_manager,
            "force": "true" if force else "false",
        }
        body = msgspec.json.encode(obj)
        return await self._write(
            "PATCH", resource, path, body, "application/apply-patch+yaml", query
        )

    async def delete(
        self,
        resource: Resource[Any],
        key: Key,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object; NotFound when it is not there.

        With `uid` or `resource_version` only that very object or version: Conflict otherwise.
        `propagation` is Foreground, Background or Orphan. Returning does not mean that the
        object is gone: finalizers may hold it.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if any(conditions.values()):
            options["preconditions"] = {name: text for name, text in conditions.items() if text}
        if propagation:
            options["propagationPolicy"] = propagation
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        call = self._call("DELETE", resource.path(*key), body=msgspec.json.encode(options))
        answer = msgspec.json.decode(await self.send(call), type=_Deleted)
        gone = answer.kind == "Status"
        fence.note(
            fence.Write(
                resource,
                key,
                answer.details.uid or uid if gone else answer.metadata.uid,
                "" if gone else answer.metadata.resource_version,
            )
        )

    # Exchanging

    async def send(self, call: Call) -> bytes:
        """One call and its whole answer; ApiError for an error status.

        A pause that the server asks for is slept through here only when it is no longer than
        the call may take; a longer one is the caller's, who reads it from `.retry_after`.
        """
        longest = float("inf") if call.timeout is None else call.timeout
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._exchange(call)
            except ApiError as error:
                # Only when the server says when: anything else might be sent twice in vain.
                asked = isinstance(error, TooManyRequests | ServerError)
                if error.retry_after is None or not asked or attempt > MAX_RETRIES:
                    raise
                if error.retry_after > longest:
                    raise
                code, pause = str(error.status.code), error.retry_after
            except ConnectionFailed:
                if call.method != "GET" or attempt > 1:
                    raise
                code, pause = "<error>", RECONNECT_SECONDS
            self._metrics.request_retries.labels(code, call.method, self._transport.host).inc()
            await self._clock.sleep(pause)

    async def _exchange(self, call: Call) -> bytes:
        started = self._clock.monotonic()
        code = "<error>"
        try:
            async with self._deadline(call.timeout, call):
                reply = await self._transport.send(call)
                try:
                    body = await reply.read()
                    code = str(reply.status)
                finally:
                    await reply.aclose()
        finally:
            self._count(call, code)
            took = self._clock.monotonic() - started
            self._metrics.request_duration.labels(call.method, self._transport.host).observe(took)
        if reply.status >= 400:
            raise api_error(reply.status, body, call, reply.headers)
        return body

    async def _replace(self, resource: Resource[T], obj: T | Object, subresource: str) -> T:
        body = resource.encode(obj)
        path = resource.path(*_name_of(body), subresource)
        return await self._write("PUT", resource, path, body)

    async def _write(
        self,
        method: str,
        resource: Resource[T],
        path: str,
        body: bytes,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> T:
        parameters = {"fieldManager": self.field_manager, **(query or {})}
        call = replace(
            self._call(method, path, parameters, body),
            headers={**JSON, "Content-Type": content_type},
        )
        answer = await self.send(call)
        written = msgspec.json.decode(answer, type=_Named).metadata
        key = Key(written.namespace, written.name)
        fence.note(fence.Write(resource, key, written.uid, written.resource_version))
        return resource.decode(answer)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Call:
        return Call(
            method=method,
            path=path,
            query=dict(query or {}),
            headers=JSON,
            body=body,
            timeout=self._timeout,
        )

    @asynccontextmanager
    async def _deadline(self, seconds: float | None, call: Call) -> AsyncIterator[None]:
        """A deadline whose error says which call it was."""
        try:
            async with deadline(self._clock, seconds):
                yield
        except TimeoutError as error:
            if isinstance(error, CallTimedOut):
                raise
            raise CallTimedOut(f"{call} got no complete answer within {seconds} s.", call) from None

    def _count(self, call: Call, code: str) -> None:
        self._metrics.requests.labels(code, call.method, self._transport.host).inc()


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta


class _DeletedDetails(msgspec.Struct):
    uid: str = ""


class _Deleted(msgspec.Struct):
    """Either a Status (gone) or the object (held by finalizers or its grace period)."""

    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    details: _DeletedDetails = msgspec.field(default_factory=_DeletedDetails)


def _name_of(body: bytes) -> Key:
    metadata = msgspec.json.decode(body, type=_Named).metadata
    return Key(metadata.namespace, metadata.name)


def _key_of(resource: Resource[Any], obj: Object) -> Key:
    key = Key.of(obj)
    return key if resource.namespaced else Key("", key.name)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    query = {"labelSelector": labels, "fieldSelector": fields}
    return {name: text for name, text in query.items() if text}
