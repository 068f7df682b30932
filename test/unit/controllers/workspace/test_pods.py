"""What keeps a Pod from serving, in words that its author can act on."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.controllers.workspace.pods import MESSAGE_LENGTH, trouble, trouble_in
from kaito.runtime import Object, rfc3339

NOW = 1_700_000_000.0


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
    said = trouble([found], None, NOW)
    assert said is not None
    assert said.reason == reason
    assert message in said.message


def test_a_pod_that_starts_or_runs_or_goes_is_in_no_trouble() -> None:
    starting = waiting("ContainerCreating")
    running = container(state={"running": {}}, ready=True)
    going = waiting("CrashLoopBackOff")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert trouble([starting, running, going, {"metadata": {"name": "new"}}], None, NOW) is None


def test_a_container_that_recovered_from_lack_of_memory_is_in_no_trouble() -> None:
    last = {"terminated": {"reason": "OOMKilled"}}
    assert (
        trouble([container(state={"running": {}}, lastState=last, ready=True)], None, NOW) is None
    )


def test_the_gravest_trouble_is_told() -> None:
    said = trouble([pod(conditions=[UNSCHEDULABLE]), waiting("ErrImagePull")], None, NOW)
    assert said is not None
    assert said.reason == "ImagePullError"


def test_a_long_message_is_cut_in_its_middle() -> None:
    said = trouble([waiting("ErrImagePull", "x" * 1000 + ": not found")], None, NOW)
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

    said = trouble([], refused, NOW)

    assert said is not None
    assert said.reason == "PodsRefused"
    assert said.message == "No Pods can be made for Deployment w: exceeded quota: gpus."


def unmounted(since: float, *volumes: Object) -> Object:
    """A Pod that has its node and whose kubelet cannot go on."""
    found = container(state={"waiting": {"reason": "PodInitializing"}})
    found["spec"] = {"volumes": list(volumes)}
    found["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "True"},
        {
            "type": "PodReadyToStartContainers",
            "status": "False",
            "lastTransitionTime": rfc3339(since),
        },
    ]
    return found


MOUNTED = (
    {"name": "v", "emptyDir": {}},
    {"name": "s", "projected": {"sources": [{"secret": {"name": "pull"}}]}},
    {"name": "o", "secret": {"secretName": "perhaps", "optional": True}},
    {"name": "c", "persistentVolumeClaim": {"claimName": "adapters"}},
    {"name": "h", "hostPath": {"path": "/opt/kaito", "type": "Directory"}},
)


def test_a_pod_that_waits_for_its_volumes_names_them_and_how_to_learn_more() -> None:
    said = trouble([unmounted(NOW - 60, *MOUNTED)], None, NOW)

    assert said is not None
    assert said.reason == "VolumesNotMounted"
    assert said.message == (
        "Pod p waits for one of what it mounts (Secret pull, PersistentVolumeClaim adapters and "
        "host path /opt/kaito) or its network: kubectl describe pod p -n default says what is "
        "missing."
    )


def test_a_pod_has_a_minute_to_mount_its_volumes() -> None:
    found = [unmounted(NOW - 59, *MOUNTED)]

    assert trouble(found, None, NOW) is None
    assert trouble_in(found, NOW) == 1
    assert trouble_in(found, NOW + 1) is None


def test_a_pod_that_pulls_its_image_does_not_wait_for_volumes() -> None:
    found = unmounted(NOW - 6000, *MOUNTED)
    found["status"]["conditions"][1]["status"] = "True"

    assert trouble([found], None, NOW) is None


def unscheduled(since: float) -> Object:
    return pod(conditions=[{**UNSCHEDULABLE, "lastTransitionTime": rfc3339(since)}])


def test_a_pod_that_waits_for_the_room_of_one_that_goes_is_in_no_trouble_yet() -> None:
    going = {"metadata": {"name": "old", "deletionTimestamp": rfc3339(NOW + 30)}}
    found = [unscheduled(NOW - 600), going]

    assert trouble(found, None, NOW) is None
    assert trouble_in(found, NOW) == 90
    assert trouble(found, None, NOW + 90) is not None


def test_while_pods_are_replaced_one_that_fits_nowhere_has_a_minute_to_find_its_room() -> None:
    found = [unscheduled(NOW - 59)]

    assert trouble(found, None, NOW, replacing=True) is None
    assert trouble_in(found, NOW, replacing=True) == 1
    assert trouble(found, None, NOW) is not None
    assert trouble(found, None, NOW + 1, replacing=True) is not None
