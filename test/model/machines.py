"""A Machine, its agent pool and its Node, as a model to explore.

The controller is the real reconciler around the real decide function, in the world of its unit
tests. While there is an adversary it forgets all that it knew before each of its turns: nothing
that money depends on may be in memory alone. The cloud refuses, fails and loses answers, and Nodes
come and go, as a budget of mischief allows.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from kaito.provisioner import Pool, PoolState
from kaito.runtime import Conflict, Key, parse_rfc3339
from test.unit.controllers.machine.world import LOST, NO_ROOM, Killed, World, pod_object
from test.unit.provisioner.machines import A10, A100, NAME, requirement

TYPES = [requirement("node.kubernetes.io/instance-type", A100, A10)]
FOREIGN = Pool(
    name="system", state=PoolState.STOPPED, said="Stopped", instance_type=A10, labels={"a": "b"}
)
# What happened is told apart by how long ago it was, as the controller's patience is.
AGES = (900.0, 3600.0)
A_WHILE = 4000.0  # seconds; longer than any patience with a pool
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
VERSION = re.compile(r'"resourceVersion":"\d+"')
Happening: TypeAlias = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Situation:
    """A world, which is never changed but copied, and how often the adversary may still act."""

    world: World
    mischief: int
    launched_for_nobody: bool = False


def begin(mischief: int) -> Situation:
    """A claim that nobody has looked at yet, beside a pool of somebody else."""
    world = World()
    world.cloud.there["system"] = FOREIGN
    world.create(spec={"requirements": TYPES, "taints": []})
    return Situation(world, mischief)


def key(situation: Situation) -> bytes:
    """Equal for worlds that only the time tells apart, and that not by much."""
    world = situation.world
    cloud, objects, now = world.cloud, world.objects, world.clock.at
    everything = (
        objects.claims,
        objects.nodes,
        objects.pods,
        objects.budget,
        [repr(each) for each in cloud.there.values()],
        {name: at > now for name, at in cloud.due.items()},
        cloud.numbers,
        [repr(each) for each in (cloud.refuse, cloud.fail, cloud.blind)],
        (cloud.lose_answers, world.joins, sorted(world.joined)),
        (situation.mischief, situation.launched_for_nobody),
    )
    text = msgspec.json.encode(everything, order="deterministic").decode()
    text = VERSION.sub("", text)
    return TIME.sub(lambda found: _age(parse_rfc3339(found[0]), now), text).encode()


def _age(at: float, now: float) -> str:
    return f"age {sum(now - at >= each for each in AGES)}"


def _copied(situation: Situation, happen: Happening, spent: int = 0) -> Situation:
    world = copy.deepcopy(situation.world)
    living, launches = _is_living(world), len(world.cloud.launches)
    happen(world)
    for_nobody = not living and len(world.cloud.launches) > launches
    return Situation(world, situation.mischief - spent, situation.launched_for_nobody or for_nobody)


def _is_living(world: World) -> bool:
    claim = world.objects.claims.get(NAME)
    return claim is not None and "deletionTimestamp" not in claim["metadata"]


def _ended(coroutine: Coroutine[Any, Any, Any]) -> None:
    """What awaits nothing ends at once."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def _acts(world: World) -> None:
    world.start()
    try:
        _ended(world.controller.reconcile(Key("", NAME)))
    except Killed:
        world.restarts += 1
    except Conflict:
        pass


def _dies_after(effects: int) -> Happening:
    def act(world: World) -> None:
        world.effects.fatal = world.effects.count + effects
        _acts(world)
        world.effects.fatal = None

    return act


def _much_later(world: World) -> None:
    world.clock.at += A_WHILE
    world.settle()


def _operation_ends(world: World) -> None:
    world.clock.at += world.cloud.seconds
    world.settle()


def _refused(world: World) -> None:
    world.cloud.refuse = [NO_ROOM]


def _fails(world: World) -> None:
    world.cloud.fail = [NO_ROOM]


def _answer_is_lost(world: World) -> None:
    world.cloud.lose_answers = 1


def _blind(world: World) -> None:
    world.cloud.blind = LOST


def _nodes_do_not_join(world: World) -> None:
    world.joins = False


def _node_is_deleted(world: World) -> None:
    for name in list(world.objects.nodes):
        world.objects.delete(world.objects.nodes, name)


def _pool_is_deleted(world: World) -> None:
    world.cloud.there.pop(NAME, None)
    world.cloud.due.pop(NAME, None)
    world.cloud.numbers.pop(NAME, None)


def _claim_is_deleted(world: World) -> None:
    if _is_living(world):
        world.objects.delete(world.objects.claims, NAME)


def _pod_that_may_not_leave(world: World) -> None:
    world.objects.pods["a"] = pod_object("a")
    world.objects.budget = "a budget"


MISCHIEF: dict[str, Happening] = {
    "the next launch is refused": _refused,
    "the next pool fails": _fails,
    "the next answer is lost": _answer_is_lost,
    "the cloud answers no question": _blind,
    "Nodes do not join": _nodes_do_not_join,
    "the Node is deleted": _node_is_deleted,
    "the pool is deleted": _pool_is_deleted,
    "the claim is deleted": _claim_is_deleted,
    "a Pod may not leave": _pod_that_may_not_leave,
    "a long while passes": _much_later,
}


def moves(situation: Situation) -> Iterator[tuple[str, Situation]]:
    """Everything that can happen next."""
    yield "the controller acts", _copied(situation, _acts)
    for effects in (1, 2, 3):
        after = _copied(situation, _dies_after(effects))
        if after.world.restarts == situation.world.restarts:
            break
        yield f"it dies after effect {effects}", after
    if NAME in situation.world.cloud.due:
        yield "the pool's operation ends", _copied(situation, _operation_ends)
    if situation.mischief:
        for word, happen in MISCHIEF.items():
            yield word, _copied(situation, happen, spent=1)


def fair(situation: Situation) -> Situation:
    """The controller acts, remembering now, and the cloud does what it is asked, until something
    has changed or more time has passed than anybody waits."""
    before = key(situation)

    def happen(world: World) -> None:
        cloud = world.cloud
        cloud.blind, cloud.refuse, cloud.fail, cloud.lose_answers = None, [], [], 0
        world.objects.budget, world.joins = "", True
        until = world.clock.at + A_WHILE
        while world.clock.at < until and key(replace(situation, world=world)) == before:
            _ended(world.step())

    return replace(_copied(situation, happen), mischief=0)


def wrong(situation: Situation) -> str:
    """What must never be."""
    there = situation.world.cloud.there
    if there.get("system") != FOREIGN:
        return "it touched somebody else's pool"
    if set(there) - {"system", NAME}:
        return f"there are pools that nobody asked for: {sorted(there)}"
    if situation.launched_for_nobody:
        return "it launched a pool for a claim that is going or gone"
    return ""


def undone(situation: Situation) -> str:
    """What is missing of the desired end."""
    world = situation.world
    if _is_living(world):
        conditions = world.objects.claims[NAME].get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return "" if ready else f"it is not ready: {conditions}"
    left = [each for each in world.left() if each != "system"]
    return f"the claim has gone, and there still is {left}" if left else ""
