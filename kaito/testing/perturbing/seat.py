"""A process of a scenario: it runs as tasks, is watched through its transport, and can be killed.

Everything between it and the API server passes here, and here it is disturbed: its writes may be
its last, and its watches and first lists may tell the past. Reads of single objects and consistent
lists are never touched: no API server lies about these.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kaito.runtime import Call, Client, Clock, Reply, Transport
from kaito.testing.perturbing.branching import Branches
from kaito.testing.perturbing.point import Fault, Point, Saw, Wrote

if TYPE_CHECKING:
    from kaito.testing.perturbing.world import World

T = TypeVar("T")

ENDLESS = 300  # writes after a fault: who writes more often runs in circles, in no time at all
REBIRTH = 1.0  # seconds from the death of a process to its next life
BEHIND = 10.0  # seconds for which a cache tells the past; the fence of kaito.runtime waits for 5
_VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_APPLY = "application/apply-patch+yaml"
_EXPIRED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure",'
    b'"reason":"Expired","code":410,"message":"too old resource version"}}\n'
)


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Line(msgspec.Struct):
    type: str
    object: _Object


_line = msgspec.json.Decoder(_Line).decode
_object = msgspec.json.Decoder(_Object).decode


class Process:
    """One daemon through all its lives, with the one fault that may strike it.

    `failure` is set when it has ended by itself, which no daemon should.
    """

    def __init__(
        self,
        name: str,
        main: Callable[[Seat], Awaitable[None]],
        world: World,
        branches: Branches,
    ) -> None:
        self.name = name
        self.world = world
        self.record: list[Wrote | Saw] = []
        self.struck_at = 0
        """How long the record was when the fault struck."""
        self.failure: BaseException | None = None
        self._main = main
        self._branches = branches
        self._point: Point | None = None
        self._counts: Counter[str] = Counter()
        self._known: set[tuple[str, int]] = set()
        self._past: dict[str, int] = {}
        """Kinds whose caches stay at a revision for now."""
        self._released = asyncio.Event()
        self._relist = False
        self._armed: Saw | None = None
        self._life: asyncio.Task[None] | None = None
        self._seat: Seat | None = None

    def start(self) -> None:
        """Begin a life, which knows nothing of those before."""
        self._seat = Seat(self)
        self._life = asyncio.create_task(self._live(self._seat), name=self.name)

    async def _live(self, seat: Seat) -> None:
        try:
            await self._main(seat)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - what it dies of is reported, whatever it is
            if seat.alive:
                self.failure = error
            return
        if seat.alive:
            self.failure = RuntimeError("it ended by itself")

    def die(self) -> None:
        """End this life where it stands; the next one begins in a moment."""
        self._end()
        self._let_go()
        asyncio.get_running_loop().call_later(REBIRTH, self.start)

    def _end(self) -> None:
        assert self._seat is not None
        assert self._life is not None
        self._seat.alive = False
        self._life.cancel()

    async def aclose(self) -> None:
        """End it for good."""
        if self._seat is not None and self._life is not None:
            self._seat.alive = False
            self._life.cancel()
            await asyncio.wait({self._life})

    @property
    def waits(self) -> bool:
        """Whether a fault is yet to strike that strikes when all rests."""
        return self._armed is not None

    def rested(self) -> None:
        """All rests: what waited for that happens."""
        if self._armed is not None:
            self._go_back()

    # What it does, and what it hears

    def wrote(self, what: str) -> bool:
        """It has changed something; True when it died of it."""
        at = self._number(what)
        self.record.append(Wrote(at))
        if self.struck_at and len(self.record) - self.struck_at > ENDLESS:
            self.failure = RuntimeError(f"it runs in circles, and has just written: {at}")
            self._end()
            return True
        if self._leaves(at) is not None:
            self.die()
            return True
        if self._armed is not None and self._point is not None and self._point.fault is Fault.BACK:
            self._go_back()
            return True
        return False

    def saw(self, kind: str, type_: str, key: str, revision: int) -> bool:
        """An event has come to it; True when it is to be held back."""
        if (kind, revision) not in self._known:
            self._known.add((kind, revision))
            seen = Saw(self._number(f"{type_} {kind} {key}"), kind, key, revision)
            self.record.append(seen)
            point = self._leaves(seen.at)
            if point is not None:
                self._strike(point, seen)
        return revision > self._past.get(kind, revision)

    def _leaves(self, at: str) -> Point | None:
        """The fault that strikes here, where one does."""
        point = self._branches.take(self.name, at)
        if point is not None:
            self._point, self.struck_at = point, len(self.record)
        return point

    def _strike(self, point: Point, seen: Saw) -> None:
        if point.fault in (Fault.BACK, Fault.AGO):
            self._armed = seen
            return
        self._hold(seen)
        if point.fault is Fault.UNSEEN:
            self.world.on_change(seen.kind, seen.key, self._show_anew)

    def _show_anew(self) -> None:
        if self._past:
            self._relist = True
            self._let_go()

    def _go_back(self) -> None:
        assert self._armed is not None
        seen, self._armed = self._armed, None
        self.die()
        self._hold(seen, REBIRTH + BEHIND)

    def _hold(self, seen: Saw, seconds: float = BEHIND) -> None:
        self._past[seen.kind] = seen.revision - 1
        asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        self._past.clear()
        self._released.set()
        self._released = asyncio.Event()

    def past(self, kind: str) -> int | None:
        """The revision at which the caches of this kind stay for now; None when they keep up."""
        return self._past.get(kind)

    async def told(self) -> bool:
        """Return when nothing is held back any more; whether what was is to be listed instead."""
        await self._released.wait()
        return self._relist

    def _number(self, what: str) -> str:
        self._counts[what] += 1
        return f"{what} #{self._counts[what]}"


class Seat:
    """One life of a process. Whatever it is to lose with its life, it is to make from this."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.alive = True

    @property
    def world(self) -> World:
        """The cluster that it lives in, and what is around it."""
        return self._process.world

    @property
    def clock(self) -> Clock:
        """The time of the scenario."""
        return self._process.world.clock

    def client(self, *, field_manager: str = "") -> Client:
        """The client through which this process does everything; its name by default."""
        return Client(
            _Lens(self, self._process, self.world.transport()),
            field_manager=field_manager or self._process.name,
            clock=self.clock,
        )

    async def outside(self, exchange: Awaitable[T], changes: str = "") -> T:
        """An exchange with something that is not the cluster. `changes` says what it changes there,
        as "PUT agentPool a": then the process may die of it, as of any write."""
        if not self.alive:
            asyncio.ensure_future(exchange).cancel()
            raise asyncio.CancelledError
        answer = await exchange
        if changes:
            await self.changed(changes)
        return answer

    async def changed(self, what: str) -> None:
        """It has changed something; does not return when it died of it."""
        if not self.alive:
            raise asyncio.CancelledError
        if self._process.wrote(what):
            await asyncio.Event().wait()  # until the task is cancelled


