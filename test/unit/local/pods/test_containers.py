"""The status of a pod follows from its containers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.local.pods.containers import (
    CREATING,
    INITIALIZING,
    ContainerState,
    PodFacts,
    cut_short,
    may_begin,
    pod_phase,
    pod_status,
)
from kaito.runtime import Object, find_condition, rfc3339

NOW = 1_767_225_600.0
RUNNING = ContainerState(is_="running", started=NOW, ready=True)
DONE = ContainerState(is_="terminated", reason="Completed", started=NOW, ended=NOW + 1)
BROKEN = replace(DONE, reason="Error", exit_code=1)
LOOPING = ContainerState(is_="waiting", reason="CrashLoopBackOff", restarts=2, last=BROKEN)
FACTS = PodFacts(host_ip="10.0.0.1", pod_ip="10.244.0.9", started=NOW, now=NOW)


def pod(*names: str, **spec: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {"containers": [{"name": name, "image": "i:1"} for name in names], **spec},
        "status": {
            "phase": "Pending",
            "qosClass": "BestEffort",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "t"}],
        },
    }


@pytest.mark.parametrize(
    ("states", "policy", "phase"),
    [
        ([CREATING], "Always", "Pending"),
        ([RUNNING, CREATING], "Always", "Pending"),
        ([LOOPING], "Always", "Running"),
        ([DONE], "Always", "Running"),
        ([DONE], "Never", "Succeeded"),
        ([DONE], "OnFailure", "Succeeded"),
        ([DONE, RUNNING], "Never", "Running"),
        ([DONE, BROKEN], "Never", "Failed"),
        ([BROKEN], "OnFailure", "Running"),
    ],
)
def test_the_phase(states: list[ContainerState], policy: str, phase: str) -> None:
    named = {f"c{number}": state for number, state in enumerate(states)}
    spec = {"containers": [{"name": name} for name in named], "restartPolicy": policy}
    assert pod_phase(spec, named) == phase


def test_a_running_pod_is_ready_and_says_since_when() -> None:
    status = pod_status(pod("a"), {"a": RUNNING}, FACTS)
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.0.9"
    assert status["qosClass"] == "BestEffort", "what others wrote stays"
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("PodScheduled", "True"),
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "True"),
        ("ContainersReady", "True"),
    ]
    (container,) = status["containerStatuses"]
    assert container["state"] == {"running": {"startedAt": rfc3339(NOW)}}
    assert container["ready"]
    assert container["started"]


def test_an_unready_container_is_named() -> None:
    status = pod_status(pod("a", "b"), {"a": RUNNING, "b": CREATING}, FACTS)
    for type_ in ("Ready", "ContainersReady"):
        found = find_condition(status["conditions"], type_)
        assert found is not None
        assert (found["status"], found["reason"]) == ("False", "ContainersNotReady")
        assert found["message"] == "containers with unready status: [b]"


def test_a_restarting_container_shows_how_it_ended() -> None:
    status = pod_status(pod("a"), {"a": LOOPING}, FACTS)
    (container,) = status["containerStatuses"]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert container["restartCount"] == 2


def test_times_move_only_with_the_state() -> None:
    before = pod("a")
    before["status"] = pod_status(before, {"a": RUNNING}, FACTS)
    later = replace(FACTS, now=NOW + 60, started=NOW + 60)
    assert pod_status(before, {"a": RUNNING}, later) == before["status"]
    unready = pod_status(before, {"a": replace(RUNNING, ready=False)}, later)
    found = find_condition(unready["conditions"], "Ready")
    assert found is not None
    assert found["lastTransitionTime"] == rfc3339(NOW + 60)


def test_a_pod_that_was_ended_is_over_whatever_its_containers_did() -> None:
    states = {"one": cut_short(RUNNING, NOW + 5), "two": DONE, "three": CREATING}
    status = pod_status(pod(*states), states, replace(FACTS, ended=True))
    assert status["phase"] == "Failed"
    one, two, three = [each["state"] for each in status["containerStatuses"]]
    assert (one["terminated"]["exitCode"], two["terminated"]["exitCode"]) == (137, 0)
    assert one["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "waiting" in three


def test_a_finished_pod_is_not_ready_because_it_is_over() -> None:
    status = pod_status(pod("a", restartPolicy="Never"), {"a": DONE}, FACTS)
    found = find_condition(status["conditions"], "Ready")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "PodCompleted")
    assert "message" not in found


INITS = pod("a", initContainers=[{"name": "i"}, {"name": "s", "restartPolicy": "Always"}])
FRESH = {"i": INITIALIZING, "s": INITIALIZING, "a": INITIALIZING}


@pytest.mark.parametrize(
    ("states", "begin"),
    [
        ({}, ["i"]),
        ({"i": RUNNING}, ["i"]),
        ({"i": BROKEN}, ["i"]),
        ({"i": DONE}, ["i", "s"]),
        ({"i": DONE, "s": replace(RUNNING, passed=False)}, ["i", "s"]),
        ({"i": DONE, "s": RUNNING}, ["i", "s", "a"]),
        ({"i": DONE, "s": LOOPING}, ["i", "s", "a"]),
    ],
)
def test_containers_begin_one_after_the_other(
    states: dict[str, ContainerState], begin: list[str]
) -> None:
    assert may_begin(INITS["spec"], FRESH | states) == begin


@pytest.mark.parametrize(
    ("states", "policy", "phase"),
    [
        ({}, "Always", "Pending"),
        ({"i": BROKEN}, "OnFailure", "Pending"),
        ({"i": BROKEN}, "Never", "Failed"),
        ({"i": DONE, "s": RUNNING, "a": RUNNING}, "Always", "Running"),
        ({"i": DONE, "s": RUNNING, "a": DONE}, "Never", "Succeeded"),
        ({"i": DONE, "s": BROKEN, "a": DONE}, "Never", "Succeeded"),
    ],
)
def test_the_phase_with_init_containers(
    states: dict[str, ContainerState], policy: str, phase: str
) -> None:
    assert pod_phase(INITS["spec"] | {"restartPolicy": policy}, FRESH | states) == phase


def test_a_pod_is_initialized_when_its_init_containers_are_through() -> None:
    status = pod_status(INITS, FRESH | {"i": DONE}, FACTS)
    found = find_condition(status["conditions"], "Initialized")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "ContainersNotInitialized")
    assert found["message"] == "containers with incomplete status: [s]"
    init, sidecar = status["initContainerStatuses"]
    assert (init["ready"], sidecar["ready"]) == (True, False)
    through = pod_status(INITS, FRESH | {"i": DONE, "s": RUNNING}, FACTS)
    found = find_condition(through["conditions"], "Initialized")
    assert found is not None
    assert found["status"] == "True"


def test_a_pod_is_ready_when_its_gates_are_open() -> None:
    gated = pod("a", readinessGates=[{"conditionType": "example.com/open"}])
    status = pod_status(gated, {"a": RUNNING}, FACTS)
    found = find_condition(status["conditions"], "Ready")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "ReadinessGatesNotReady")
    contained = find_condition(status["conditions"], "ContainersReady")
    assert contained is not None
    assert contained["status"] == "True"
    gated["status"]["conditions"].append({"type": "example.com/open", "status": "True"})
    opened = find_condition(pod_status(gated, {"a": RUNNING}, FACTS)["conditions"], "Ready")
    assert opened is not None
    assert opened["status"] == "True"
