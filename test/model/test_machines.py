"""The machine controller, in every state that an adversary can bring about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import msgspec
import pytest

from kaito.controllers.machine.cloud import Destroy
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import Decision, Observation, Policy, SetStatus
from test.model import machines
from test.model.explore import Found, Model, Violated, explore

ROUNDS = 25
ALL = 1_000_000
DECIDE = "kaito.controllers.machine.reconciler.decide"
Decide: TypeAlias = Callable[[Observation, Policy], Decision]


def explored(mischief: int) -> Found:
    return explore(
        Model(
            begin=machines.begin(mischief),
            key=machines.key,
            moves=machines.moves,
            fair=machines.fair,
            wrong=machines.wrong,
            undone=machines.undone,
            rounds=ROUNDS,
        ),
        ALL,
    )


def test_one_mischief_anywhere_is_overcome() -> None:
    assert explored(1).states > 200


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_mischiefs_anywhere_are_overcome() -> None:
    assert explored(2).states > 2000


# Controllers that are wrong in one respect.


def deaf(observation: Observation, policy: Policy) -> Decision:
    """Does not hear that the claim is to go."""
    claim = observation.claim
    if claim is None or not claim.metadata.deleting:
        return decide(observation, policy)
    return Decision()


def hasty(observation: Observation, policy: Policy) -> Decision:
    """Takes a claim that is to go for one that stays."""
    claim = observation.claim
    if claim is not None and claim.metadata.deleting:
        staying = msgspec.structs.replace(claim.metadata, deletion_timestamp=None)
        observation = replace(observation, claim=msgspec.structs.replace(claim, metadata=staying))
    return decide(observation, policy)


def silent(observation: Observation, policy: Policy) -> Decision:
    """Writes no status."""
    found = decide(observation, policy)
    said = tuple(each for each in found.writes if not isinstance(each, SetStatus))
    return replace(found, writes=said)


def grasping(observation: Observation, policy: Policy) -> Decision:
    """Deletes a pool that is none of its own."""
    found = decide(observation, policy)
    return replace(found, ask=Destroy(machines.FOREIGN)) if found.ask else found


@pytest.mark.parametrize(
    ("mutant", "why"),
    [
        (deaf, "the claim has gone, and there still is"),
        (hasty, "it launched a pool for a claim that is going|the claim has gone, and there"),
        (silent, "it is not ready"),
        (grasping, "it touched somebody else's pool"),
    ],
    ids=["deaf", "hasty", "silent", "grasping"],
)
def test_a_controller_that_is_wrong_is_found_out(
    mutant: Decide, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DECIDE, mutant)
    with pytest.raises(Violated, match=why):
        explored(1)
