"""Models that only Hugging Face knows, read for `kaito plan`."""

from __future__ import annotations

import asyncio
import datetime

import aiohttp

from kaito.catalog import hub
from kaito.catalog.config import ModelError
from kaito.catalog.model import Model
from kaito.cli.parser import CommandError

SECONDS = 15.0  # for one answer


def from_hub(name: str, token: str, *, address: str = hub.HUB) -> Model:
    """The model as it is there today; CommandError when it cannot be had."""
    return asyncio.run(_read(name, token, address))


async def _read(name: str, token: str, address: str) -> Model:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as session:

        async def get(url: str) -> tuple[int, bytes]:
            try:
                async with session.get(url) as answer:
                    return answer.status, await answer.content.read(hub.LARGEST_ANSWER + 1)
            except aiohttp.ClientError as error:
                raise OSError(str(error)) from error

        today = datetime.datetime.now(datetime.UTC).date()
        try:
            return await hub.read(name, get, date=today, token=bool(token), hub=address)
        except ModelError as error:
            raise CommandError(f"{error} (--model-config {name}=FILE)") from error
