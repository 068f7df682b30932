"""Who has to leave a Node, and when."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.nodes.eviction import overdue_in, pressed_out, stays_for
from kaito.local.rehearsal import FAULT, NodeFault
from kaito.runtime import Object, rfc3339

NOW = 1_767_225_600.0
LOST = {
    "key": "node.kubernetes.io/unreachable",
    "effect": "NoExecute",
    "timeAdded": rfc3339(NOW - 10),
}
OTHER = {"key": "drain", "value": "now", "effect": "NoExecute"}


def pod(*tolerations: Any, **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"tolerations": list(tolerations), **spec}}


def tolerating(seconds: int | None = None, key: str = LOST["key"]) -> Object:
    limit = {} if seconds is None else {"tolerationSeconds": seconds}
    return {"key": key, "operator": "Exists", "effect": "NoExecute", **limit}


@pytest.mark.parametrize(
    ("tolerations", "left"),
    [
        ([], 0),
        ([tolerating()], None),
        ([tolerating(300)], 290),
        ([tolerating(5)], 0),
        ([tolerating(300), tolerating(60)], 50),
        ([tolerating(-1)], 0),
        ([tolerating(300, "other")], 0),
    ],
)
def test_a_pod_stays_as_long_as_it_tolerates_the_taint(
    tolerations: list[Any], left: float | None
) -> None:
    assert stays_for(pod(*tolerations), [LOST], NOW, patience=1) == left


def test_every_taint_must_be_tolerated() -> None:
    assert stays_for(pod(tolerating(300)), [LOST, OTHER], NOW, patience=1) == 0
    both = pod(tolerating(300), tolerating(key="drain"))
    assert stays_for(both, [LOST, OTHER], NOW, patience=1) == 290


def test_patience_shortens_the_wait_and_not_what_has_passed() -> None:
    assert stays_for(pod(tolerating(300)), [LOST], NOW, patience=0.1) == 20
    assert stays_for(pod(tolerating(300)), [LOST], NOW, patience=0.01) == 0


def node(fault: str, **conditions: str) -> Object:
    return {
        "metadata": {"annotations": {FAULT: fault}},
        "status": {
            "capacity": {"ephemeral-storage": "100Gi"},
            "conditions": [{"type": t, "status": status} for t, status in conditions.items()],
        },
    }


def test_pods_of_a_full_disk_are_evicted_once_the_node_says_so() -> None:
    full = node(NodeFault.DISK, DiskPressure="True")
    assert pressed_out(pod(), full) == (
        "The node was low on resource: ephemeral-storage. "
        "Threshold quantity: 16106127360, available: 14155776Ki. "
    )
    assert pressed_out(pod(), node(NodeFault.DISK, DiskPressure="False")) == ""
    assert pressed_out(pod(), node("", DiskPressure="True")) == ""


def test_pods_of_the_system_stay() -> None:
    pressed = node(NodeFault.MEMORY, MemoryPressure="True")
    assert pressed_out(pod(priority=2_000_001_000), pressed) == ""
    assert "low on resource: memory" in pressed_out(pod(priority=0), pressed)


def test_a_pod_may_be_active_for_so_long() -> None:
    asked = pod(activeDeadlineSeconds=60)
    assert overdue_in(asked, NOW) is None
    asked["status"] = {"startTime": rfc3339(NOW - 45)}
    assert overdue_in(asked, NOW) == 15
    assert overdue_in(pod() | {"status": asked["status"]}, NOW) is None
