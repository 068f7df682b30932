"""Files from URLs into a directory: all of them, whole and verified, or an end with a reason."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp.abc import AbstractResolver

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving import room
from kaito.engine.moving.download import Download, Manner
from kaito.engine.moving.naming import file_names, shown
from kaito.engine.moving.promises import of_fragment
from kaito.engine.moving.reach import Reach
from kaito.engine.moving.record import HIDDEN, Place, Record
from kaito.engine.moving.sources import sources
from kaito.engine.moving.trust import trust

SUMS = "SHA256SUMS"
"""In HIDDEN: what arrived, as sha256sum --check reads it."""
LONGEST = 12 * 3600.0  # seconds; 20 GiB at half a megabyte a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What is fetched, and under which conditions."""

    urls: Sequence[str]
    to: Path
    limit: int | None = None
    """Bytes of all together; None for as much as fits."""
    reach: Reach = field(default_factory=Reach)
    manner: Manner = field(default_factory=Manner)
    tls: ssl.SSLContext = field(default_factory=trust)
    resolver: AbstractResolver | None = None
    """What finds the addresses of names; None for the system's."""
    free: Callable[[Path], int] = room.free
    seconds: float = LONGEST

    async def run(self) -> list[Record]:
        """The record of each file. Ended when one of them cannot be had."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self._all()
        except TimeoutError as error:
            raise Ended(
                Ending.SOURCE_UNAVAILABLE,
                f"The data did not arrive within {self.seconds / 3600:g} hours: put it where it "
                "can be had faster.",
            ) from error

    async def _all(self) -> list[Record]:
        promises = [_promised(url) for url in self.urls]
        (self.to / HIDDEN).mkdir(parents=True, exist_ok=True)
        budget = room.Budget(self.to, self.limit, self.free)
        found = []
        async with sources(self.reach, self.tls, self.resolver) as servers:
            for url, name, promised in zip(self.urls, file_names(self.urls), promises, strict=True):
                place = Place(self.to, name, url)
                found.append(await Download(servers, place, budget, self.manner, promised).run())
        lines = [f"{record.sha256}  {record.name}\n" for record in found]
        (self.to / HIDDEN / SUMS).write_text("".join(lines))
        return found


def _promised(url: str) -> dict[str, str]:
    try:
        return of_fragment(url)
    except ValueError as error:
        raise Ended(
            Ending.CONFIG_INVALID,
            f"The fragment of {shown(url)} is no digest: write it as #sha256= and 64 hex digits.",
        ) from error
