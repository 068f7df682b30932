"""The workspace controller's decisions, in every state that an adversary can bring about."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from kaito.controllers.workspace.decision import Decision, Deletion
from kaito.controllers.workspace.kinds import DEPLOYMENTS
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import ORDERS
from kaito.runtime import Key, Object
from test.model import workspaces
from test.model.explore import Found, Model, Violated, explore
from test.model.workspaces import Decide, World, begin
from test.unit.controllers.workspace.scene import SIZE, decided

SIZES = {"kaito.sh/instance-types": f"{SIZE}, Standard_NC24ads_A100_v4"}
ROUNDS = 4
ALL = 1_000_000
FOREIGN: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "w", "namespace": "default", "uid": "theirs", "generation": 1},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "theirs"}]}}},
}


def explored(world: World, decide: Decide = decided, most: int = ALL) -> Found:
    return explore(
        Model(
            begin=world,
            key=workspaces.key,
            moves=partial(workspaces.moves, decide=decide),
            fair=partial(workspaces.fair, decide=decide),
            wrong=workspaces.wrong,
            undone=workspaces.undone,
            rounds=ROUNDS,
        ),
        most,
    )


@pytest.mark.parametrize("annotations", [{}, SIZES], ids=["one size", "two sizes"])
def test_one_mischief_anywhere_is_overcome(annotations: dict[str, str]) -> None:
    assert explored(begin(1, metadata={"annotations": annotations})).states > 500


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("annotations", [{}, SIZES], ids=["one size", "two sizes"])
def test_two_mischiefs_anywhere_are_overcome(annotations: dict[str, str]) -> None:
    assert explored(begin(2, metadata={"annotations": annotations})).states > 10_000


def test_what_is_somebody_elses_is_left_alone_and_told() -> None:
    world = replace(begin(1), children={("Deployment", "w"): FOREIGN})
    assert explored(world).states > 40


# Controllers that are wrong in one respect.


def silent(observation: Observation) -> Decision:
    """Writes no status."""
    return replace(decided(observation), status=None)


def restless(observation: Observation) -> Decision:
    """Counts its looks in the status."""
    found = decided(observation)
    looks = observation.workspace.get("status", {}).get("looks", 0)
    return replace(found, status={**(found.status or {}), "looks": looks + 1})


def greedy(observation: Observation) -> Decision:
    """Asks for a node too many."""
    found = decided(observation)
    more = [
        {**each, "metadata": {**each["metadata"], "name": "more"}}
        for each in found.objects
        if each["kind"] in ORDERS
    ]
    return replace(found, objects=(*found.objects, *more))


def grasping(observation: Observation) -> Decision:
    """Deletes what stands in its way."""
    found = decided(observation)
    theirs = Deletion(resource=DEPLOYMENTS, key=Key("default", "w"), uid="theirs")
    return replace(found, deletions=(*found.deletions, theirs))


def clinging(observation: Observation) -> Decision:
    """Deletes nothing, ever."""
    return replace(decided(observation), deletions=())


@pytest.mark.parametrize(
    ("decide", "why"),
    [
        (silent, "it is not ready"),
        (restless, "it does not rest within"),
        (greedy, "it asks for 2 nodes and needs 1"),
        (grasping, "it deleted Deployment w, which is somebody else's"),
        (clinging, "the Workspace is still there|it does not rest"),
    ],
    ids=["silent", "restless", "greedy", "grasping", "clinging"],
)
def test_a_controller_that_is_wrong_is_found_out(decide: Decide, why: str) -> None:
    children = {("Deployment", "w"): FOREIGN} if decide is grasping else {}
    with pytest.raises(Violated, match=why):
        explored(replace(begin(1), children=children), decide)
