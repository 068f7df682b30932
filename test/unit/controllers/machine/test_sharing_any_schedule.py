"""Claims that share pools come, go and are forgotten in any order, and the controller is killed.

After each turn: no foreign pool is touched, no two claims have one Node, the cloud never had to
choose a machine. In the end everything that was asked for is there, once, or everything is gone.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.provisioner.claim import MACHINE, NODECLAIM, Dialect
from kaito.provisioner.sharing import pool_of
from test.unit.controllers.machine.town import Town
from test.unit.controllers.machine.world import BUSY, LOST, NO_ROOM, pod_object

# More than the life below takes; the last of them are never reached.
MOST_EFFECTS = 64
NAMES = ("wsa", "wsb", "wsc")


async def live(kills: list[int]) -> Town:
    """Three claims come, one goes, and the others follow; killed after each further so many
    effects."""
    town = Town()
    plan = iter(kills)
    town.effects.fatal = next(plan, None)

    async def turns(rounds: int) -> None:
        for _ in range(rounds):
            before = town.restarts
            await town.turns(1)
            if town.restarts > before:
                step = next(plan, None)
                town.effects.fatal = None if step is None else town.effects.count + step

    for name in NAMES:
        town.ask(name)
    await turns(24)
    assert sorted(town.ready()) == list(NAMES)
    assert town.machines() == 3
    kept = {name: town.node_of(name) for name in ("wsa", "wsc")}
    for name, node in kept.items():
        town.objects.pods[name] = pod_object(name, node)
    town.drop("wsb")
    await turns(20)
    assert sorted(town.ready()) == ["wsa", "wsc"]
    assert {name: town.node_of(name) for name in kept} == kept
    assert town.machines() == 2
    assert town.objects.evicted == []
    town.drop("wsa")
    town.drop("wsc")
    await turns(40)
    return town


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS))
async def test_killed_once(effect: int) -> None:
    town = await live([effect])
    assert town.left() == ["system"]
    assert town.cloud.born == {"wsa": 3}


@pytest.mark.parametrize("effect", range(1, MOST_EFFECTS, 7))
async def test_killed_after_every_side_effect_from_one_on(effect: int) -> None:
    town = await live([effect, *([1] * MOST_EFFECTS)])
    assert town.left() == ["system"]
    assert town.cloud.born == {"wsa": 3}


async def test_every_moment_of_their_lives_is_covered() -> None:
    town = await live([])
    assert 40 <= town.effects.count < MOST_EFFECTS


Event = Callable[[Town, str], None]


def toggle_joining(town: Town, _: str) -> None:
    town.joins = not town.joins


def toggle_sight(town: Town, _: str) -> None:
    town.cloud.blind = None if town.cloud.blind else BUSY


def refuse(town: Town, _: str) -> None:
    town.cloud.refuse = [BUSY, NO_ROOM]


def fail(town: Town, _: str) -> None:
    town.cloud.fail = [NO_ROOM, LOST]


def lose_answer(town: Town, _: str) -> None:
    town.cloud.lose_answers = 1


def die_soon(town: Town, _: str) -> None:
    town.effects.fatal = town.effects.count + 1


def restart(town: Town, _: str) -> None:
    town.start()


def lose_node(town: Town, name: str) -> None:
    claim = town.claim(name)
    if claim is not None and claim.status.node_name in town.objects.nodes:
        town.objects.delete(town.objects.nodes, claim.status.node_name)


def forget(town: Town, name: str) -> None:
    """The claim is removed by force."""
    town.objects.claims.pop(name, None)


def ask(town: Town, name: str) -> None:
    if name not in town.objects.claims:
        town.ask(name)


def sweep(town: Town) -> None:
    """Pools without a claim are another one's to find; here they are gone at once."""
    claimed = {pool_of(claim) for name in NAMES if (claim := town.claim(name)) is not None}
    for name in set(town.cloud.there) - claimed - {"system"}:
        del town.cloud.there[name]
        town.cloud.due.pop(name, None)
        town.cloud.dying.pop(name, None)
        town.cloud.numbers.pop(name, None)
    town.settle()


EVENTS: list[Event] = [
    *(ask, ask, ask, Town.drop, Town.drop, forget, lose_node, toggle_joining, toggle_sight),
    *(refuse, fail, lose_answer, die_soon, restart),
]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(EVENTS), st.sampled_from(NAMES), st.integers(1, 6)),
        min_size=3,
        max_size=16,
    ),
    st.sampled_from([MACHINE, NODECLAIM]),
    st.booleans(),
)
async def test_nothing_is_doubled_lost_or_leaked(
    day: list[tuple[Event, str, int]], dialect: Dialect, stays: bool
) -> None:
    town = Town(dialect)
    town.names = list(NAMES)
    town.ask("wsa")
    for happen, name, turns in day:
        happen(town, name)
        await town.turns(turns)
    town.cloud.blind, town.effects.fatal, town.joins = None, None, True
    town.cloud.refuse, town.cloud.fail, town.cloud.lose_answers = [], [], 0
    sweep(town)
    if stays:
        for name in NAMES:
            ask(town, name)
            town.objects.claims[name]["metadata"].get("annotations", {}).pop(
                "kaito.sh/useless-pools", None
            )
        await town.turns(80)
        living = [name for name in NAMES if name in town.objects.claims]
        assert sorted(town.ready()) == living
        assert town.machines() == len(living)
    for name in NAMES:
        ask(town, name)
        town.drop(name)
    await town.turns(80)
    sweep(town)
    await town.turns(20)
    assert town.left() == ["system"]
