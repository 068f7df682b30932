"""What ends in Failed: what no amount of waiting mends. The rest is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.api.launch import STOPPED, Cause, needs_somebody
from kaito.api.meta import Condition
from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.observation import taken
from kaito.controllers.workspace.order import Order
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    after,
    decided,
    failed_machine,
    held,
    own_node,
    ready_machine,
    says,
    seen,
    serving,
)


def refused(reason: str) -> Order:
    machine = failed_machine("Azure said no. Do this.")
    conditions = [each.model_copy(update={"reason": reason}) for each in machine.status.conditions]
    status = machine.status.model_copy(update={"conditions": tuple(conditions)})
    return machine.model_copy(update={"status": status})


def waiting(reason: str) -> Object:
    state = {"waiting": {"reason": reason, "message": "no such thing"}}
    return {
        "metadata": {"name": "p"},
        "status": {"containerStatuses": [{"name": "engine", "state": state}]},
    }


def state(decision: Decision) -> str:
    assert decision.status is not None
    return str(decision.status["state"])


@pytest.mark.parametrize("reason", [Cause.FAMILY_QUOTA, Cause.AUTHORIZATION, STOPPED])
def test_a_node_that_a_person_has_to_make_possible_is_a_failure(reason: str) -> None:
    decision = decided(seen(held(), orders=(refused(reason),)))
    assert state(decision) == "Failed"
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")


@pytest.mark.parametrize("reason", [Cause.ALLOCATION, Cause.THROTTLED, Cause.SERVER])
def test_a_node_that_may_come_by_itself_is_waited_for(reason: str) -> None:
    decision = decided(seen(held(), orders=(refused(reason),)))
    assert state(decision) == "Pending"
    assert says(decision, "WorkspaceReady") == ("False", "workspacePending")


def test_a_first_start_that_does_not_mend_itself_is_a_failure() -> None:
    started = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))
    started = after(started, decided(started))
    assert state(decided(replace(started, pods=(waiting("InvalidImageName"),)))) == "Failed"
    assert state(decided(replace(started, pods=(waiting("CrashLoopBackOff"),)))) == "Pending"


def test_what_served_like_this_before_is_waited_for() -> None:
    running = serving()
    revision = decided(running).revision
    assert running.deployment is not None
    assert revision is not None
    running = replace(running, revisions=(revision,))
    stopped = {**running.deployment, "status": {"observedGeneration": 1}}
    faltered = replace(running, deployment=stopped, pods=(waiting("ImagePullBackOff"),))
    assert state(decided(faltered)) == "NotReady"


def test_it_is_over_as_soon_as_somebody_has_acted() -> None:
    failed = seen(held(), orders=(refused(Cause.FAMILY_QUOTA),))
    failed = after(failed, decided(failed))
    mended = replace(failed, orders=(ready_machine(),), nodes=(own_node(),))
    assert state(decided(mended)) == "Pending"


def test_every_cause_either_passes_or_needs_somebody() -> None:
    for cause in Cause:
        condition = Condition(type="Launched", status="False", reason=cause)
        assert needs_somebody(condition) is not cause.passing
        assert not needs_somebody(condition.model_copy(update={"status": "Unknown"}))


@pytest.mark.parametrize("kind", ["Machine", "Deployment"])
def test_what_stands_in_the_way_has_to_be_taken_away_by_a_person(kind: str) -> None:
    decision = decided(replace(seen(held()), obstacles=(taken(kind, "w"),)))
    assert state(decision) == "Failed"
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")
