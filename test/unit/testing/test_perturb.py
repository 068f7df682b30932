"""perturb finds what a controller does wrong only when something goes wrong, and nothing else."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from kaito.testing import (
    Fault,
    NotRepeatable,
    NotSurvived,
    Scenario,
    Seat,
    World,
    perturb,
)
from test.unit.testing import sprouts
from test.unit.testing.sprouts import Reconcile, life


def told(scenario: Scenario, fault: Fault) -> str:
    """What is said of the first fault of this kind that is not survived."""
    with pytest.raises(NotSurvived) as found:
        perturb(scenario, faults=[fault])
    return str(found.value)


def test_a_right_controller_survives_each_fault_at_each_point() -> None:
    tried = perturb(life(sprouts.right))
    assert {point.fault for point in tried.points} == set(Fault)
    assert len(tried.points) == tried.known


@pytest.mark.parametrize(
    ("reconcile", "fault", "says"),
    [
        (sprouts.trusts_its_cache, Fault.AGO, "there have been 2 configmaps, and 1 are enough"),
        (sprouts.trusts_its_cache, Fault.BACK, "there have been 2 configmaps, and 1 are enough"),
        (sprouts.remembers, Fault.CRASH, "there have been 2 configmaps, and 1 are enough"),
        (sprouts.ignores_deletion, Fault.CRASH, "+ configmaps default/red"),
        (sprouts.lets_go_first, Fault.CRASH, "+ configmaps default/red"),
        (sprouts.keeps_a_diary, Fault.UNSEEN, "- seeds.example.com default/red .status.sizes"),
    ],
)
def test_a_wrong_controller_is_caught(reconcile: Reconcile, fault: Fault, says: str) -> None:
    assert says in told(life(reconcile), fault)


def test_a_failure_tells_the_one_fault_and_how_to_repeat_it() -> None:
    scenario = life(sprouts.lets_go_first)
    said = told(scenario, Fault.CRASH)
    name = "crash: gardener patch seeds.example.com default/red #2"
    assert name in said
    assert "died when this write had taken effect" in said
    assert f'perturb(scenario, only="{name}")' in said
    with pytest.raises(NotSurvived) as again:
        perturb(scenario, only=name)
    assert str(again.value) == said


def test_a_share_of_the_points_is_the_same_each_time_and_parts_make_up_the_whole() -> None:
    scenario = replace(life(sprouts.right), steps=[sprouts.sow])
    two = [Fault.CRASH, Fault.LAG]
    whole = perturb(scenario, faults=two).points
    some = perturb(scenario, faults=two, share=0.5, seed=3).points
    assert 0 < len(some) < len(whole)
    assert perturb(scenario, faults=two, share=0.5, seed=3).points == some
    halves = [perturb(scenario, faults=two, part=(n, 2)).points for n in (0, 1)]
    assert {*halves[0], *halves[1]} == set(whole)


def test_a_name_that_is_none_says_which_there_are() -> None:
    scenario = replace(life(sprouts.right), steps=[sprouts.sow])
    with pytest.raises(
        ValueError, match=r"crash: gardener patch seeds\.example\.com default/red #1"
    ):
        perturb(scenario, only="crash: gardener never")


def test_a_scenario_that_fails_by_itself_says_so() -> None:
    async def fail(world: World) -> None:
        raise AssertionError("no seed came up")

    scenario = replace(life(sprouts.right), steps=[sprouts.sow, fail])
    with pytest.raises(NotSurvived, match="without any fault: In the step fail: no seed came up"):
        perturb(scenario)


def test_a_daemon_that_ends_is_a_failure() -> None:
    async def main(seat: Seat) -> None:
        await seat.clock.sleep(5)
        raise OSError("no space left")

    scenario = Scenario(name="short", daemons={"mayfly": main}, steps=[])
    with pytest.raises(NotSurvived, match="mayfly ended: OSError"):
        perturb(scenario)


def test_a_daemon_that_never_rests_is_a_failure() -> None:
    async def main(seat: Seat) -> None:
        meta = {"namespace": "default", "name": "clock"}
        client = seat.client()
        await client.create(sprouts.SPROUTS, {"metadata": meta, "data": {}})
        for number in range(100_000):
            await seat.clock.sleep(10)
            patch = {"data": {"at": str(number)}}
            await client.patch(sprouts.SPROUTS, sprouts.kr.Key("default", "clock"), patch)

    scenario = Scenario(name="restless", daemons={"clock": main}, steps=[])
    with pytest.raises(NotSurvived, match="It never comes to rest; written last: patch configmaps"):
        perturb(scenario)


def test_what_happens_otherwise_each_time_is_refused() -> None:
    dice = random.SystemRandom()

    async def main(seat: Seat) -> None:
        for _ in range(3):
            meta = {"namespace": "default", "name": f"c{dice.getrandbits(60)}"}
            await seat.client().create(sprouts.SPROUTS, {"metadata": meta})
        await asyncio.Event().wait()

    scenario = Scenario(name="dice", daemons={"gambler": main}, steps=[sprouts.nothing])
    with pytest.raises(NotRepeatable, match="gambler came to"):
        perturb(scenario)


def test_what_is_outside_of_the_cluster_is_disturbed_and_compared_as_well() -> None:
    """A controller that buys something for each seed, and asks nobody whether it has."""

    async def main(seat: Seat) -> None:
        async def buy() -> None:
            seat.world.made["pots"] += 1

        await seat.outside(buy(), "POST pot red")
        await asyncio.Event().wait()

    scenario = Scenario(name="a pot", daemons={"buyer": main}, steps=[sprouts.nothing])
    with pytest.raises(NotSurvived, match="there have been 2 pots, and 1 are enough"):
        perturb(scenario)


async def test_it_is_not_for_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="a test that is a plain function"):
        perturb(life(sprouts.right))
