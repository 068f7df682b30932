"""Jobs: completions, indexes, limits, policies, suspension."""

from __future__ import annotations

from functools import partial

import pytest

from test.conformance.objects import Object
from test.conformance.workloads.hand import Hand, active, job, reasons

pytestmark = pytest.mark.controller_manager

INDEX = "batch.kubernetes.io/job-completion-index"
TRACKING = "batch.kubernetes.io/job-tracking"


def index_of(pod: Object) -> int:
    return int(pod["metadata"]["annotations"][INDEX])


def _counted(number: int, found: Object) -> bool:
    return bool(found["status"].get("succeeded") == number)


async def over(hand: Hand) -> Object:
    """The Job once it has finished."""
    return await hand.until(
        hand.ns.jobs("j"), lambda each: {"Complete", "Failed"} & reasons(each).keys()
    )


async def test_a_job_is_complete_when_enough_pods_have_succeeded(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job(completions=3, parallelism=2))
    for number in range(3):
        pods = await hand.active(min(2, 3 - number))
        await hand.ended(pods[0])
        await hand.until(hand.ns.jobs("j"), partial(_counted, number + 1))
    done = await over(hand)
    assert reasons(done) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert done["status"]["uncountedTerminatedPods"] == {}
    assert not any(
        TRACKING in (pod["metadata"].get("finalizers") or ()) for pod in await hand.pods()
    )
    assert set(await hand.told("Completed")) == {"Job completed"}


async def test_every_index_has_a_pod_of_its_own(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job(completionMode="Indexed", completions=3, parallelism=2))
    first = sorted(await hand.active(2), key=index_of)
    assert [index_of(pod) for pod in first] == [0, 1]
    assert first[1]["spec"]["hostname"] == "j-1"
    assert first[1]["metadata"]["generateName"] == "j-1-"
    assert first[1]["metadata"]["labels"][INDEX] == "1"
    (variable,) = first[1]["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    await hand.ended(first[1])
    later = await hand.active(2, lambda pod: index_of(pod) != 1)
    assert sorted(map(index_of, later)) == [0, 2]
    status = (await hand.until(hand.ns.jobs("j"), lambda j: j["status"].get("succeeded")))["status"]
    assert status["completedIndexes"] == "1"


async def test_the_limit_of_failures_ends_a_job_and_counts_what_still_ran(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job(backoffLimit=0, parallelism=2, completions=2))
    pods = await hand.active(2)
    await hand.ended(pods[0], code=1)
    failed = await over(hand)
    assert reasons(failed)["Failed"] == ("True", "BackoffLimitExceeded")
    assert failed["status"]["failed"] == 2
    told = await hand.told("BackoffLimitExceeded")
    assert set(told) == {"Job has reached the specified backoff limit"}


async def test_restarts_in_place_count_as_failures(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job(policy="OnFailure", backoffLimit=1))
    (pod,) = await hand.active(1)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {
        "name": "main",
        "image": "a",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": waiting,
    }
    told = {"phase": "Running", "containerStatuses": [status]}
    await hand.merge(hand.ns.pods(pod["metadata"]["name"], "status"), {"status": told})
    assert reasons(await over(hand))["Failed"] == ("True", "BackoffLimitExceeded")


async def test_an_exit_code_can_fail_the_job_at_once(hand: Hand) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    await hand.create(hand.ns.jobs(), job(podFailurePolicy={"rules": [rule]}))
    (pod,) = await hand.active(1)
    await hand.ended(pod, code=42)
    failed = await over(hand)
    name = f"{hand.ns.name}/{pod['metadata']['name']}"
    assert failed["status"]["conditions"][-1]["message"] == (
        f"Container main for pod {name} failed with exit code 42 matching FailJob rule at index 0"
    )


async def test_an_index_is_given_up_and_the_others_go_on(hand: Hand) -> None:
    await hand.create(
        hand.ns.jobs(),
        job(completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=0),
    )
    first, second = sorted(await hand.active(2), key=index_of)
    await hand.ended(first, code=1)
    status = (await hand.until(hand.ns.jobs("j"), lambda j: j["status"].get("failed")))["status"]
    assert status["failedIndexes"] == "0"
    await hand.ended(second)
    assert reasons(await over(hand))["Failed"] == ("True", "FailedIndexes")


async def test_a_success_policy_ends_the_others(hand: Hand) -> None:
    policy = {"rules": [{"succeededIndexes": "0"}]}
    await hand.create(
        hand.ns.jobs(),
        job(completionMode="Indexed", completions=3, parallelism=3, successPolicy=policy),
    )
    leader, *_ = sorted(await hand.active(3), key=index_of)
    await hand.ended(leader)
    done = await over(hand)
    assert reasons(done)["Complete"] == ("True", "SuccessPolicy")
    assert not any(map(active, await hand.pods()))


async def test_a_suspended_job_has_no_pods_and_starts_anew_when_it_goes_on(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job())
    await hand.active(1)
    path = hand.ns.jobs("j")
    await hand.merge(path, {"spec": {"suspend": True}})
    paused = await hand.until(
        path, lambda j: reasons(j).get("Suspended") == ("True", "JobSuspended")
    )
    assert "startTime" not in paused["status"]
    assert await hand.active(0) == []
    await hand.merge(path, {"spec": {"suspend": False}})
    going = await hand.until(path, lambda j: reasons(j).get("Suspended") == ("False", "JobResumed"))
    assert going["status"]["startTime"]
    await hand.active(1)
    assert set(await hand.told("Resumed")) == {"Job resumed"}


async def test_a_finished_job_goes_when_its_time_is_up(hand: Hand) -> None:
    await hand.create(hand.ns.jobs(), job(ttlSecondsAfterFinished=0))
    (pod,) = await hand.active(1)
    await hand.ended(pod)
    gone = await hand.api.repeat(
        lambda: hand.api.get(hand.ns.jobs("j")), lambda answer: answer.status == 404
    )
    assert gone.reason == "NotFound"
