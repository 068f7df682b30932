"""Each way in which a model is served, with real daemons: it serves, it leaves nothing behind, and
whoever kills a daemon at whatever moment changes nothing of that."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from test.e2e.lives import (
    Moment,
    Reference,
    killed,
    killed_after_every_change,
    undisturbed,
)
from test.e2e.scenarios import SCENARIOS, Scenario
from test.e2e.stage import PORTS

MOMENTS = 10
# A life with several nodes takes hundreds of processes.
SINGLE = [each for each in SCENARIOS if each.expected.pods <= 1]
# By module: the tests of one scenario run side by side, so that a worker lives its life once.
all_scenarios = pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda each: each.name, scope="module"
)


class References:
    """Undisturbed lives, each lived once in a test run."""

    def __init__(self) -> None:
        self._known: dict[str, Reference] = {}

    async def of(self, scenario: Scenario, scratch: Path) -> Reference:
        if scenario.name not in self._known:
            here = scratch / "undisturbed"
            here.mkdir()
            self._known[scenario.name] = await undisturbed(here, scenario)
        return self._known[scenario.name]


@pytest.fixture(scope="session")
def references() -> References:
    return References()


def seeded(scenario: Scenario, reference: Reference, number: int) -> Moment:
    """One of the moments of a scenario: an undisturbed life is cut into as many parts, and each
    has its own."""
    dice = random.Random(f"{scenario.name} {number}")
    moments = reference.moments
    return moments[int((number + dice.random()) * len(moments) / MOMENTS)]


@all_scenarios
async def test_serves_and_leaves_nothing(
    scenario: Scenario, references: References, tmp_path: Path
) -> None:
    reference = await references.of(scenario, tmp_path)
    changing = {each.daemon for each in reference.moments}
    brings = scenario.name != "own nodes"
    assert changing == set(PORTS if brings else ("manager",))


@all_scenarios
async def test_each_daemon_killed_once_changes_nothing(
    scenario: Scenario, references: References, tmp_path: Path
) -> None:
    reference = await references.of(scenario, tmp_path)
    dice = random.Random(scenario.name)
    moments = [
        dice.choice(known)
        for daemon in PORTS
        if (known := [each for each in reference.moments if each.daemon == daemon])
    ]
    await killed(tmp_path, scenario, moments, reference)


@pytest.mark.long
@pytest.mark.parametrize("number", range(MOMENTS))
@all_scenarios
async def test_a_daemon_killed_at_a_seeded_moment_changes_nothing(
    scenario: Scenario, number: int, references: References, tmp_path: Path
) -> None:
    reference = await references.of(scenario, tmp_path)
    await killed(tmp_path, scenario, [seeded(scenario, reference, number)], reference)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SINGLE, ids=lambda each: each.name)
async def test_daemons_killed_after_each_single_change_change_nothing(
    scenario: Scenario, references: References, tmp_path: Path
) -> None:
    reference = await references.of(scenario, tmp_path)
    kills = await killed_after_every_change(tmp_path, scenario, reference)
    assert kills >= len(reference.moments) / 2