class _Lens:
    """The transport of one life."""

    def __init__(self, seat: Seat, process: Process, inner: Transport) -> None:
        self._seat = seat
        self._process = process
        self._inner = inner

    @property
    def host(self) -> str:
        return self._inner.host

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def send(self, call: Call) -> Reply:
        if not self._seat.alive:
            raise asyncio.CancelledError
        kind, name = _target(call)
        if call.method == "GET":
            if call.query.get("watch"):
                return _Watched(await self._inner.send(call), kind, self._process)
            past = self._process.past(kind)
            if past is not None and call.query.get("resourceVersion") == "0":
                stale = {"resourceVersion": str(past), "resourceVersionMatch": "Exact"}
                call = replace(call, query={**call.query, **stale})
            return await self._inner.send(call)
        before = self._seat.world.revision
        reply = await self._inner.send(call)
        if self._seat.world.revision != before and self._seat.world.compares(kind):
            await self._seat.changed(await _sentence(call, reply, kind, name))
        return reply


def _target(call: Call) -> tuple[str, str]:
    """The resource, as plural.group, and the object of a call, as namespace/name/subresource."""
    from kaito.local.apiserver.paths import target

    goal = target(call.path)
    if goal is None:
        return call.path, ""
    parts = [part for part in (goal.namespace, goal.name, goal.subresource) if part]
    return f"{goal.plural}.{goal.group}".rstrip("."), "/".join(parts)


async def _sentence(call: Call, reply: Reply, kind: str, name: str) -> str:
    verb = _VERBS.get(call.method, "patch")
    if call.headers.get("Content-Type") == _APPLY:
        verb = "apply"
    if verb == "create":
        made = _object(await reply.read()).metadata
        name = "/".join(part for part in (made.namespace, made.name) if part)
    return f"{verb} {kind} {name}"


class _Watched:
    """The answer to a watch, as far as it is to be heard."""

    def __init__(self, inner: Reply, kind: str, process: Process) -> None:
        self._inner = inner
        self._kind = kind
        self._process = process

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def chunks(self) -> AsyncIterator[bytes]:
        # The server in this process sends whole lines.
        async for chunk in self._inner.chunks():
            heard: list[bytes] = []
            for line in chunk.splitlines(keepends=True):
                if self._held(line):
                    if heard:
                        yield b"".join(heard)
                        heard = []
                    if await self._process.told():
                        yield _EXPIRED
                        return
                heard.append(line)
            yield b"".join(heard)

    def _held(self, line: bytes) -> bool:
        event = _line(line)
        meta = event.object.metadata
        revision = int(meta.resource_version or 0)
        if not self._process.world.compares(self._kind):
            return False
        if event.type in ("ADDED", "MODIFIED", "DELETED"):
            key = f"{meta.namespace}/{meta.name}".lstrip("/")
            return self._process.saw(self._kind, event.type, key, revision)
        past = self._process.past(self._kind)
        return event.type == "BOOKMARK" and past is not None and revision > past
