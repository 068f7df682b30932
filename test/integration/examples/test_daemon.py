"""The daemon as a process: it leads, answers its probes, and ends in order on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import aiohttp

from kaito.runtime import Client, ExitCode, Key, Object, Resource
from kaito.testing import Cluster
from test.integration.examples.conftest import EXAMPLES

LEASES: Resource[Object] = Resource("coordination.k8s.io", "v1", "leases", "Lease")
PATIENCE = 30.0  # seconds; an interpreter starts slowly on a busy machine


async def start(kubeconfig: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "daemon.py"),
        *("--probes", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--debug", "127.0.0.1:0"),
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"},
        stdout=PIPE,
        stderr=STDOUT,
    )


async def read_until(process: Process, text: str) -> str:
    """Everything that it says up to the line with `text`."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(PATIENCE):
        while text not in said:
            line = (await process.stdout.readline()).decode()
            assert line, f"ended with {await process.wait()}:\n{said}"
            said += line
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


async def test_it_leads_serves_and_gives_its_lease_back(
    kube: Cluster, kube_client: Client, kube_config: Path
) -> None:
    process = await start(kube_config)
    said = await read_until(process, "started")
    addresses = re.findall(r"address=(\S+?:\d+)", said)
    assert len(addresses) == 3, said
    async with aiohttp.ClientSession() as session:
        for url, wanted in (
            (f"http://{addresses[0]}/readyz", "ok"),
            (f"http://{addresses[1]}/metrics", 'leader_election_master_status{name="daemon"} 1.0'),
            (f"http://{addresses[2]}/debug/lease", "default/daemon, we are"),
        ):
            async with session.get(url) as answer:
                assert answer.status == 200
                assert wanted in await answer.text()
    process.terminate()
    async with asyncio.timeout(PATIENCE):
        rest, _ = await process.communicate()
    assert process.returncode == 0, rest.decode()
    lease = await kube_client.get(LEASES, Key("default", "daemon"))
    assert not lease["spec"].get("holderIdentity")


async def test_a_lost_lease_is_no_crash(
    kube: Cluster, kube_client: Client, kube_config: Path
) -> None:
    process = await start(kube_config)
    await read_until(process, "started")
    # Somebody else, so they say, leads now.
    theirs = {"spec": {"holderIdentity": "them", "leaseDurationSeconds": 60}}
    await kube_client.patch(LEASES, Key("default", "daemon"), theirs)
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == ExitCode.LEASE_LOST, said.decode()
    assert b"Traceback" not in said


async def test_without_a_cluster_it_says_so_in_one_line(tmp_path: Path) -> None:
    process = await start(tmp_path / "missing")
    said, _ = await process.communicate()
    assert process.returncode == ExitCode.MISCONFIGURED
    assert said.decode().strip() == f"daemon: The kubeconfig {tmp_path}/missing does not exist."
