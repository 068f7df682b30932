"""Models that only Hugging Face knows: read for `kaito plan` and for the daemon."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from kaito.catalog import hub
from kaito.catalog.model import Model
from kaito.controllers.workspace.strangers import Read

SECONDS = 15.0  # for one answer


def from_hub(name: str, *, token: str, address: str) -> Model:
    """The model as it is there today; ModelError when it cannot be had."""

    async def read_it() -> Model:
        async with reader(token=token, address=address) as read:
            return await read(name)

    return asyncio.run(read_it())


@asynccontextmanager
async def reader(*, token: str, address: str) -> AsyncIterator[Read]:
    """Reads models of the hub at `address`, with a token where there is one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as session:

        async def get(url: str) -> tuple[int, bytes]:
            try:
                async with session.get(url) as answer:
                    body = bytearray()
                    async for chunk in answer.content.iter_any():
                        body += chunk
                        if len(body) > hub.LARGEST_ANSWER:
                            break
                    return answer.status, bytes(body)
            except aiohttp.ClientError as error:
                raise OSError(str(error)) from error

        async def read(name: str) -> Model:
            today = datetime.datetime.now(datetime.UTC).date()
            return await hub.read(name, get, date=today, token=bool(token), hub=address)

        yield read
