"""Pools that went wrong behind the controller's back, as exploring every schedule found them."""

from __future__ import annotations

from dataclasses import replace

from kaito.provisioner import PoolState
from test.unit.controllers.machine.world import NO_ROOM, POLICY, World, node_object
from test.unit.provisioner.machines import NAME


async def test_a_failed_pool_without_a_node_takes_its_machine_with_it_in_time() -> None:
    world = World()
    world.create()
    await world.steps()
    world.joins = False
    world.objects.nodes.clear()
    pool = world.cloud.there[NAME]
    world.cloud.there[NAME] = replace(pool, state=PoolState.FAILED, failure=NO_ROOM)
    began = world.clock.at
    while world.clock.at - began < POLICY.joining_patience:
        assert NAME in world.objects.claims
        await world.step()
    await world.steps()
    assert world.left() == []
    assert "Agent pool ws0a1b2c3d4 has failed and no Node is left of it: no room" in str(
        [each.message for each in world.objects.told]
    )


async def test_a_node_that_outlived_an_earlier_pool_is_not_taken_for_the_next_ones() -> None:
    world = World()
    world.create()
    await world.steps(2)
    first = world.cloud.there[NAME]
    old = node_object(
        NAME, 0, {**first.labels, "kaito.sh/launch-timestamp": "2025-12-31T00-00-00Z"}
    )
    world.objects.nodes[old["metadata"]["name"]] = old
    await world.step()
    assert world.condition("MachineLaunched")[0] == "Unknown"
