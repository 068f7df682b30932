"""When a Job makes pods, what of them it counts, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.workloads.completion import TRACKING, JobPlan, Start, plan
from kaito.local.workloads.completions import INDEX
from kaito.local.workloads.failures import FAILURES
from kaito.runtime import Object, rfc3339

NOW = 1_767_225_600.0
IGNORE_DISRUPTIONS = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}


def job(before: Any = None, restart_policy: str = "Never", **spec: Any) -> Object:
    defaults = {"completions": 1, "parallelism": 1, "backoffLimit": 6}
    template = {"spec": {"restartPolicy": restart_policy}}
    return {
        "metadata": {"name": "j", "uid": "u"},
        "spec": {**defaults, "template": template, **spec},
        "status": before or {},
    }


def indexed(completions: int = 3, **spec: Any) -> Object:
    spec = {"completions": completions, "parallelism": completions} | spec
    return job(completionMode="Indexed", **spec)


def pod(
    name: str,
    phase: str = "Running",
    ended: float = NOW,
    *,
    restarts: int = 0,
    code: int = 1,
    index: int | None = None,
    failures: int = 0,
    **status: Any,
) -> Object:
    over = {"terminated": {"finishedAt": rfc3339(ended), "exitCode": code}}
    metadata: Object = {"name": name, "namespace": "ns", "uid": name, "finalizers": [TRACKING]}
    if index is not None:
        metadata["annotations"] = {INDEX: str(index), FAILURES: str(failures)}
    container = {
        "name": "main",
        "state": over if phase == "Failed" else {},
        "restartCount": restarts,
    }
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"phase": phase, "containerStatuses": [container], **status},
    }


def todo(of: Object, *pods: Object, now: float = NOW) -> JobPlan:
    return plan(of, pods, now, backoff=10)


def at_rest(of: Object, *pods: Object, now: float = NOW) -> JobPlan:
    """The plan after those before it were carried out, but for the pods it would make."""
    there = {each["metadata"]["name"]: each for each in pods}
    while True:
        step = todo(of, *there.values(), now=now)
        if step.status == of["status"] and not step.release and not step.delete:
            return step
        of = {**of, "status": step.status}
        for name in step.release:
            there[name]["metadata"]["finalizers"] = []
        for name in step.delete:
            del there[name]


def reasons(of: JobPlan) -> list[tuple[str, str]]:
    return [(each["type"], each["reason"]) for each in of.status.get("conditions", ())]


def test_a_job_starts_with_its_pod() -> None:
    first = todo(job())
    assert first.create == (Start(),)
    assert first.status == {
        "active": 1,
        "ready": 0,
        "startTime": rfc3339(NOW),
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }


def test_parallelism_and_completions_bound_the_pods() -> None:
    of = job(completions=5, parallelism=3)
    assert len(todo(of).create) == 3
    done = [pod(f"d{number}", "Succeeded") for number in range(4)]
    assert len(todo(of, *done).create) == 1
    fewer = todo(job(completions=5, parallelism=1), pod("a"), pod("b"))
    assert len(fewer.delete) == 1
    assert fewer.release == fewer.delete


def test_a_pod_is_written_down_before_it_is_let_go_and_counted_after_that() -> None:
    first = todo(job(completions=2), pod("a", "Succeeded"))
    assert first.release == ("a",)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"]}
    assert "succeeded" not in first.status
    gone = todo(job(first.status, completions=2))
    assert gone.status["succeeded"] == 1
    assert gone.status["uncountedTerminatedPods"] == {}


def test_a_success_completes_it_and_lets_the_pod_go() -> None:
    over = at_rest(job(), pod("a", "Succeeded"))
    assert over.create == ()
    assert over.status["succeeded"] == 1
    assert over.status["completionTime"] == rfc3339(NOW)
    assert reasons(over) == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]


def test_a_finished_job_stays_as_it_is() -> None:
    before = at_rest(job(), pod("a", "Succeeded")).status
    later = todo(job(before), now=NOW + 100)
    assert later.status == before
    assert later.create == ()


def test_a_failed_pod_is_replaced_after_a_pause_that_doubles() -> None:
    waiting = todo(job(), pod("a", "Failed"))
    assert (waiting.create, waiting.again) == ((), 10)
    assert len(todo(job(), pod("a", "Failed"), now=NOW + 10).create) == 1
    twice = at_rest(job(), pod("a", "Failed"), pod("b", "Failed", NOW + 12), now=NOW + 20)
    assert (twice.create, twice.again) == ((), 12)
    assert twice.status["failed"] == 2


def test_the_pause_counts_from_the_end_of_a_pod_whose_containers_never_began() -> None:
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": rfc3339(NOW - 4)}
    waiting = {"name": "main", "state": {"waiting": {}}}
    removed = pod("a", "Failed", containerStatuses=[waiting], conditions=[unready])
    assert todo(job(), removed).again == 6
    # Without any condition it is when the deletion was asked for, which is given a while.
    removed = pod("a", "Failed", containerStatuses=[waiting])
    removed["metadata"] |= {
        "deletionTimestamp": rfc3339(NOW + 28),
        "deletionGracePeriodSeconds": 30,
    }
    assert todo(job(), removed).again == 8


def test_a_success_ends_the_pauses() -> None:
    pods = pod("a", "Failed", NOW - 5), pod("b", "Succeeded", NOW)
    assert len(todo(job(completions=2), *pods).create) == 1


@pytest.mark.parametrize(
    ("pods", "limit", "failed"),
    [
        ([pod("a", "Failed"), pod("b", "Failed"), pod("c")], 1, 3),
        ([pod("a", restarts=2)], 2, 1),
    ],
)
def test_too_many_failures_end_it_and_count_what_still_ran(
    pods: list[Object], limit: int, failed: int
) -> None:
    policy = "OnFailure" if len(pods) == 1 else "Never"
    over = at_rest(job(backoffLimit=limit, restart_policy=policy), *pods)
    assert reasons(over) == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert over.status["failed"] == failed
    assert "completionTime" not in over.status


def test_a_job_is_not_over_before_its_last_pod_is_gone() -> None:
    deciding = todo(job(backoffLimit=0), pod("a", "Failed"), pod("b"))
    assert deciding.delete == ("b",)
    assert reasons(deciding) == [("FailureTarget", "BackoffLimitExceeded")]
    leaving = pod("b")
    leaving["metadata"] |= {"deletionTimestamp": rfc3339(NOW), "finalizers": []}
    waiting = todo(job(deciding.status, backoffLimit=0), leaving)
    assert waiting.status["terminating"] == 1
    assert len(reasons(waiting)) == 1


def test_a_deadline_ends_it_and_its_pods() -> None:
    of = job({"startTime": rfc3339(NOW - 50)}, activeDeadlineSeconds=60)
    assert todo(of, pod("a")).again == 10
    over = todo(of, pod("a"), now=NOW + 10)
    assert over.delete == ("a",)
    assert reasons(over)[-1] == ("FailureTarget", "DeadlineExceeded")


def test_a_suspended_job_has_no_pods_and_no_start() -> None:
    paused = todo(job({"startTime": rfc3339(NOW)}, suspend=True), pod("a"))
    assert (paused.create, paused.delete) == ((), ("a",))
    assert reasons(paused) == [("Suspended", "JobSuspended")]
    assert "startTime" not in paused.status
    resumed = todo(job(paused.status), now=NOW + 5)
    assert reasons(resumed) == [("Suspended", "JobResumed")]
    assert resumed.status["startTime"] == rfc3339(NOW + 5)


def test_what_was_counted_stays_counted() -> None:
    assert reasons(todo(job({"failed": 2}, backoffLimit=1)))[-1][0] == "Failed"


def test_a_work_queue_ends_when_one_has_succeeded_and_all_are_done() -> None:
    of = job(completions=None, parallelism=2)
    assert todo(of, pod("a", "Succeeded"), pod("b")).create == ()
    assert reasons(todo(of, pod("a", "Succeeded"), pod("b"))) == []
    over = at_rest(of, pod("a", "Succeeded"), pod("b", "Succeeded"))
    assert reasons(over)[-1][0] == "Complete"


def test_every_index_gets_a_pod_until_it_has_succeeded() -> None:
    of = indexed(4, parallelism=2)
    assert [start.index for start in todo(of).create] == [0, 1]
    later = todo(of, pod("a", index=0), pod("b", "Succeeded", index=1))
    assert later.status["completedIndexes"] == "1"
    assert later.status["succeeded"] == 1
    assert [start.index for start in later.create] == [2]


def test_two_pods_of_one_index_are_one_too_many() -> None:
    assert len(todo(indexed(2), pod("a", index=0), pod("b", index=0)).delete) == 1


def test_an_index_that_fails_too_often_is_given_up_and_the_others_go_on() -> None:
    of = indexed(2, backoffLimit=2**31 - 1, backoffLimitPerIndex=1)
    once = todo(of, pod("a", "Failed", index=0), pod("b", index=1), now=NOW + 10)
    assert once.create == (Start(0, failures=1),)
    twice = pod("a", "Failed", index=0, failures=1), pod("b", index=1)
    assert at_rest(of, *twice).status["failedIndexes"] == "0"
    assert reasons(at_rest(of, *twice)) == []
    done = at_rest(of, pod("a", "Failed", index=0, failures=1), pod("b", "Succeeded", index=1))
    assert reasons(done)[-1] == ("Failed", "FailedIndexes")


def test_too_many_lost_indexes_end_the_job() -> None:
    of = indexed(3, backoffLimit=2**31 - 1, backoffLimitPerIndex=0, maxFailedIndexes=0)
    over = at_rest(of, pod("a", "Failed", index=2))
    assert reasons(over)[-1] == ("Failed", "MaxFailedIndexesExceeded")


def test_a_success_policy_ends_the_job_without_counting_the_rest() -> None:
    of = indexed(3, successPolicy={"rules": [{"succeededIndexes": "0"}]})
    over = at_rest(of, pod("a", "Succeeded", index=0), pod("b", index=1))
    assert reasons(over)[-1] == ("Complete", "SuccessPolicy")
    assert over.status["conditions"][-1]["message"] == "Matched rules at index 0"
    assert "failed" not in over.status


def test_a_rule_can_fail_the_whole_job_by_exit_code() -> None:
    rule = {
        "action": "FailJob",
        "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]},
    }
    over = at_rest(job(podFailurePolicy={"rules": [rule]}), pod("a", "Failed", code=42))
    assert reasons(over)[-1] == ("Failed", "PodFailurePolicy")
    assert over.status["conditions"][-1]["message"] == (
        "Container main for pod ns/a failed with exit code 42 matching FailJob rule at index 0"
    )


def test_an_ignored_failure_does_not_count() -> None:
    of = job(backoffLimit=0, podFailurePolicy={"rules": [IGNORE_DISRUPTIONS]})
    disrupted = pod("a", "Failed", conditions=[{"type": "DisruptionTarget", "status": "True"}])
    assert reasons(at_rest(of, disrupted)) == []
    assert reasons(at_rest(of, pod("a", "Failed")))[-1] == ("Failed", "BackoffLimitExceeded")


def test_a_removed_pod_is_replaced_at_once_unless_only_ended_ones_are() -> None:
    leaving = pod("a")
    leaving["metadata"]["deletionTimestamp"] = rfc3339(NOW - 60)
    assert len(todo(job(), leaving).create) == 1
    assert todo(job(podReplacementPolicy="Failed"), leaving).create == ()


@given(st.lists(st.sampled_from(["Succeeded", "Failed", "Running"]), max_size=8))
def test_every_ended_pod_is_counted_once(phases: list[str]) -> None:
    pods = [pod(str(number), phase, NOW - 9999) for number, phase in enumerate(phases)]
    of = job(completions=99, parallelism=len(pods), backoffLimit=99)
    status = at_rest(of, *pods).status
    assert status.get("succeeded", 0) == phases.count("Succeeded")
    assert status.get("failed", 0) == phases.count("Failed")
