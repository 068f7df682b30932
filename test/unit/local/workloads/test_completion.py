"""When a Job makes pods, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.workloads.completion import TRACKING, JobPlan, plan
from kaito.runtime import Object, rfc3339

NOW = 1_767_225_600.0


def job(before: Any = None, restart_policy: str = "Never", **spec: Any) -> Object:
    defaults = {"completions": 1, "parallelism": 1, "backoffLimit": 6}
    template = {"spec": {"restartPolicy": restart_policy}}
    return {
        "metadata": {"name": "j", "uid": "u"},
        "spec": {**defaults, "template": template, **spec},
        "status": before or {},
    }


def pod(name: str, phase: str = "Running", ended: float = NOW, restarts: int = 0) -> Object:
    state = {"terminated": {"finishedAt": rfc3339(ended)}} if phase in ("Failed",) else {}
    return {
        "metadata": {"name": name, "finalizers": [TRACKING]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"state": state, "restartCount": restarts}],
        },
    }


def todo(of: Object, *pods: Object, now: float = NOW) -> JobPlan:
    return plan(of, pods, now, backoff=10)


def test_a_job_starts_with_its_pod() -> None:
    first = todo(job())
    assert first.create == 1
    assert first.status == {
        "ready": 0,
        "startTime": rfc3339(NOW),
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }


def test_parallelism_and_completions_bound_the_pods() -> None:
    of = job(completions=5, parallelism=3)
    assert todo(of).create == 3
    done = [pod(f"d{number}", "Succeeded") for number in range(4)]
    assert todo(of, *done).create == 1
    assert todo(job(completions=5, parallelism=1), pod("a"), pod("b")).delete == ("b",)


def test_a_success_completes_it_and_lets_the_pod_go() -> None:
    over = todo(job(), pod("a", "Succeeded"))
    assert over.release == ("a",)
    assert over.create == 0
    assert over.status["succeeded"] == 1
    assert over.status["completionTime"] == rfc3339(NOW)
    assert [(c["type"], c["reason"]) for c in over.status["conditions"]] == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]


def test_a_finished_job_stays_as_it_is() -> None:
    before = todo(job(), pod("a", "Succeeded")).status
    later = todo(job(before), now=NOW + 100)
    assert later.status == before
    assert later.create == 0


def test_a_failed_pod_is_replaced_after_a_pause_that_doubles() -> None:
    waiting = todo(job(), pod("a", "Failed"))
    assert (waiting.create, waiting.again) == (0, 10)
    assert todo(job(), pod("a", "Failed"), now=NOW + 10).create == 1
    twice = todo(job(), pod("a", "Failed"), pod("b", "Failed", NOW + 12), now=NOW + 20)
    assert (twice.create, twice.again) == (0, 12)
    assert twice.status["failed"] == 2


@pytest.mark.parametrize(
    ("pods", "limit"),
    [
        ([pod("a", "Failed"), pod("b", "Failed")], 1),
        ([pod("a", restarts=2)], 1),
    ],
)
def test_too_many_failures_end_it(pods: list[Object], limit: int) -> None:
    policy = "OnFailure" if len(pods) == 1 else "Never"
    over = todo(job(backoffLimit=limit, restart_policy=policy), *pods)
    assert [(c["type"], c["reason"]) for c in over.status["conditions"]] == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert "completionTime" not in over.status


def test_a_deadline_ends_it_and_its_pods() -> None:
    of = job({"startTime": rfc3339(NOW - 50)}, activeDeadlineSeconds=60)
    assert todo(of, pod("a")).again == 10
    over = todo(of, pod("a"), now=NOW + 10)
    assert over.delete == ("a",)
    assert over.status["conditions"][-1]["reason"] == "DeadlineExceeded"


def test_a_suspended_job_has_no_pods() -> None:
    paused = todo(job(suspend=True), pod("a"))
    assert (paused.create, paused.delete) == (0, ("a",))


def test_what_was_counted_stays_counted() -> None:
    assert todo(job({"failed": 2}, backoffLimit=1)).status["conditions"][-1]["type"] == "Failed"


def test_a_work_queue_ends_when_one_has_succeeded_and_all_are_done() -> None:
    of = job(completions=None, parallelism=2)
    assert todo(of, pod("a", "Succeeded"), pod("b")).create == 0
    assert "conditions" not in todo(of, pod("a", "Succeeded"), pod("b")).status
    over = todo(of, pod("a", "Succeeded"), pod("b", "Succeeded"))
    assert over.status["conditions"][-1]["type"] == "Complete"
