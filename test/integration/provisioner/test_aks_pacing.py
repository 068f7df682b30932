"""The AKS adapter goes slower before a budget of Azure is spent, and makes no storm after that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaito.local.apiserver.http import Response
from kaito.local.azure.limits import SUBSCRIPTION, Budget, Limits
from kaito.local.profile import Profile
from kaito.provisioner import Cause, CloudError, node_request
from kaito.runtime import SystemClock
from kaito.testing.clock import VirtualClock
from test.integration.provisioner.conftest import Azure, serving
from test.unit.provisioner.machines import A100, machine

REQUEST = node_request(machine())
POOLS = 60
# Of writes fewer than there are pools to be made, and ten more each second.
SMALL = {**SUBSCRIPTION, "writes": Budget(size=45, refill=10)}


class Leaping(SystemClock):
    """Takes the cloud's time with it where it pauses."""

    def __init__(self, time: VirtualClock) -> None:
        self._time = time

    def monotonic(self) -> float:
        return self._time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._time.advance(seconds)


@pytest.fixture
async def scarce(tmp_path: Path) -> AsyncIterator[Azure]:
    limits = Limits(throttling=1.0, subscription=SMALL)
    profile = Profile(pool_create=10, pool_delete=5, limits=limits)
    async with serving(tmp_path, VirtualClock(), profile) as azure:
        yield azure


def metric(azure: Azure, name: str, **labels: str) -> float:
    return azure.registry.get_sample_value(f"kaito_provisioner_azure_{name}", labels) or 0.0


async def test_more_pools_than_the_budget_has_are_made_without_a_refusal(scarce: Azure) -> None:
    assert isinstance(scarce.clock, VirtualClock)
    async with scarce.source(Leaping(scarce.clock)) as source:
        for number in range(POOLS):
            await source.launch(replace(REQUEST, name=f"ws{number:09x}"), A100)
    assert len(scarce.sent) == POOLS
    assert metric(scarce, "requests_total", method="PUT", code="201") == POOLS
    assert metric(scarce, "pacing_seconds_total", budget="writes") > 1
    assert 0 < metric(scarce, "requests_left", budget="writes") < 40


async def test_after_a_refusal_nobody_asks_before_the_time_that_it_named(azure: Azure) -> None:
    headers = {"content-type": "application/json", "retry-after": "60"}
    body = b'{"code": "Throttled", "message": "later"}'
    async with azure.source() as source:
        azure.answers = [Response(429, headers, body)]
        first = await asyncio.gather(source.pools(), return_exceptions=True)
        others = await asyncio.gather(*(source.pools() for _ in range(19)), return_exceptions=True)
    failures = [error.failure for error in [*first, *others] if isinstance(error, CloudError)]
    assert len(failures) == 20
    assert {failure.cause for failure in failures} == {Cause.THROTTLED}
    assert all(failure.retry_after and 50 < failure.retry_after <= 60 for failure in failures)
    assert len(azure.sent) == 1
    assert metric(azure, "pacing_held_back_total", budget="aks") == 19
