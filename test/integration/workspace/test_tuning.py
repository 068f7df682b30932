"""A Workspace that tunes, with the real API semantics around the controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from kaito.controllers.workspace.kinds import JOBS, PODS, REVISIONS, WORKSPACES
from kaito.local.apiserver.core import Call
from kaito.local.apiserver.http import Response
from kaito.runtime import Call as HttpCall
from kaito.runtime import Key, Object
from test.integration.workspace.stage import MACHINES, Stage, W

SIZE = "Standard_NC24ads_A100_v4"
TUNING: Object = {
    "preset": {"name": "phi-3-mini-128k-instruct"},
    "method": "lora",
    "input": {"urls": ["https://data.example.com/questions.jsonl"]},
    "output": {"image": "registry.example.com/adapters/a:1", "imagePushSecret": "push"},
}
RESULT = f"registry.example.com/adapters/a@sha256:{'0' * 64}"
MAX_WRITES = 16  # without events; two of them dry runs


async def begin(scene: Stage, name: str = "w", **changes: Any) -> Object:
    """A tuning whose node is ready and whose Job is there; its Job."""
    resource = {"instanceType": SIZE, "labelSelector": {"matchLabels": {"apps": "tuning"}}}
    await scene.create(name, resource=resource, tuning={**TUNING, **changes}, inference=None)
    key = Key("default", name)
    await scene.until(lambda: scene.machines_of(name), "a Machine")
    await scene.launch(scene.machines_of(name)[0])
    await scene.until(lambda: scene.find(JOBS, key), "the Job")
    return scene.find(JOBS, key)


async def pod_of(scene: Stage, job: Object, name: str = "w-1") -> Key:
    """Do what a Job's controller does, and a scheduler."""
    template = job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
    owner |= {part: job["metadata"][part] for part in ("name", "uid")}
    machine = scene.machines_of(job["metadata"]["name"])[0]["metadata"]["name"]
    spec = {**template["spec"], "nodeName": f"node-{machine}"}
    labels = template["metadata"]["labels"]
    head = {"name": name, "namespace": "default", "labels": labels, "ownerReferences": [owner]}
    return Key.of(await scene.client.create(PODS, {"metadata": head, "spec": spec}))


async def run(scene: Stage, pod: Key, phase: str, **containers: object) -> None:
    """Do what a kubelet does: each container runs, or has ended with a code and a message."""
    init, main = [], []
    for name, said in containers.items():
        code, message = said if isinstance(said, tuple) else (None, "")
        ended = {"exitCode": code, "message": message}
        state: Object = {"running": {}} if code is None else {"terminated": ended}
        each = {"name": name.replace("_", "-"), "state": state, "ready": False, "restartCount": 0}
        (main if name == "pusher" else init).append({**each, "image": "i", "imageID": "i"})
    status = {"phase": phase, "initContainerStatuses": init, "containerStatuses": main}
    await scene.client.patch(PODS, pod, {"status": status}, subresource="status")


async def gone(scene: Stage, pod: Key) -> None:
    """Do what a kubelet does with a Pod that is being deleted."""
    path, now = PODS.path(*pod), b'{"gracePeriodSeconds": 0}'
    headers = {"Content-Type": "application/json"}
    await scene.client.send(HttpCall(method="DELETE", path=path, headers=headers, body=now))


async def end_well(scene: Stage, job: Object) -> None:
    pod = await pod_of(scene, job)
    await run(scene, pod, "Pending", data_downloader=(0, ""), trainer="runs")
    key = Key.of(job)
    started = "WorkspaceTuningJobStatusStarted"
    await scene.until(lambda: scene.says("JobStarted", started, key), "the start")
    done = {"data_downloader": (0, ""), "trainer": (0, ""), "pusher": (0, RESULT)}
    await run(scene, pod, "Succeeded", **done)
    await scene.finish(key)
    await scene.until(lambda: scene.says("WorkspaceReady", "workspaceSucceeded", key), "the end")


async def test_a_training_ends_well_in_few_writes_and_its_node_goes(scene: Stage) -> None:
    daemon = scene.start()
    await end_well(scene, await begin(scene))
    status = scene.find(WORKSPACES)["status"]
    assert status["state"] == "Succeeded"
    assert status["tuning"]["result"] == RESULT
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine deleted"
    )
    assert len(daemon.transport.writes) <= MAX_WRITES, daemon.transport.writes


async def test_a_restart_after_the_end_writes_nothing(scene: Stage) -> None:
    first = scene.start()
    await end_well(scene, await begin(scene))
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine deleted"
    )
    await scene.let_go(scene.machines_of()[0])
    await scene.until(lambda: not scene.machines_of(), "the Machine gone")
    told = "and its nodes are let go."
    await scene.until(
        lambda: scene.condition("ResourceReady")["message"].endswith(told), "that it has gone"
    )
    await first.stop()
    scene.daemons.remove(first)
    second = scene.start()
    # Another Workspace is reconciled after the first one, which the new daemon lists first.
    await scene.create("later")
    await scene.until(lambda: scene.machines_of("later"), "the second Workspace's Machine")
    assert [w for w in second.transport.writes if "/w/" in w or w.endswith("/w")] == []
    assert scene.machines_of("w") == []


