"""The decisions about trainings, in every state that an adversary can bring about."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.kinds import JOBS
from kaito.controllers.workspace.observation import Observation
from test.model import tunings, workspaces
from test.model.explore import Found, Model, Violated, explore
from test.model.workspaces import Decide
from test.unit.controllers.workspace.scene import decided

ROUNDS = 6
ALL = 1_000_000


def explored(mischief: int, decide: Decide = decided) -> Found:
    return explore(
        Model(
            begin=tunings.begin(mischief),
            key=workspaces.key,
            moves=partial(tunings.moves, decide=decide),
            fair=partial(tunings.fair, decide=decide),
            wrong=workspaces.wrong,
            undone=tunings.undone,
            rounds=ROUNDS,
        ),
        ALL,
    )


def test_one_mischief_anywhere_is_overcome() -> None:
    assert explored(1).states > 500


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_mischiefs_anywhere_are_overcome() -> None:
    assert explored(2).states > 10_000


# Controllers that are wrong in one respect.


def wasteful(observation: Observation) -> Decision:
    """Keeps the nodes of a training that has ended."""
    found = decided(observation)
    return replace(found, deletions=tuple(d for d in found.deletions if d.resource is JOBS))


def careless(observation: Observation) -> Decision:
    """Lets an edited training go on."""
    found = decided(observation)
    return replace(found, deletions=tuple(d for d in found.deletions if d.resource is not JOBS))


@pytest.mark.parametrize(
    ("decide", "why"),
    [
        (wasteful, "it has ended, and keeps"),
        (careless, "it has not ended|it does not rest|the Workspace is still there"),
    ],
    ids=["wasteful", "careless"],
)
def test_a_controller_that_is_wrong_is_found_out(decide: Decide, why: str) -> None:
    with pytest.raises(Violated, match=why):
        explored(1, decide)
