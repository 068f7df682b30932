"""Both daemons come to the same end whatever happens to one of them, at whatever point: it dies of
a write, its cache tells the past, a state passes unseen. docs/reliability.md says what is covered.
"""

from __future__ import annotations

import pytest

from kaito.testing import Scenario, perturb
from test.integration.perturbed.scenarios import OTHERS, SECOND_SIZE, WHOLE

SHARE, SEED = 0.05, 11
PARTS = 8  # in which what takes long is run, for as many workers


def name_of(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", WHOLE, ids=name_of)
def test_a_fault_at_any_point_changes_nothing(scenario: Scenario) -> None:
    tried = perturb(scenario)
    assert len(tried.points) == tried.known


@pytest.mark.parametrize("scenario", OTHERS, ids=name_of)
def test_a_fault_at_a_seeded_point_of_a_larger_one_changes_nothing(scenario: Scenario) -> None:
    assert perturb(scenario, share=SHARE, seed=SEED).points


def test_a_serving_model_is_not_moved_by_a_list_of_machines_from_the_past() -> None:
    assert perturb(SECOND_SIZE, only="ago: manager ADDED machines.karpenter.sh *").points


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", OTHERS, ids=name_of)
def test_a_fault_at_any_point_of_a_larger_one_changes_nothing(
    scenario: Scenario, part: int
) -> None:
    assert perturb(scenario, part=(part, PARTS)).points
