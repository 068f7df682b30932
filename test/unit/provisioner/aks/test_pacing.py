"""Azure is asked at the pace of its budgets: slower before one is spent, not at all while it says
wait, and one by one after that."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from kaito.local.azure.limits import OTHER, PUT_POOL, SUBSCRIPTION
from kaito.provisioner import Cause, CloudError, Way
from kaito.provisioner.aks.pacing import (
    AKS,
    DELETES,
    LONGEST_GAP,
    LONGEST_PAUSE,
    LONGEST_TURN,
    POOLS,
    PUTS,
    READS,
    WRITES,
    Gate,
    Pacer,
    Passage,
    remaining,
    retry_after,
)
from kaito.testing.clock import EPOCH, VirtualClock

LIST = Passage.of("GET", "/subscriptions/s/x/agentPools")
PUT = Passage.of("PUT", "/subscriptions/s/x/agentPools/ws1")
OTHER_PUT = Passage.of("PUT", "/subscriptions/s/x/agentPools/ws2")
LEFT = "x-ms-ratelimit-remaining-subscription-writes"


def test_the_budgets_are_those_that_the_local_cloud_has() -> None:
    ours = {"reads": READS, "writes": WRITES, "deletes": DELETES, "other": AKS, "put": PUTS}
    theirs = {**SUBSCRIPTION, "other": OTHER, "put": PUT_POOL}
    for name, gate in ours.items():
        assert (gate.size, gate.refill) == (theirs[name].size, theirs[name].refill)


@pytest.mark.parametrize("gate", [READS, WRITES, DELETES])
def test_a_full_budget_lets_everything_pass_and_an_empty_one_hardly_anything(gate: Gate) -> None:
    assert gate.answered(gate.size).gap == 0
    brim = gate.answered(gate.size * 0.2 - 1).gap
    assert brim == pytest.approx(1 / gate.refill), "as fast as it fills up"
    assert gate.answered(0).gap == pytest.approx(0.2 * gate.size / gate.refill)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_less_is_left_the_slower(one: int, other: int) -> None:
    little, much = sorted([one, other])
    assert WRITES.answered(little).gap >= WRITES.answered(much).gap


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("answered"), st.none() | st.floats(0, 1e6)),
            st.tuples(st.just("refused"), st.floats(0, LONGEST_PAUSE)),
            st.tuples(st.just("taken"), st.floats(0, 100)),
        ),
        max_size=30,
    )
)
def test_no_history_stops_requests_for_ever(history: list[tuple[str, float | None]]) -> None:
    gate, now = AKS, 0.0
    for what, value in history:
        match what:
            case "answered":
                gate = gate.answered(value)
            case "refused":
                gate = gate.refused(now, value or 0.0)
            case _:
                now += value or 0.0
                gate = gate.taken(now + gate.wait(now))
        assert 0 <= gate.gap <= LONGEST_GAP
    assert gate.wait(now) <= LONGEST_PAUSE + LONGEST_GAP * len(history)
    for _ in range(12):
        gate = gate.answered(1e6)
    assert gate.gap == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "99999999"}, LONGEST_PAUSE),
        ({"retry-after": formatdate(EPOCH + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(EPOCH - 30, usegmt=True)}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "12"}, 1.5),
        ({"x-ms-retry-after-ms": "2500"}, 2.5),
    ],
)
def test_how_long_to_stay_away(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, EPOCH) == seconds


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    told = retry_after({"retry-after": text}, EPOCH)
    assert told is None or 0 <= told <= LONGEST_PAUSE
    assert (remaining({LEFT: text}, "writes") or 0) >= 0


def test_of_two_budgets_the_smaller_counts() -> None:
    headers = {
        "x-ms-ratelimit-remaining-subscription-writes": "150",
        "x-ms-ratelimit-remaining-subscription-global-writes": "12",
        "x-ms-ratelimit-remaining-subscription-reads": "1",
    }
    assert remaining(headers, "writes") == 12
    assert remaining(headers, "deletes") is None


class Desk:
    """A Pacer, its clock, and when each request passed."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.registry = CollectorRegistry()
        self.pacer = Pacer(self.clock, self.registry)
        self.passed: list[float] = []
        self.held: list[CloudError] = []

    async def ask(self, passage: Passage) -> None:
        try:
            await self.pacer.turn(passage)
        except CloudError as error:
            self.held.append(error)
        else:
            self.passed.append(self.clock.monotonic())

    async def crowd(self, passage: Passage, count: int) -> None:
        """So many at once, until all have passed or been held back."""
        start = self.clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self.ask(passage))
            await self.clock.advance(LONGEST_TURN + 1)
        self.passed = [at - start for at in self.passed]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"kaito_provisioner_azure_{name}", labels) or 0.0


