"""A simulated container, second by second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.local.pods.simulation import Moment, at, pull_error, restart_pause, told
from kaito.local.profile import Profile
from kaito.local.rehearsal import Asked, PodFault
from kaito.runtime import Object

PROFILE = Profile(
    image_pull=10, container_start=5, job_run=20, restart_backoff=10, restart_backoff_cap=40
)
BOUND = 1_767_225_600.0


CONTAINER = {"name": "c", "image": "i:1"}


def pod(owner: str = "ReplicaSet", **spec: Any) -> Object:
    owners = [{"kind": owner}]
    metadata = {"name": "p", "namespace": "ns", "uid": "u", "ownerReferences": owners}
    return {"metadata": metadata, "spec": spec}


def moment(
    elapsed: float, of: Object | None = None, fault: PodFault | None = None, **asked: Any
) -> Moment:
    return at(elapsed, BOUND, CONTAINER, of or pod(), PROFILE, Asked(fault=fault, **asked))


def story(until: float, step: float = 1.0, **asked: Any) -> list[str]:
    """The reasons of what is told, looking again and again."""
    before, said = None, []
    for number in range(int(until / step) + 1):
        now = moment(number * step, **asked).state
        said += [each.reason for each in told(before, now, CONTAINER, pod())]
        before = now
    return said


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
    assert moment(15, pod("Job")).again == 20
    done = moment(35, pod("Job"))
    assert (done.state.is_, done.state.exit_code, done.state.ended) == ("terminated", 0, BOUND + 35)


def test_what_is_told_of_a_container_that_runs() -> None:
    assert story(99) == ["Pulling", "Pulled", "Created", "Started"]
    assert story(99, step=33) == ["Pulling", "Pulled", "Created", "Started"]


def test_a_slow_one_takes_ten_times_as_long() -> None:
    assert moment(0, fault=PodFault.SLOW).again == 100
    assert moment(149, fault=PodFault.SLOW).state.is_ == "waiting"
    assert moment(150, fault=PodFault.SLOW).state.ready


def test_a_large_image_takes_its_time() -> None:
    fast = replace(PROFILE, pull_rate=1e9)
    asked = Asked(image_size=30e9, start=2)
    assert at(0, BOUND, CONTAINER, pod(), fast, asked).again == 30
    assert at(32, BOUND, CONTAINER, pod(), fast, asked).state.ready


@pytest.mark.parametrize(
    ("elapsed", "reason", "again"),
    [
        (10, "ErrImagePull", 4),
        (14, "ImagePullBackOff", 16),
        (30, "ErrImagePull", 6),
        (36, "ImagePullBackOff", 24),
        (60, "ErrImagePull", 10),
        (110, "ErrImagePull", 10),
    ],
)
def test_an_image_that_cannot_be_pulled_is_tried_again_ever_more_rarely(
    elapsed: float, reason: str, again: float
) -> None:
    now = moment(elapsed, fault=PodFault.IMAGE)
    assert now.state.reason == reason
    assert now.again == pytest.approx(again)


def test_what_is_said_of_an_image_that_is_not_there() -> None:
    assert story(30, fault=PodFault.IMAGE) == [
        *("Pulling", "Failed", "Failed", "BackOff", "Failed"),
        *("Pulling", "Failed", "Failed"),
    ]
    error = moment(10, fault=PodFault.IMAGE).state.message
    assert error == pull_error("i:1")
    assert moment(14, fault=PodFault.IMAGE).state.message == (
        f'Back-off pulling image "i:1": ErrImagePull: {error}'
    )


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("i", "docker.io/library/i:latest"),
        ("a/i:1", "docker.io/a/i:1"),
        ("r.example.com/a/i:1", "r.example.com/a/i:1"),
        ("r.example.com:5000/i@sha256:0", "r.example.com:5000/i@sha256:0"),
    ],
)
def test_an_image_is_named_in_full_where_its_registry_refuses(image: str, full: str) -> None:
    assert pull_error(image).endswith(f'reference "{full}": {full}: not found')


def test_a_fault_heals_after_the_times_asked_for() -> None:
    assert not moment(34, fault=PodFault.IMAGE, times=1).state.ready
    assert moment(35, fault=PodFault.IMAGE, times=1).state.ready
    crashing = moment(15 + 9, fault=PodFault.CRASH, times=2)
    assert crashing.state.reason == "CrashLoopBackOff"
    healed = moment(15 + 10, fault=PodFault.CRASH, times=2).state
    assert (healed.ready, healed.restarts) == (True, 2)


def test_one_that_never_gets_ready() -> None:
    now = moment(99, fault=PodFault.UNREADY)
    assert (now.state.is_, now.state.ready, now.again) == ("running", False, None)


@pytest.mark.parametrize(
    ("elapsed", "restarts", "again"),
    [
        (15, 1, 10),
        (24, 1, 1),
        (25, 2, 20),
        (45, 3, 40),
        (85, 4, 40),
        (15 + 10 + 20 + 40 * 1000, 1003, 40),
    ],
)
def test_a_crash_loop_slows_down_to_its_cap(elapsed: float, restarts: int, again: float) -> None:
    now = moment(elapsed, fault=PodFault.CRASH, exit_code=3)
    assert now.state.reason == "CrashLoopBackOff"
    assert now.state.restarts == restarts
    assert now.again == pytest.approx(again)
    assert now.state.last is not None
    assert now.state.last.exit_code == 3


def test_the_back_off_is_told_as_a_kubelet_tells_it() -> None:
    waiting = moment(25, fault=PodFault.CRASH).state
    assert waiting.message == "back-off 20s restarting failed container=c pod=p_ns(u)"
    assert story(26, fault=PodFault.CRASH).count("BackOff") == 2


def test_one_that_crashes_later_runs_first() -> None:
    asked: Any = {"fault": PodFault.OUT_OF_MEMORY, "after": 7}
    assert moment(15, **asked).state.ready
    assert moment(15 + 7, **asked).state.restarts == 1
    again = moment(15 + 7 + 7, **asked).state
    assert (again.reason, again.last and again.last.exit_code) == ("CrashLoopBackOff", 137)


def test_without_restarts_a_crash_is_the_end() -> None:
    now = moment(15, pod(restartPolicy="Never"), PodFault.OUT_OF_MEMORY)
    assert (now.state.exit_code, now.state.reason, now.again) == (137, "OOMKilled", None)


def test_pauses_double_up_to_the_cap() -> None:
    assert [restart_pause(n, PROFILE) for n in (0, 1, 2, 3, 10_000)] == [10, 20, 40, 40, 40]
