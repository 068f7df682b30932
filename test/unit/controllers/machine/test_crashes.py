"""The controller is killed after any of its side effects, and starts again knowing nothing.

Whatever the moments, there is one pool in the end while the claim lives, and none after it, and
nobody was put off its Node before it was deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.provisioner import Failure
from kaito.provisioner.claim import MACHINE, NODECLAIM, Claim, Dialect
from test.unit.controllers.machine.world import (
    LOST,
    NO_ROOM,
    POLICY,
    START,
    World,
    pod_object,
)
from test.unit.provisioner.machines import A10, A100, NAME, requirement

# More than any life below takes; the last of them are never reached.
MOST_EFFECTS = 20
TYPES = [requirement("node.kubernetes.io/instance-type", A100, A10)]


class Watched(World):
    """Remembers the most pools that there ever were at once."""

    most_pools = 0

    def settle(self) -> None:
        super().settle()
        self.most_pools = max(self.most_pools, len(self.cloud.there))


async def live(
    kills: Sequence[int],
    *,
    lose: int = 0,
    fail: Sequence[Failure] = (),
    dialect: Dialect = MACHINE,
    expires: bool = False,
) -> Watched:
    """A claim's life with the controller killed after each `kills` further side effects.

    It is deleted, or it expires; two Pods are on its Node, and one may leave a little later.
    """
    world = Watched(dialect, replace(POLICY, expire=expires))
    world.create(spec={"requirements": TYPES, "taints": [], "expireAfter": "5h"})
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
            assert world.objects.evicted == []
            for name in ("a", "b"):
                world.objects.pods[name] = pod_object(name)
            if expires:
                world.clock.at = START + 5 * 3600
            else:
                world.objects.delete(world.objects.claims, NAME)
        for _ in range(60):
            if world.clock.at > START + 4 * 3600 and not deleted:
                break
            before = world.restarts
            await world.step()
            if world.restarts > before:
                next_kill()
    return world


KINDS = pytest.mark.parametrize("dialect", [MACHINE, NODECLAIM], ids=lambda each: each.kind)


@KINDS
@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_once(effect: int, dialect: Dialect) -> None:
    world = await live([effect], dialect=dialect)
    assert world.most_pools == 1
    assert world.left() == []


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_after_every_side_effect_from_one_on(effect: int) -> None:
    world = await live([effect, *([1] * MOST_EFFECTS)])
    assert world.most_pools == 1
    assert world.left() == []


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_once_in_a_life_that_ends_by_itself(effect: int) -> None:
    world = await live([effect], dialect=NODECLAIM, expires=True)
    assert world.most_pools == 1
    assert world.left() == []
    assert sorted(world.objects.evicted) == ["a", "b"]


async def test_every_moment_of_a_life_is_covered() -> None:
    world = await live([])
    assert 10 <= world.effects.count < MOST_EFFECTS
    assert world.objects.evicted == ["a", "b"]


async def test_one_launch_is_enough_however_often_it_is_killed() -> None:
    world = await live([1] * MOST_EFFECTS)
    assert len(world.cloud.launches) <= 2
    assert world.restarts >= 8


@settings(max_examples=40)
@given(
    kills=st.lists(st.integers(1, MOST_EFFECTS), max_size=6),
    lose=st.integers(0, 2),
    dialect=st.sampled_from([MACHINE, NODECLAIM]),
    expires=st.booleans(),
    fail=st.lists(st.sampled_from([LOST, NO_ROOM]), max_size=2),
)
async def test_killed_at_any_moments_with_a_cloud_that_fails_too(
    kills: list[int], lose: int, fail: list[Failure], dialect: Dialect, expires: bool
) -> None:
    expires = expires and dialect is NODECLAIM
    world = await live(kills, lose=lose, fail=fail, dialect=dialect, expires=expires)
    assert world.most_pools == 1
    assert world.left() == []


async def test_a_cache_of_the_past_buys_no_node_for_a_claim_that_has_gone() -> None:
    async def gone(claim: Claim) -> bool:
        return False

    world = World()
    world.objects.stays = gone
    world.start()
    world.create()
    await world.steps(10)
    assert world.cloud.launches == []
