"""How a Workspace goes, state by state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.decision import Finalizer
from kaito.controllers.workspace.observation import Observation
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    FIRST,
    condition,
    decided,
    held,
    machine,
    says,
    seen,
    serving,
)

GONE = "2026-01-01T00:00:00Z"


def leaving(*finalizers: str, **children: Any) -> Observation:
    """A Workspace that served and is being deleted; children get more metadata."""
    found = serving()
    metadata = found.workspace["metadata"]
    workspace = {
        **found.workspace,
        "metadata": {
            **metadata,
            "deletionTimestamp": GONE,
            "finalizers": [*metadata["finalizers"], *finalizers],
        },
    }
    known: Any = {"deployment": found.deployment, "service": found.service}
    changed: Any = {
        name: {**known[name], "metadata": {**known[name]["metadata"], **more}}
        for name, more in children.items()
    }
    return replace(found, workspace=workspace, **changed)


def told(observation: Observation) -> str:
    message: str = condition(decided(observation), "WorkspaceDeleting")["message"]
    return message


def test_everything_that_is_still_there_is_listed() -> None:
    message = told(leaving())
    assert message == (
        f"Waiting until nothing is left that costs money: Machine {FIRST}, Deployment w, Service w"
    )


def test_what_somebody_else_keeps_is_named() -> None:
    held_by = {"deletionTimestamp": GONE, "finalizers": ["foregroundDeletion", "them/hold"]}
    observation = leaving(service=held_by)
    assert told(observation).endswith("Service w, kept by the finalizer them/hold")
    assert [each.resource.kind for each in decided(observation).deletions] == [
        "Deployment",
        "Machine",
    ]


def test_a_service_is_waited_for_when_the_nodes_have_gone() -> None:
    observation = replace(leaving(service={"deletionTimestamp": GONE}), orders=(), deployment=None)
    decision = decided(observation)
    assert decision.finalizer is Finalizer.KEEP
    assert decision.deletions == ()
    assert decided(replace(observation, service=None)).finalizer is Finalizer.REMOVE


def test_who_orphans_keeps_the_children_and_not_the_nodes() -> None:
    decision = decided(leaving("orphan"))
    assert [each.resource.kind for each in decision.deletions] == ["Machine"]
    assert decided(replace(leaving("orphan"), orders=())).finalizer is Finalizer.REMOVE


def test_what_the_provisioner_says_of_the_end_is_passed_on() -> None:
    going = machine(deleting=True, Drained=("Unknown", "2 Pods leave."))
    assert f"Machine {FIRST} (2 Pods leave)" in told(replace(leaving(), orders=(going,)))


def test_saying_it_again_changes_nothing() -> None:
    observation = leaving()
    first = decided(observation)
    again = decided(
        replace(observation, workspace={**observation.workspace, "status": first.status})
    )
    assert again.status == first.status
    assert again.events == ()


@pytest.mark.parametrize("name", ["a" * 253, "a." * 126 + "a", "a" * 64])
def test_a_name_that_no_label_can_hold_is_refused_records_nothing_and_can_go(name: str) -> None:
    found: Object = held(metadata={"name": name})
    decision = decided(seen(found))
    assert says(decision, "ResourceReady") == ("False", "InvalidSpec")
    assert (decision.objects, decision.trial, decision.revision) == ((), (), None)
    going = held(metadata={"name": name, "deletionTimestamp": GONE})
    assert decided(seen(going)).finalizer is Finalizer.REMOVE


def test_an_endpoint_is_told_while_there_is_a_service() -> None:
    here = leaving(service={"deletionTimestamp": GONE})
    assert (decided(here).status or {})["endpoint"] == "http://w.default.svc"
    assert "endpoint" not in (decided(replace(here, service=None)).status or {})
