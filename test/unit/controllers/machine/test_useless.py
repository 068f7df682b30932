"""The ledger of useless pools lies on the claim, and outlives whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaito.controllers.machine.useless import ANNOTATION, entering, mark_of, useless
from kaito.provisioner import Cause, Pool, PoolState, Way
from kaito.provisioner.claim import Claim
from test.unit.controllers.machine.world import NO_ROOM, World, failure
from test.unit.provisioner.machines import A100, NAME, machine, machine_object


def mark(launched: str) -> str:
    labels = {"kaito.sh/launch-timestamp": launched} if launched else {}
    return mark_of(
        Pool(name=NAME, state=PoolState.READY, said="Succeeded", instance_type=A100, labels=labels)
    )


def entered(claim: Claim, launched: str, why: str) -> Claim:
    """The claim after the patch."""
    annotations: dict[str, Any] = entering(claim, mark(launched), why)["metadata"]["annotations"]
    return noted(annotations[ANNOTATION])


def noted(text: str, generation: int = 1) -> Claim:
    plain = machine_object()["metadata"]
    metadata = {**plain, "annotations": {ANNOTATION: text}, "generation": generation}
    return machine(metadata=metadata)


def test_a_pool_is_known_by_when_it_was_launched() -> None:
    once = entered(machine(), "2026-01-01T00-00-00Z", "no Node")
    assert useless(once).holds(mark("2026-01-01T00-00-00Z"))
    assert not useless(once).holds(mark("2026-01-01T01-00-00Z"))


def test_the_same_pool_counts_once() -> None:
    once = entered(machine(), "2026-01-01T00-00-00Z", "no Node")
    twice = entered(once, "2026-01-01T00-00-00Z", "no Node either")
    assert useless(twice).pools == {"2026-01-01T00-00-00Z": "no Node either"}


def test_the_last_words_are_those_of_the_last_pool() -> None:
    first = entered(machine(), "2026-01-01T00-00-00Z", "no Node")
    assert useless(entered(first, "2026-01-01T01-00-00Z", "not made")).last == "not made"
    assert useless(machine()).last == ""


def test_a_pool_of_another_provisioners_making_counts_too() -> None:
    assert useless(entered(machine(), "", "no Node")).holds(mark(""))


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"generation": "1"}'])
def test_what_cannot_be_read_counts_for_nothing(text: str) -> None:
    assert useless(noted(text)).pools == {}


def test_another_generation_begins_anew() -> None:
    ledger = json.dumps({"generation": 1, "pools": {"a": "no Node"}})
    assert useless(noted(ledger)).pools == {"a": "no Node"}
    assert useless(noted(ledger, generation=2)).pools == {}


@pytest.mark.parametrize("cause", [Cause.POLICY, Cause.SUBNET])
async def test_pools_that_fail_until_somebody_acts_are_not_made_for_ever(cause: Cause) -> None:
    world = World()
    world.cloud.fail = [failure(Way.USER, cause, "denied")] * 9
    world.create()
    await world.steps(600)
    assert world.cloud.launches == [A100] * 3
    assert world.cloud.there == {}
    _, reason, message = world.condition("MachineLaunched")
    assert reason == "LaunchStopped"
    assert "denied (Code). Do this" in message
    world.cloud.fail.clear()
    del world.objects.claims[NAME]["metadata"]["annotations"]
    await world.steps(80)
    assert world.condition("Ready")[0] == "True"


async def test_a_size_that_cannot_be_had_costs_nothing_and_is_asked_for_again() -> None:
    world = World()
    world.cloud.fail = [NO_ROOM] * 5
    world.create()
    await world.steps(600)
    assert world.condition("Ready")[0] == "True"
