"""One file from one URL: resumed where it can be, verified, and whole before it has its name."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import aiohttp

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.naming import shown
from kaito.engine.moving.patience import SLOWEST, Pace, Passing, Patience, Tries
from kaito.engine.moving.promises import CHUNK, broken, digest
from kaito.engine.moving.record import Place, Record
from kaito.engine.moving.room import Budget, spelled
from kaito.engine.moving.sources import Answer, Sources, passing

RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a file is fetched."""

    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    """Seconds."""


class Download:
    """A file that arrives. `promised` are digests that its URL itself asks for."""

    def __init__(
        self,
        sources: Sources,
        place: Place,
        budget: Budget,
        manner: Manner,
        promised: Mapping[str, str],
    ) -> None:
        self._sources = sources
        self._place = place
        self._budget = budget
        self._manner = manner
        self._asked = dict(promised)
        self._where = shown(place.url)
        self._mistaken = False

    async def run(self) -> Record:
        """The record of the file, which has its name then. Ended when it cannot be had."""
        record = self._place.known()
        if not self._place.is_settled(record):
            record = await self._arrive()
        size = self._place.final.stat().st_size
        self._budget.check_limit(self._where, size)
        self._budget.spend(size)
        return record

    async def _arrive(self) -> Record:
        tries = Tries(self._manner.patience)
        while True:
            before = self._have()
            try:
                return self._verified(await self._attempt())
            except Passing as error:
                pause = tries.after(error, self._have() - before)
            await self._manner.sleep(pause)

    async def _attempt(self) -> Record:
        """Fetch what is missing."""
        known, have = self._place.known(), self._have()
        if have and have == known.length:
            return known
        if have and not known.validator:
            have = 0
        headers = {"Range": f"bytes={have}-", "If-Range": known.validator} if have else {}
        async with self._sources.ask(self._place.url, headers) as answer:
            start = _start(answer.response, have, known)
            if start is None:
                # What there is of it is of no use to this server.
                self._forget()
                raise passing(self._where, "its server sends another part of it than asked for")
            if answer.response.status == 416:
                return known
            record = known if start else self._begun(answer)
            if record.length is not None:
                missing = record.length - start
                self._budget.check(self._where, record.length, missing=missing)
            self._place.note(record)
            with self._place.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                await self._receive(answer.response, file, start)
        return record

    async def _receive(self, response: aiohttp.ClientResponse, file: BinaryIO, have: int) -> None:
        clock = self._manner.clock
        pace = Pace(clock())
        body = response.content.iter_chunked(CHUNK)
        while True:
            try:
                chunk = await anext(body, b"")
            except TimeoutError as error:
                raise passing(self._where, "its server fell silent") from error
            except aiohttp.ClientError as error:
                raise passing(self._where, f"it broke off after {spelled(have)}") from error
            if not chunk:
                return
            have += len(chunk)
            self._budget.check_limit(self._where, have)
            file.write(chunk)
            if pace.too_slow(clock(), len(chunk)):
                raise passing(self._where, f"it sends less than {spelled(SLOWEST)} a second")

    def _begun(self, answer: Answer) -> Record:
        headers = answer.response.headers
        tag = headers.get("ETag", "")
        strong = tag if tag.startswith('"') else headers.get("Last-Modified", "")
        length = answer.response.content_length
        # What the URL asks for is what counts.
        return Record(validator=strong, length=length, promised={**answer.promised, **self._asked})

    def _verified(self, record: Record) -> Record:
        have = self._have()
        if record.length is not None and have != record.length:
            if have > record.length:
                self._forget()
            raise passing(self._where, f"{spelled(have)} of {spelled(record.length)} arrived")
        algorithm = broken(self._place.part, record.promised)
        if algorithm:
            self._forget()
            sentence = (
                f"{self._where} is not what was promised: its {algorithm} is another one. Check "
                "the digest and the file at its source."
            )
            # Once it may have been damaged on the way.
            kind, self._mistaken = (Ended if self._mistaken else Passing), True
            raise kind(Ending.ARTIFACT_INVALID, sentence)
        found = record.promised.get("sha256") or digest(self._place.part)
        done = replace(record, name=self._place.name, sha256=found)
        self._place.settle(done)
        return done

    def _have(self) -> int:
        try:
            return self._place.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _forget(self) -> None:
        self._place.part.unlink(missing_ok=True)
        self._place.note(Record())


def _start(response: aiohttp.ClientResponse, have: int, known: Record) -> int | None:
    """At which byte an answer goes on, None when it is of no use."""
    if response.status == 200:
        return 0
    if response.status == 416:
        return have if have and have == known.length else None
    found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not have or found is None or int(found[1]) != have:
        return None
    total = None if found[3] == "*" else int(found[3])
    return have if known.length in (None, total) or total is None else None
