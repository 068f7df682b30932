"""What keeps a Pod from serving, in words that its author can act on."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.controllers.workspace.pods import MESSAGE_LENGTH, trouble
from kaito.runtime import Object


def pod(**status: Any) -> Object:
    return {"metadata": {"name": "p"}, "status": status}


def container(**details: Any) -> Object:
    return pod(containerStatuses=[{"name": "c", **details}])


def waiting(reason: str, message: str = "") -> Object:
    return container(state={"waiting": {"reason": reason, "message": message}})


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available",
}


@pytest.mark.parametrize(
    ("found", "reason", "message"),
    [
        (
            pod(conditions=[UNSCHEDULABLE]),
            "Unschedulable",
            "Pod p fits on no node: 0/3 nodes are available.",
        ),
        (
            waiting("ImagePullBackOff", "no such\n image"),
            "ImagePullError",
            "Pod p, container c, waits: ImagePullBackOff: no such image.",
        ),
        (waiting("CreateContainerConfigError", "no secret"), "ContainerStartError", "no secret"),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"reason": "Error", "exitCode": 137}},
            ),
            "ContainerCrashLoopBackOff",
            "its last exit code was 137",
        ),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"exitCode": 1, "message": "loading\nno such model\n \n"}},
            ),
            "ContainerCrashLoopBackOff",
            "its last exit code was 1, its last words: no such model.",
        ),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"reason": "OOMKilled"}},
            ),
            "ContainerOOMKilled",
            "Pod p, container c, ran out of memory.",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on disk."),
            "PodEvicted",
            "Pod p was evicted: The node was low on disk.",
        ),
        (
            pod(
                initContainerStatuses=[
                    {"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}
                ]
            ),
            "ImagePullError",
            "container i",
        ),
    ],
)
def test_trouble_is_classified(found: Object, reason: str, message: str) -> None:
    said = trouble([found], None)
    assert said is not None
    assert said.reason == reason
    assert message in said.message


def test_a_pod_that_starts_or_runs_or_goes_is_in_no_trouble() -> None:
    starting = waiting("ContainerCreating")
    running = container(state={"running": {}}, ready=True)
    going = waiting("CrashLoopBackOff")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert trouble([starting, running, going, {"metadata": {"name": "new"}}], None) is None


def test_a_container_that_recovered_from_lack_of_memory_is_in_no_trouble() -> None:
    last = {"terminated": {"reason": "OOMKilled"}}
    assert trouble([container(state={"running": {}}, lastState=last, ready=True)], None) is None


def test_the_gravest_trouble_is_told() -> None:
    said = trouble([pod(conditions=[UNSCHEDULABLE]), waiting("ErrImagePull")], None)
    assert said is not None
    assert said.reason == "ImagePullError"


def test_a_long_message_is_cut_in_its_middle() -> None:
    said = trouble([waiting("ErrImagePull", "x" * 1000 + ": not found")], None)
    assert said is not None
    assert len(said.message) == MESSAGE_LENGTH
    assert said.message.startswith("Pod p, container c,")
    assert said.message.endswith(": not found.")


def test_a_deployment_whose_pods_are_refused_says_why() -> None:
    told = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus."}
    refused = {
        "kind": "Deployment",
        "metadata": {"name": "w"},
        "status": {"conditions": [{**told, "reason": "FailedCreate"}]},
    }

    said = trouble([], refused)

    assert said is not None
    assert said.reason == "PodsRefused"
    assert said.message == "No Pods can be made for Deployment w: exceeded quota: gpus."
