"""The API server's verbs as coroutines, for typed and untyped objects.

Errors are typed (errors.py), and repeated is only what is safe to repeat (exchange.py). Reads go
to the server; caches are informers, and nothing here starts one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

import msgspec

from kaito.runtime import fence
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.errors import UnreadableAnswer
from kaito.runtime.exchange import Exchange
from kaito.runtime.metrics import Metrics
from kaito.runtime.pages import Page
from kaito.runtime.paging import read_pages
from kaito.runtime.resource import Key, Object, Resource
from kaito.runtime.transport import Call, Reply, Transport

T = TypeVar("T")
M = TypeVar("M", bound=msgspec.Struct)

FieldValidation: TypeAlias = Literal["", "Ignore", "Warn", "Strict"]
"""What the server does about fields it does not know; "" leaves it to the server, which warns."""

PAGE_SIZE = 500  # client-go's page
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A whole list, and the version at which it is true."""

    items: list[T]
    resource_version: str


class Client:
    """Talks to one API server as one field manager. Close it, or use `async with`.

    Every verb raises the errors of errors.py: ApiError when the server refuses, ConnectionFailed
    when no answer came, CallTimedOut when none came within `timeout` seconds, UnreadableAnswer
    when what came is no object of the kind. Warnings of the server are logged, each once.

    With `dry_run` the server goes through every write and keeps none. `field_validation` is sent
    with every write.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str = "kaito-runtime",
        timeout: float = 30.0,
        field_validation: FieldValidation = "",
        dry_run: bool = False,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.field_manager = field_manager
        self.metrics = metrics or Metrics()
        self._timeout = timeout
        self._dry_run = dry_run
        self._validation: FieldValidation = field_validation
        self._clock = clock or SystemClock()
        self._exchange = Exchange(transport, self.metrics, self._clock)
        asked = {"fieldValidation": field_validation, "dryRun": "All" if dry_run else ""}
        self._options = {name: text for name, text in asked.items() if text}

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
        await self._exchange.transport.aclose()

    def with_options(
        self,
        *,
        field_manager: str = "",
        field_validation: FieldValidation | None = None,
        dry_run: bool | None = None,
    ) -> Client:
        """A client over the same connections that writes in another way; closing closes both.

        What is not given stays as it is here.
        """
        return Client(
            self._exchange.transport,
            field_manager=field_manager or self.field_manager,
            timeout=self._timeout,
            field_validation=self._validation if field_validation is None else field_validation,
            dry_run=self._dry_run if dry_run is None else dry_run,
            metrics=self.metrics,
            clock=self._clock,
        )

    # Reading

    async def get(self, resource: Resource[T], key: Key) -> T:
        """One object as it is now."""
        call = self._call("GET", resource.path(*key), accept=resource.accept())
        return resource.decode(await self.send(call), call)

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

    def pages(
        self,
        resource: Resource[T],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> AsyncGenerator[Page, None]:
        """The pages of a list, undecoded.

        With `page_size=0` the whole list is asked for in one answer, which is cut into pages while
        it arrives. When a continue token expires on the way, the list begins anew: the next page
        says so (`begins_anew`), and the pages before it must be forgotten.
        """
        query = _selectors(labels, fields)
        if resource_version:
            query["resourceVersion"] = resource_version
        if page_size:
            query["limit"] = str(page_size)
        accept = resource.accept(many=True)
        call = self._call("GET", resource.path(namespace), query, accept=accept)
        kind = f"{resource.answered_kind}List" if resource.partial else ""
        return read_pages(self._exchange, call, kind=kind, clock=self._clock, silence=self._timeout)

    async def open_watch(
        self,
        resource: Resource[T],
        *,
        resource_version: str,
        timeout_seconds: int,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        initial_events: bool = False,
    ) -> Reply:
        """A running watch; the caller reads its chunks and closes it.

        With `initial_events` it begins with all objects there are, as of `resource_version` or
        later ("": the latest), and a bookmark after them.
        """
        query = _selectors(labels, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
        }
        if resource_version:
            query["resourceVersion"] = resource_version
        if initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        call = self._call("GET", resource.path(namespace), query, accept=resource.accept())
        call = replace(call, timeout=None)
        # The answer's head must come in time even though its body may last.
        return await self._exchange.open(call, self._timeout)

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
        somebody else owns is taken over; without it that is a Conflict whose `.owners` says who.
        With `subresource="scale"` the object is a Scale of autoscaling/v1.
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
        if self._dry_run:
            options["dryRun"] = ["All"]
        call = self._call("DELETE", resource.path(*key), body=msgspec.json.encode(options))
        answer = _read(_Deleted, await self.send(call), call)
        if self._dry_run:
            return
        gone = answer.kind == "Status"
        fence.note(
            fence.Write(
                resource,
                key,
                answer.details.uid or uid if gone else answer.metadata.uid,
                "" if gone else answer.metadata.resource_version,
                None if gone else answer.metadata.labels or {},
            )
        )

    async def send(self, call: Call) -> bytes:
        """One call of any shape and its whole answer; ApiError for an error status.

        A pause that the server asks for is slept through here only when it is no longer than
        the call may take; a longer one is the caller's, who reads it from `.retry_after`.
        """
        return await self._exchange.send(call)

    async def open(self, call: Call) -> Reply:
        """One call of any shape whose answer may last; the caller reads its chunks and closes it.
        ApiError for an error status, CallTimedOut where its head does not come in time."""
        return await self._exchange.open(replace(call, timeout=None), self._timeout)

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
        parameters = {"fieldManager": self.field_manager, **self._options, **(query or {})}
        call = replace(
            self._call(method, path, parameters, body),
            headers={"Accept": resource.accept(), "Content-Type": content_type},
        )
        answer = await self.send(call)
        if not self._dry_run:
            written = _read(_Named, answer, call).metadata
            key = Key(written.namespace, written.name)
            version, labels = written.resource_version, written.labels or {}
            fence.note(fence.Write(resource, key, written.uid, version, labels))
        return resource.decode(answer, call)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        accept: str = JSON,
    ) -> Call:
        return Call(
            method=method,
            path=path,
            query=dict(query or {}),
            headers={"Accept": accept, "Content-Type": JSON},
            body=body,
            timeout=self._timeout,
        )


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class _Named(msgspec.Struct):
    metadata: _Meta


class _DeletedDetails(msgspec.Struct):
    uid: str = ""


class _Deleted(msgspec.Struct):
    """Either a Status (gone) or the object (held by finalizers or its grace period)."""

    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    details: _DeletedDetails = msgspec.field(default_factory=_DeletedDetails)


def _read(model: type[M], body: bytes, call: Call) -> M:
    try:
        return msgspec.json.decode(body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableAnswer(f"The answer is no Kubernetes object: {error}.", call) from error


def _name_of(body: bytes) -> Key:
    metadata = msgspec.json.decode(body, type=_Named).metadata
    return Key(metadata.namespace, metadata.name)


def _key_of(resource: Resource[Any], obj: Object) -> Key:
    key = Key.of(obj)
    return key if resource.namespaced else Key("", key.name)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    query = {"labelSelector": labels, "fieldSelector": fields}
    return {name: text for name, text in query.items() if text}
