"""Whatever happens in whatever order: one pool at most, none for nothing, none left in the end.

A day of a claim is a list of events, drawn at random, on a virtual clock. The controller is killed,
the cloud refuses, loses answers or goes blind, nodes are lost or never come, clocks jump. What must
hold holds after each event, the API server being away for ten minutes included; in the end the
claim is deleted, and all is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.provisioner import Pool, PoolState
from kaito.provisioner.claim import MACHINE, NODECLAIM, Dialect
from kaito.runtime import Key, NotFound
from test.unit.controllers.machine.world import (
    BUSY,
    LOST,
    NO_QUOTA,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    WRONG,
    World,
    pod_object,
)
from test.unit.provisioner.machines import A10, A100, NAME, requirement

TYPES = [requirement("node.kubernetes.io/instance-type", A100, A10)]
FOREIGN = Pool(
    name="system", state=PoolState.STOPPED, said="Stopped", instance_type=A10, labels={"a": "b"}
)
REFUSALS = [BUSY, LOST, NO_QUOTA, NO_RIGHT, NO_ROOM, WRONG]


def lose_node(world: World) -> None:
    for name in list(world.objects.nodes):
        world.objects.delete(world.objects.nodes, name)


def lose_pool(world: World) -> None:
    world.cloud.there.pop(NAME, None)
    world.cloud.due.pop(NAME, None)


def toggle_joining(world: World) -> None:
    world.joins = not world.joins


def toggle_sight(world: World) -> None:
    world.cloud.blind = None if world.cloud.blind else BUSY


def toggle_budget(world: World) -> None:
    world.objects.budget = "" if world.objects.budget else "a budget"


def occupy(world: World) -> None:
    world.objects.pods["a"] = pod_object("a")


def delete(world: World) -> None:
    try:
        world.objects.delete(world.objects.claims, NAME)
    except NotFound:
        return


def jump(seconds: float) -> Callable[[World], None]:
    def happen(world: World) -> None:
        world.clock.skew += seconds

    return happen


def refuse(count: int) -> Callable[[World], None]:
    def happen(world: World) -> None:
        world.cloud.refuse = REFUSALS[:count]

    return happen


def fail(world: World) -> None:
    world.cloud.fail = [LOST, NO_ROOM]


def lose_answer(world: World) -> None:
    world.cloud.lose_answers = 1


def die_soon(effects: int) -> Callable[[World], None]:
    def happen(world: World) -> None:
        world.effects.fatal = world.effects.count + effects

    return happen


def ten_minutes_away(world: World) -> None:
    world.cut_off()
    world.clock.at += 600.0
    world.settle()


EVENTS: list[Callable[[World], None]] = [
    *(lose_node, lose_pool, toggle_joining, toggle_sight, toggle_budget, occupy, delete, fail),
    *(jump(3600.0), jump(-3600.0), refuse(2), refuse(6), lose_answer, die_soon(1), die_soon(2)),
    *(World.start, World.cut_off, ten_minutes_away, World.come_back),
]


def is_living(world: World) -> bool:
    claim = world.objects.claims.get(NAME)
    return claim is not None and "deletionTimestamp" not in claim["metadata"]


def is_ready(world: World) -> bool:
    """Whether the claim says that it has a Node that works."""
    claim = world.objects.claims.get(NAME, {})
    conditions = claim.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def turn(world: World) -> bool:
    """One turn, and what must hold after each. Whether the claim tells of a Node that is not
    there, though it could be known."""
    living, launches = is_living(world), len(world.cloud.launches)
    used = any("deletionTimestamp" not in node["metadata"] for node in world.objects.nodes.values())
    await world.step()
    assert world.cloud.there["system"] == FOREIGN
    assert set(world.cloud.there) <= {"system", NAME}
    if not living:
        assert len(world.cloud.launches) == launches
    pool = world.cloud.there.get(NAME)
    if used and is_living(world) and pool is not None:
        assert pool.state is not PoolState.DELETING
    return is_ready(world) and is_living(world) and not used and not world.noticed


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 20)), min_size=2, max_size=16),
    st.sampled_from([MACHINE, NODECLAIM]),
    st.booleans(),
)
async def test_nothing_is_doubled_lost_or_leaked(
    day: list[tuple[Callable[[World], None], int]], dialect: Dialect, repair: bool
) -> None:
    world = World(dialect, replace(POLICY, repair=repair))
    world.cloud.there["system"] = FOREIGN
    world.create(spec={"requirements": TYPES, "taints": []})
    untrue = 0
    for happen, turns in day:
        happen(world)
        for _ in range(turns):
            untrue = untrue + 1 if await turn(world) else 0
            # One turn may end in a death or a conflict before the status is written.
            assert untrue <= 2
    world.come_back()
    world.cloud.blind = None
    world.cloud.refuse, world.cloud.fail, world.cloud.lose_answers = [], [], 0
    world.objects.budget, world.effects.fatal = "", None
    delete(world)
    await world.steps(80)
    assert world.left() == ["system"]
    assert await world.controller.reconcile(Key("", NAME)) is None
