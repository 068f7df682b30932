"""Probes: when answers are believed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pods.actions import Actor
from kaito.local.pods.probe import Belief, Probe, Prober, probe_of

if TYPE_CHECKING:
    from conftest import ManualClock

EXEC = {"exec": {"command": ["check"]}}


def probe(**other: Any) -> Probe:
    return Probe(name="Readiness", action=EXEC, **other)


def test_a_probe_is_read_from_the_container_with_the_defaults_of_the_api() -> None:
    wanted = {**EXEC, "periodSeconds": 3, "failureThreshold": 7}
    assert probe_of({"livenessProbe": wanted}, "Liveness") == Probe(
        name="Liveness", action=wanted, period=3, failures=7
    )
    assert probe_of({"livenessProbe": wanted}, "Readiness") is None


@given(
    answers=st.lists(st.booleans(), max_size=40),
    successes=st.integers(1, 4),
    failures=st.integers(1, 4),
    first=st.booleans(),
)
def test_only_a_row_of_like_answers_is_believed(
    answers: list[bool], successes: int, failures: int, first: bool
) -> None:
    belief = Belief(probe(successes=successes, failures=failures), holds=first)
    for number, answer in enumerate(answers):
        before = belief.holds
        settled = belief.hear(answer)
        enough = successes if answer else failures
        row = answers[max(0, number + 1 - enough) : number + 1]
        assert settled == (len(row) == enough and set(row) == {answer})
        assert belief.holds == (answer if settled else before)


class Checks:
    """A command that ends with these statuses, one after the other, while time passes."""

    def __init__(self, clock: ManualClock, statuses: Sequence[int]) -> None:
        self._clock = clock
        self._statuses = list(statuses)
        self.unhealthy: list[tuple[float, str]] = []
        self._began = clock.now()

    async def execute(self, _: Sequence[str]) -> tuple[int, str]:
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._pass()))
        return self._statuses.pop(0), "no"

    async def _pass(self) -> None:
        self._clock.advance(1)

    def say(self, text: str) -> None:
        self.unhealthy.append((self._clock.now() - self._began, text))


def prober(clock: ManualClock, checks: Checks, asked: Probe, hurry: float) -> Prober:
    actor = Actor(container={}, address="", ports={}, execute=checks.execute, clock=clock)
    return Prober(asked, actor, clock, hurry, checks.say)


async def test_failures_count_once_a_period_however_often_one_asks(clock: ManualClock) -> None:
    asked = probe(period=10, failures=2)
    checks = Checks(clock, [1] * 11)
    assert not await prober(clock, checks, asked, 1).settled(Belief(asked, holds=False))
    assert checks.unhealthy == [
        (0, "Readiness probe failed: no"),
        (10, "Readiness probe failed: no"),
    ]


async def test_a_success_is_believed_at_once_and_before_the_delay(clock: ManualClock) -> None:
    asked = probe(period=10, delay=30)
    checks = Checks(clock, [1, 1, 0])
    assert await prober(clock, checks, asked, 1).settled(Belief(asked, holds=False))
    assert checks.unhealthy == []


async def test_what_cannot_be_asked_is_said_and_believed_of_nobody(clock: ManualClock) -> None:
    checks, said = Checks(clock, []), asyncio.Semaphore(0)
    asked = Probe(name="Liveness", action={"grpc": {"port": 1}}, failures=1, period=10)
    asking = prober(clock, checks, asked, 10)
    asking.unhealthy = lambda text: (checks.say(text), said.release())[1]
    task = asyncio.ensure_future(asking.settled(Belief(asked, holds=True)))
    async with asyncio.timeout(20):
        await said.acquire()
        clock.advance(10)
        await said.acquire()
    task.cancel()
    assert [at for at, _ in checks.unhealthy] == [0, 10]
    expected = "Liveness probe errored and resulted in unknown state: gRPC"
    assert checks.unhealthy[0][1].startswith(expected)


@pytest.mark.parametrize("field", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_container_without_probes_has_none(field: str) -> None:
    assert probe_of({field: None}, "Startup") is None
