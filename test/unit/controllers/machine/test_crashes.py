"""The controller is killed after any of its side effects, and starts again knowing nothing.

Whatever the moments, there is one pool in the end while the Machine lives, and none after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.provisioner import Failure
from test.unit.controllers.machine.world import LOST, NO_ROOM, World
from test.unit.provisioner.machines import A10, A100, NAME, requirement

# More than any life below takes; the last of them are never reached.
MOST_EFFECTS = 16
TYPES = [requirement("node.kubernetes.io/instance-type", A100, A10)]


class Watched(World):
    """Remembers the most pools that there ever were at once."""

    most_pools = 0

    def settle(self) -> None:
        super().settle()
        self.most_pools = max(self.most_pools, len(self.cloud.there))


async def live(kills: Sequence[int], *, lose: int = 0, fail: Sequence[Failure] = ()) -> Watched:
    """A Machine's life with the controller killed after each `kills` further side effects."""
    world = Watched()
    world.create(spec={"requirements": TYPES, "taints": []})
    world.cloud.lose_answers = lose
    world.cloud.fail = list(fail)
    plan = iter(kills)

    def next_kill() -> None:
        step = next(plan, None)
        world.effects.fatal = None if step is None else world.effects.count + step

    next_kill()
    for deleted in (False, True):
        if deleted:
            assert len(world.cloud.there) == 1
            assert world.condition("Ready")[0] == "True"
            world.objects.delete(world.objects.machines, NAME)
        for _ in range(60):
            before = world.restarts
            await world.step()
            if world.restarts > before:
                next_kill()
    return world


def nothing_is_left(world: World) -> bool:
    return not (world.objects.machines or world.objects.nodes or world.cloud.there)


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_once(effect: int) -> None:
    world = await live([effect])
    assert world.most_pools == 1
    assert nothing_is_left(world)


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_after_every_side_effect_from_one_on(effect: int) -> None:
    world = await live([effect, *([1] * MOST_EFFECTS)])
    assert world.most_pools == 1
    assert nothing_is_left(world)


async def test_every_moment_of_a_life_is_covered() -> None:
    world = await live([])
    assert 8 <= world.effects.count < MOST_EFFECTS


async def test_one_launch_is_enough_however_often_it_is_killed() -> None:
    world = await live([1] * MOST_EFFECTS)
    assert len(world.cloud.launches) <= 2
    assert world.restarts >= 8


@settings(max_examples=60)
@given(
    kills=st.lists(st.integers(1, MOST_EFFECTS), max_size=6),
    lose=st.integers(0, 2),
    fail=st.lists(st.sampled_from([LOST, NO_ROOM]), max_size=3),
)
async def test_killed_at_any_moments_with_a_cloud_that_fails_too(
    kills: list[int], lose: int, fail: list[Failure]
) -> None:
    world = await live(kills, lose=lose, fail=fail)
    assert world.most_pools == 1
    assert nothing_is_left(world)
