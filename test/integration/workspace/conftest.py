"""The stage that the tests here play on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from test.integration.workspace.stage import Stage, stage


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    """A server with our kinds; the daemon is started by the test."""
    async with stage() as made:
        yield made
