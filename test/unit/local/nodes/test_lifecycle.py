"""What a simulated Node reports as it grows older."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaito.local.nodes.lifecycle import NodeStep, next_step
from kaito.local.nodes.shape import GPUS, NOT_READY_TAINT, SIMULATED, Machine, new_node
from kaito.local.profile import Profile
from kaito.local.rehearsal import FAULT, NodeFault
from kaito.runtime import Object, find_condition, is_true

NOW = 1_767_225_600.0
PROFILE = Profile(node_ready=10, gpu_ready=5, node_grace=50)
MACHINE = Machine(
    name="n",
    cores=24,
    memory=220,
    gpus=2,
    gpu_resource="nvidia.com/gpu",
    labels={},
    taints=[("sku", "gpu", "NoSchedule"), ("x", "", "NoExecute")],
    provider_id="azure:///x",
)


def node(**labels: str) -> Object:
    made = new_node(MACHINE, NOW)
    made["metadata"]["labels"] |= labels
    return made


def after(of: Object, age: float) -> Object:
    """The node after it has done what it does at this age."""
    done = copy.deepcopy(of)
    todo = next_step(of, age, NOW + age, PROFILE, asked_for=60)
    for name, value in (todo.status or {}).items():
        merged = {**done["status"].get(name, {}), **value} if isinstance(value, dict) else value
        done["status"][name] = merged
    if todo.taints is not None:
        done["spec"]["taints"] = todo.taints
    return done


def test_it_registers_unready_without_gpus() -> None:
    made = node()
    assert not is_true(made["status"]["conditions"], "Ready")
    assert "nvidia.com/gpu" not in made["status"]["capacity"]
    assert made["status"]["capacity"]["cpu"] == "24"
    assert made["spec"]["taints"] == [
        {"key": "sku", "value": "gpu", "effect": "NoSchedule"},
        {"key": "x", "effect": "NoExecute"},
        {"key": NOT_READY_TAINT, "effect": "NoSchedule"},
    ]
    assert made["spec"]["providerID"] == "azure:///x"
    assert made["metadata"]["annotations"][GPUS] == "nvidia.com/gpu=2"


def test_it_becomes_ready_and_then_its_gpus_appear() -> None:
    assert next_step(node(), 4, NOW, PROFILE).again == 6
    ready = after(node(), 10)
    assert is_true(ready["status"]["conditions"], "Ready")
    assert [taint["key"] for taint in ready["spec"]["taints"]] == ["sku", "x"]
    assert "nvidia.com/gpu" not in ready["status"]["capacity"]
    assert next_step(ready, 12, NOW, PROFILE).again == 3
    equipped = after(ready, 15)
    assert equipped["status"]["capacity"]["nvidia.com/gpu"] == "2"
    assert equipped["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    assert next_step(equipped, 99, NOW, PROFILE) == next_step(equipped, 999, NOW, PROFILE)
    assert next_step(equipped, 99, NOW, PROFILE).status is None


@pytest.mark.parametrize(
    ("fault", "ready", "gpus"), [("never-ready", False, False), ("no-gpu", True, False)]
)
def test_it_can_fail_from_the_start(fault: str, ready: bool, gpus: bool) -> None:
    broken = after(node(**{FAULT: fault}), 1000)
    assert is_true(broken["status"]["conditions"], "Ready") is ready
    assert ("nvidia.com/gpu" in broken["status"]["capacity"]) is gpus


def keys(of: Object) -> list[tuple[str, str]]:
    return [(taint["key"].rpartition("/")[2], taint["effect"]) for taint in of["spec"]["taints"]]


OWN = [("sku", "NoSchedule"), ("x", "NoExecute")]


@pytest.mark.parametrize(
    ("fault", "type_", "status", "turn", "taints"),
    [
        (
            NodeFault.NOT_READY,
            "Ready",
            "False",
            "NodeNotReady",
            [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")],
        ),
        (
            NodeFault.LOST,
            "Ready",
            "Unknown",
            "NodeNotReady",
            [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")],
        ),
        (
            NodeFault.DISK,
            "DiskPressure",
            "True",
            "NodeHasDiskPressure",
            [("disk-pressure", "NoSchedule")],
        ),
        (
            NodeFault.MEMORY,
            "MemoryPressure",
            "True",
            "NodeHasInsufficientMemory",
            [("memory-pressure", "NoSchedule")],
        ),
    ],
)
def test_a_fault_shows_in_a_condition_and_taints_and_heals(
    fault: NodeFault, type_: str, status: str, turn: str, taints: list[tuple[str, str]]
) -> None:
    well = after(after(node(), 10), 15)
    ill = copy.deepcopy(well)
    ill["metadata"]["annotations"][FAULT] = fault
    assert next_step(ill, 20, NOW + 20, PROFILE, asked_for=60).turns == (turn,)
    ill = after(ill, 20)
    found = find_condition(ill["status"]["conditions"], type_)
    assert found is not None
    assert found["status"] == status
    assert keys(ill) == OWN + taints
    assert next_step(ill, 30, NOW + 30, PROFILE, asked_for=70) == NodeStep()
    del ill["metadata"]["annotations"][FAULT]
    healed = after(ill, 40)
    assert keys(healed) == OWN
    assert {c["type"]: c["status"] for c in healed["status"]["conditions"]} == {
        c["type"]: c["status"] for c in well["status"]["conditions"]
    }


def test_a_lost_node_is_noticed_after_its_grace() -> None:
    lost = after(after(node(), 10), 15)
    lost["metadata"]["annotations"][FAULT] = NodeFault.LOST
    assert next_step(lost, 20, NOW, PROFILE, asked_for=5).again == PROFILE.node_grace - 5
    gone = after(lost, 20)
    assert {c["reason"] for c in gone["status"]["conditions"]} == {"NodeStatusUnknown"}


def test_gpus_go_with_their_device_plugin_and_come_back() -> None:
    well = after(after(node(), 10), 15)
    well["metadata"]["annotations"][FAULT] = NodeFault.NO_GPU
    gone = after(well, 20)
    assert gone["status"]["allocatable"]["nvidia.com/gpu"] == "0"
    assert gone["status"]["capacity"]["nvidia.com/gpu"] == "2"
    del gone["metadata"]["annotations"][FAULT]
    assert after(gone, 30)["status"]["allocatable"]["nvidia.com/gpu"] == "2"


def test_nodes_of_others_are_left_alone() -> None:
    foreign: Any = node()
    del foreign["metadata"]["annotations"][SIMULATED]
    todo = next_step(foreign, 1000, NOW, PROFILE)
    assert (todo.status, todo.taints, todo.again) == (None, None, None)
