"""Fixtures of the runtime's tests: a clock that moves when told to, and servers in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kaito.runtime import Client, Metrics
from kaito.testing import FakeApi, VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def client(api: FakeApi, clock: VirtualClock, metrics: Metrics) -> AsyncIterator[Client]:
    async with Client(api, field_manager="us", clock=clock, metrics=metrics) as client:
        yield client