async def test_an_edit_takes_another_job_once_the_first_and_its_pod_have_gone(
    scene: Stage,
) -> None:
    scene.start()
    job = await begin(scene)
    pod = await pod_of(scene, job)
    await run(scene, pod, "Pending", data_downloader="runs")
    edited = {"tuning": {"input": {"urls": ["https://data.example.com/others.jsonl"]}}}
    await scene.client.patch(WORKSPACES, W, edited)
    await scene.until(lambda: not scene.find(JOBS), "the Job gone")
    held = "Pod w-1 of an earlier run"
    await scene.until(lambda: held in scene.condition("JobStarted")["message"], "that it waits")
    await gone(scene, pod)
    await scene.until(lambda: scene.find(JOBS), "another Job")
    assert scene.find(JOBS)["metadata"]["uid"] != job["metadata"]["uid"]
    revisions = await scene.client.list(REVISIONS, namespace="default")
    assert sorted(each["revision"] for each in revisions.items) == [1, 2]


async def test_a_failure_is_told_in_the_words_of_its_container(scene: Stage) -> None:
    scene.start()
    job = await begin(scene)
    pod = await pod_of(scene, job)
    sentence = "questions.jsonl, line 3 is no JSON: mend it."
    await run(scene, pod, "Failed", data_downloader=(0, ""), trainer=(10, sentence))
    now = {"lastTransitionTime": "2026-01-01T00:00:00Z", "status": "True"}
    said = [
        {**now, "type": "FailureTarget"},
        {**now, "type": "Failed", "reason": "PodFailurePolicy"},
    ]
    status = {"startTime": now["lastTransitionTime"], "failed": 1, "conditions": said}
    await scene.client.patch(JOBS, W, {"status": status}, subresource="status")
    await scene.until(lambda: scene.says("WorkspaceReady", "DatasetInvalid"), "the reason")
    assert "line 3 is no JSON" in scene.condition("WorkspaceSucceeded")["message"]
    assert scene.find(WORKSPACES)["status"]["state"] == "Failed"
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine deleted"
    )
    # Whoever has mended what the Workspace does not say tries it again so.
    await scene.let_go(scene.machines_of()[0])
    await scene.client.delete(JOBS, W)
    await scene.until(lambda: scene.machines_of(), "another Machine")


async def test_a_job_of_somebody_else_is_found_before_a_node_is_bought(scene: Stage) -> None:
    theirs = {"containers": [{"name": "a", "image": "a"}], "restartPolicy": "Never"}
    made = {
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {"template": {"spec": theirs}},
    }
    await scene.client.create(JOBS, made)
    scene.start()
    resource = {"instanceType": SIZE, "labelSelector": {}}
    await scene.create(resource=resource, tuning=TUNING, inference=None)
    await scene.until(lambda: scene.says("JobStarted", "NameTaken"), "that the name is taken")
    assert scene.all(MACHINES) == []


async def test_deletion_takes_the_job_along(scene: Stage) -> None:
    scene.start()
    await begin(scene)
    await scene.client.delete(WORKSPACES, W)
    await scene.until(lambda: not scene.find(JOBS), "the Job gone")
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine deleted"
    )
    await scene.let_go(scene.machines_of()[0])
    await scene.until(lambda: not scene.all(WORKSPACES), "the Workspace gone")


async def test_what_the_trainer_says_of_its_progress_is_in_the_status(scene: Stage) -> None:
    done = asyncio.Event()
    asked: list[str] = []

    async def spoken() -> AsyncIterator[bytes]:
        yield b"Loading\n" + b"x" * 100_000 + b'KAITO_TUNING {"step": 9, "steps": 9}'
        yield b'\nKAITO_TUNING {"step": 12, "steps": 300, "epoch": 0.4, "loss": 1.'
        yield b'93, "secondsLeft": 840}\nKAITO_TUNING {"step": "; rm", "steps": 1}\n'
        await done.wait()

    async def reader(call: Call, container: str) -> Response:
        asked.append(container)
        return Response(200, {"content-type": "text/plain"}, spoken())

    scene.server.subresources.streams.reader = reader
    scene.start()
    job = await begin(scene)
    started = {"status": {"startTime": "2026-01-01T00:00:00Z", "active": 1}}
    await scene.client.patch(JOBS, W, started, subresource="status")
    pod = await pod_of(scene, job)
    await run(scene, pod, "Pending", data_downloader=(0, ""), trainer="runs")

    def told() -> Object:
        found: Object = scene.find(WORKSPACES)["status"].get("tuning", {})
        return found

    await scene.until(lambda: "pod" in told(), "the Pod told")
    # Any change wakes; ten seconds later it looks by itself.
    await scene.client.patch(WORKSPACES, W, {"metadata": {"annotations": {"a": "b"}}})
    await scene.until(lambda: told().get("step") == 12, "the step")
    done.set()
    assert (told()["steps"], told()["epoch"], told()["loss"]) == (300, "0.40", "1.9300")
    assert told()["secondsLeft"] == 840
    assert set(asked) == {"trainer"}
