"""How a training ended, from what its Job and its Pods say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.tuning import ENDINGS
from kaito.controllers.workspace.ended import ended
from kaito.runtime import Object
from test.unit.controllers.workspace.tuning_scene import pod

RESULT = f"registry.example.com/a@sha256:{'0' * 64}"


def job(
    type_: str = "Failed", reason: str = "PodFailurePolicy", message: str = "", **status: Any
) -> Object:
    said = {"type": type_, "status": "True", "reason": reason, "message": message}
    return {"metadata": {"name": "w", "uid": "u"}, "status": {"conditions": [said], **status}}


def why(job: Object, *pods: Object) -> tuple[str, str]:
    found = ended(job, pods, "run")
    assert found is not None
    return found.reason, found.message


def test_a_job_that_goes_on_has_no_end() -> None:
    assert ended({"metadata": {"name": "w"}}, [], "run") is None
    assert ended(job("FailureTarget"), [], "run") is None
    assert ended(job("SuccessCriteriaMet"), [], "run") is None


def test_a_job_that_is_heard_of_before_its_pod_has_not_ended_yet() -> None:
    assert ended(job("Complete"), [pod(pusher="running")], "run") is None
    going = pod(trainer="running")
    assert ended(job(), [going], "run") is None
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert ended(job(), [going], "run") is not None


def test_a_good_end_knows_its_result() -> None:
    done = pod(phase="Succeeded", trainer=0, pusher=(0, RESULT))
    found = ended(job("Complete", completionTime="t"), [done], "run")
    assert found is not None
    assert found.good
    assert (found.result, found.at, found.run, found.job) == (RESULT, "t", "run", "u")


@pytest.mark.parametrize("code", sorted(ENDINGS))
def test_each_code_has_its_reason_and_the_containers_own_sentence(code: int) -> None:
    reason, message = why(job(), pod(phase="Failed", trainer=(code, "It is so: do this.")))
    assert reason == ENDINGS[code].reason
    assert message == f"It is so: do this (container trainer of Pod w-1, exit code {code})."


def test_a_trainer_whose_worker_was_killed_for_memory_says_what_helps() -> None:
    found = pod(phase="Failed", trainer=(15, "The memory is full: use method qlora."))
    (trainer,) = found["status"]["initContainerStatuses"]
    trainer["state"]["terminated"]["reason"] = "OOMKilled"
    reason, message = why(job(), found)
    assert reason == ENDINGS[15].reason
    assert message.startswith("The memory is full: use method qlora (container trainer")


def test_a_container_that_leaves_no_message_is_spoken_for() -> None:
    reason, message = why(job(), pod(phase="Failed", trainer=14))
    assert (reason, message) == (
        "DiskFull",
        "The disk is full (container trainer of Pod w-1, exit code 14).",
    )


@pytest.mark.parametrize(
    ("code", "message", "reason", "words"),
    [
        (137, "", "ContainerOOMKilled", "The node's memory does not suffice (container trainer"),
        (1, "Traceback\n  x\nKeyError: 'a'\n", "workspaceFailed", "KeyError: 'a' (container tra"),
        (139, "", "workspaceFailed", "It says nothing (container trainer of Pod w-1, exit code 1"),
    ],
)
def test_what_nobody_foresaw_is_told_as_it_is(
    code: int, message: str, reason: str, words: str
) -> None:
    found = why(job(), pod(phase="Failed", trainer=(code, message)))
    assert found[0] == reason
    assert found[1].startswith(words)


def test_a_link_that_a_sentence_begins_with_stays_as_it_is() -> None:
    said = pod(phase="Failed", data_downloader=(12, "https://a.b/c answers 404."))
    assert why(job(), said)[1].startswith("https://a.b/c answers 404 (container")


def test_an_eviction_is_told_where_nothing_else_failed() -> None:
    evicted = pod("w-2", phase="Failed")
    evicted["status"] |= {"reason": "Evicted", "message": "Usage of EmptyDir volume exceeds 21Gi."}
    exhausted = job(reason="BackoffLimitExceeded", failed=4)
    reason, message = why(exhausted, evicted)
    assert reason == "PodEvicted"
    assert message == (
        "Pod w-2 was evicted: Usage of EmptyDir volume exceeds 21Gi. It was tried 4 times."
    )
    other = pod("w-1", phase="Failed", data_downloader=(21, "https://a.b does not answer."))
    assert why(exhausted, other, evicted)[0] == "SourceUnavailable"


def test_pods_that_have_gone_leave_the_code_that_kubernetes_names() -> None:
    told = "Container trainer for pod default/w-1 failed with exit code 10 matching FailJob rule"
    reason, message = why(job(message=f"{told} at index 1"))
    assert reason == "DatasetInvalid"
    assert message == "The data cannot be trained on (container trainer, exit code 10)."
    reason, message = why(job(reason="DeadlineExceeded", message="Job was active too long"))
    assert (reason, message) == (
        "workspaceFailed",
        "The Job ended, DeadlineExceeded: Job was active too long.",
    )


@given(
    code=st.integers(1, 255),
    message=st.text(max_size=3000),
    result=st.text(max_size=3000),
)
def test_whatever_containers_say_is_one_line_and_bounded(
    code: int, message: str, result: str
) -> None:
    _, told = why(job(), pod(phase="Failed", trainer=(code, message)))
    assert told.isprintable()
    assert len(told) <= 2400
    done = pod(phase="Succeeded", pusher=(0, result))
    found = ended(job("Complete"), [done], "run")
    assert found is not None
    assert found.result == "" or found.result.isprintable()
    assert len(found.result) <= 2048
