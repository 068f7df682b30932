"""A program or a Pod that makes trouble costs neither others nor the cluster anything."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kaito.local.kinds import PODS
from kaito.local.pods.images import entrypoint
from kaito.local.profile import Profile
from test.integration.local.pods_of_programs import container, over, pod, running, told

if TYPE_CHECKING:
    from test.integration.local.conftest import World

LIVES = "import time\nwhile True: time.sleep(60)"
MOUNT = {"name": "v", "mountPath": "/v"}
EMPTY = {"name": "v", "emptyDir": {}}
CIRCLE = container(
    "import os, sys; os.symlink('l', sys.argv[1])", "/v/l", name="first", volumeMounts=[MOUNT]
)
LEAVES_ITS_DIRECTORY = "import os, shutil; shutil.rmtree(os.getcwd())\n" + LIVES
PROBE = {"exec": {"command": ["true"]}, "periodSeconds": 1}
DAEMON = """
    import os, sys, time
    if os.fork():
        os._exit(0) if sys.argv[1] == "ends" else time.sleep(60)
    os.setsid()
    with open("writing", "w") as file: file.write(str(os.getpid()))
    os.rename("writing", "daemon")
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("reason", "hostile"),
    [
        (
            "FailedMount",
            pod(container(LIVES), volumes=[{"name": "v", "hostPath": {"path": "/a\0b"}}]),
        ),
        (
            "FailedMount",
            pod(
                container(LIVES),
                volumes=[
                    {
                        "name": "v",
                        "downwardAPI": {
                            "items": [{"path": "a\0b", "fieldRef": {"fieldPath": "metadata.name"}}]
                        },
                    }
                ],
            ),
        ),
        (
            "Failed",
            pod(
                container(LIVES, volumeMounts=[{**MOUNT, "subPath": "l"}]),
                initContainers=[CIRCLE],
                volumes=[EMPTY],
            ),
        ),
        (
            "FailedPostStartHook",
            pod(container(LIVES, lifecycle={"postStart": {"exec": {"command": ["a\0b"]}}})),
        ),
        ("Unhealthy", pod(container(LEAVES_ITS_DIRECTORY, readinessProbe=PROBE))),
    ],
    ids=["host-path", "downward-api", "links-in-a-circle", "hook", "no-directory"],
)
async def test_a_pod_that_cannot_be_served_leaves_others_alone(
    programs: World, reason: str, hostile: Any
) -> None:
    await programs.client.create(PODS, hostile)
    await told(programs, reason, "")
    await programs.client.create(PODS, pod(container("print('well')"), name="other"))
    assert (await over(programs, "other"))["status"]["phase"] == "Succeeded"


@pytest.mark.skipif(sys.platform != "linux", reason="daemons are found on Linux alone")
async def test_a_program_that_leaves_a_daemon_behind_has_ended(programs: World) -> None:
    await programs.client.create(PODS, pod(container(DAEMON, "ends")))
    assert (await over(programs))["status"]["phase"] == "Succeeded"


@pytest.mark.skipif(sys.platform != "linux", reason="daemons are found on Linux alone")
async def test_no_daemon_outlives_the_cluster(start: Any, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        world: World = await stack.enter_async_context(
            start(
                nodes=1,
                profile=Profile.instant(processes=True),
                state_dir=tmp_path,
                programs=[entrypoint("python", [sys.executable])],
            )
        )
        there = {"exec": {"command": [sys.executable, "-c", "open('daemon')"]}, "periodSeconds": 1}
        hostile = pod(container(DAEMON, "stays", readinessProbe=there))
        await world.client.create(PODS, hostile)
        await running(world)
        (file,) = tmp_path.glob("pods/*/containers/main/daemon")
        daemon = Path("/proc", file.read_text())
        assert daemon.exists()
    assert not daemon.exists()
