"""A simulated container, second by second."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.pods.simulation import POD_FAULT, Moment, at, restart_pause
from kaito.local.profile import Profile
from kaito.runtime import Object

PROFILE = Profile(
    image_pull=10, container_start=5, job_run=20, restart_backoff=10, restart_backoff_cap=40
)
BOUND = 1_767_225_600.0


def pod(fault: str = "", owner: str = "ReplicaSet", **spec: Any) -> Object:
    return {
        "metadata": {
            "annotations": {POD_FAULT: fault},
            "ownerReferences": [{"kind": owner}],
        },
        "spec": spec,
    }


def moment(elapsed: float, of: Object) -> Moment:
    return at(elapsed, BOUND, {"name": "c", "image": "i:1"}, of, PROFILE)


@pytest.mark.parametrize(
    ("elapsed", "is_", "ready", "again"),
    [
        (0, "waiting", False, 10),
        (10, "waiting", False, 5),
        (15, "running", True, None),
        (9999, "running", True, None),
    ],
)
def test_it_is_pulled_started_and_runs(
    elapsed: float, is_: str, ready: bool, again: float | None
) -> None:
    now = moment(elapsed, pod())
    assert (now.state.is_, now.state.ready, now.again) == (is_, ready, again)


def test_a_job_ends_with_success() -> None:
    assert moment(15, pod(owner="Job")).again == 20
    done = moment(35, pod(owner="Job"))
    assert (done.state.is_, done.state.exit_code, done.state.ended) == ("terminated", 0, BOUND + 35)


def test_an_image_that_cannot_be_pulled() -> None:
    now = moment(99, pod("image-pull"))
    assert now.state.reason == "ImagePullBackOff"
    assert "i:1" in now.state.message


def test_one_that_never_gets_ready() -> None:
    now = moment(99, pod("never-ready"))
    assert (now.state.is_, now.state.ready, now.again) == ("running", False, None)


@pytest.mark.parametrize(
    ("elapsed", "restarts", "again"),
    [
        (15, 0, 10),
        (24, 0, 1),
        (25, 1, 20),
        (45, 2, 40),
        (85, 3, 40),
        (15 + 10 + 20 + 40 * 1000, 1002, 40),
    ],
)
def test_a_crash_loop_slows_down_to_its_cap(elapsed: float, restarts: int, again: float) -> None:
    now = moment(elapsed, pod("crash"))
    assert now.state.reason == "CrashLoopBackOff"
    assert (now.state.restarts, now.again) == (restarts, again)
    assert now.state.last is not None
    assert now.state.last.exit_code == 1


def test_without_restarts_a_crash_is_the_end() -> None:
    now = moment(15, pod("out-of-memory", restartPolicy="Never"))
    assert (now.state.exit_code, now.state.reason, now.again) == (137, "OOMKilled", None)


def test_an_unknown_fault_is_none() -> None:
    assert moment(15, pod("whatever")).state.ready


def test_pauses_double_up_to_the_cap() -> None:
    assert [restart_pause(n, PROFILE) for n in (0, 1, 2, 3, 10_000)] == [10, 20, 40, 40, 40]
