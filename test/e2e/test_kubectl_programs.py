"""What kubectl does with pods that are programs, and what it is told of those that are none."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from test.e2e.stage import HAS_KUBECTL, Stage, kubectl, stage

pytestmark = pytest.mark.skipif(
    not HAS_KUBECTL, reason="kubectl is not on PATH; install it to run this with the real one"
)

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: main
    image: python:3
    args: [-m, http.server, "8080", --directory, /www]
    ports: [{containerPort: 8080}]
    readinessProbe: {httpGet: {port: 8080}}
    volumeMounts: [{name: www, mountPath: /www}]
  - {name: nothing, image: nginx}
  volumes: [{name: www, emptyDir: {}}]
"""


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Stage]:
    """A cluster in which python runs this Python, with one pod that serves files."""
    python = f"python={sys.executable} -u"
    arguments = ("--no-controllers", "--nodes", "1", "--profile", "instant", "--image", python)
    async with stage(tmp_path, *arguments) as made:
        (tmp_path / "pod.yaml").write_text(POD)
        await kubectl(made.kubeconfig, "apply", "-f", str(tmp_path / "pod.yaml"))
        await kubectl(made.kubeconfig, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        yield made


async def test_files_are_copied_in_and_served_through_a_forwarded_port(
    programs: Stage, tmp_path: Path
) -> None:
    (tmp_path / "page").write_text("copied")
    await kubectl(programs.kubeconfig, "cp", str(tmp_path / "page"), "p:/www/page", "-c", "main")
    command = ("exec", "p", "-c", "main", "--", "cat", "/www/page")
    assert await kubectl(programs.kubeconfig, *command) == "copied"
    forward = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", str(programs.kubeconfig), "port-forward", "p", "0:8080"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert forward.stdout is not None
        async with asyncio.timeout(60):
            said = (await forward.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:(\d+) -> 8080", said)
        assert found is not None, said

        def page() -> bytes:
            with urlopen(f"http://127.0.0.1:{found[1]}/page", timeout=60) as answer:
                text: bytes = answer.read()
                return text

        assert await asyncio.to_thread(page) == b"copied"
    finally:
        forward.terminate()
        await forward.communicate()


async def test_a_program_runs_once_and_shows_what_it_wrote(programs: Stage) -> None:
    # With standard input: who only attaches sees nothing of what was written before he came.
    run = ("run", "once", "--image=python", "--restart=Never", "--stdin", "--rm", "--quiet")
    said = await kubectl(programs.kubeconfig, *run, "--", "-c", "print(6 * 7)")
    assert "42" in said


async def test_a_container_behind_which_nothing_runs_says_so(programs: Stage) -> None:
    with pytest.raises(AssertionError, match="simulated, stood in for, or not running"):
        await kubectl(programs.kubeconfig, "exec", "p", "-c", "nothing", "--", "ls")