async def test_with_much_left_all_pass_at_once() -> None:
    desk = Desk()
    desk.pacer.note(PUT, "PUT", 201, {LEFT: "150"})
    await desk.crowd(PUT, 50)
    assert desk.passed == [0.0] * 50
    assert desk.metric("requests_left", budget="writes") == 150


async def test_with_little_left_they_are_spread_and_those_far_behind_come_again() -> None:
    desk = Desk()
    desk.pacer.note(PUT, "PUT", 201, {LEFT: "19"})
    await desk.crowd(OTHER_PUT, 60)
    assert desk.passed == pytest.approx([0.2 * turn for turn in range(len(desk.passed))])
    assert len(desk.passed) == pytest.approx(LONGEST_TURN / 0.2, abs=1)
    assert len(desk.held) == 60 - len(desk.passed)
    failure = desk.held[0].failure
    assert (failure.cause, failure.way) == (Cause.THROTTLED, Way.RETRY)
    assert failure.retry_after is not None
    assert failure.retry_after > LONGEST_TURN
    assert desk.metric("pacing_held_back_total", budget="writes") == len(desk.held)
    assert desk.metric("pacing_seconds_total", budget="writes") > 0


async def test_what_was_refused_stays_back_and_then_comes_one_by_one() -> None:
    desk = Desk()
    desk.pacer.note(LIST, "GET", 429, {"retry-after": "3"})
    await desk.crowd(LIST, 10)
    assert desk.passed == [3.0, 4.0, 5.0]
    assert len(desk.held) == 7


async def test_those_who_wait_while_another_is_refused_wait_for_that_too() -> None:
    desk = Desk()
    desk.pacer.note(LIST, "GET", 200, {"x-ms-ratelimit-remaining-subscription-reads": "0"})
    await desk.ask(LIST)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(desk.ask(LIST))
        await desk.clock.advance(1)
        desk.pacer.note(LIST, "GET", 429, {"retry-after": "4"})
        await desk.clock.advance(10)
    first, second = desk.passed
    assert second == first + 5


async def test_after_calm_nothing_is_held_back_any_more() -> None:
    desk = Desk()
    desk.pacer.note(LIST, "GET", 429, {"retry-after": "1"})
    await desk.clock.advance(1)
    for _ in range(8):
        desk.pacer.note(LIST, "GET", 200, {})
    await desk.clock.advance(LONGEST_GAP)
    await desk.crowd(LIST, 20)
    assert desk.passed == [0.0] * 20


async def test_a_pool_that_was_put_too_often_holds_no_other_one_back() -> None:
    desk = Desk()
    desk.pacer.note(PUT, "PUT", 429, {LEFT: "150", "retry-after": "60"})
    await desk.ask(PUT)
    await desk.ask(OTHER_PUT)
    await desk.ask(LIST)
    assert (len(desk.held), len(desk.passed)) == (1, 2)


@pytest.mark.parametrize(
    "sign",
    [
        {LEFT: "0"},
        {"x-ms-failure-cause": "gateway"},
        {"x-ms-error-code": "SubscriptionRequestsThrottled"},
    ],
)
async def test_a_refusal_of_resource_manager_holds_all_of_its_kind_back(
    sign: dict[str, str],
) -> None:
    desk = Desk()
    desk.pacer.note(PUT, "PUT", 429, {**sign, "retry-after": "60"})
    await desk.ask(OTHER_PUT)
    await desk.ask(LIST)
    assert (len(desk.held), len(desk.passed)) == (1, 1)


async def test_refusals_of_ever_more_pools_are_not_remembered_without_end() -> None:
    desk = Desk()
    for number in range(3 * POOLS):
        passage = Passage.of("PUT", f"/agentPools/p{number}")
        desk.pacer.note(passage, "PUT", 429, {"retry-after": "900", LEFT: "150"})
    assert len(desk.pacer._gates) <= POOLS + 5
