"""The machine provisioner: ninety claims at once, and its memory with five hundred.

`kaito provisioner` is a process of its own, with the rights that config/rbac gives it. API server
and Azure are in this process, over HTTPS, where the calls to Azure are counted as they come in.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kaito.api import crds
from kaito.local import kubeconfig
from kaito.local.apiserver.faults import Delays, Fault
from kaito.local.apiserver.http import Request
from kaito.local.azure.limits import Limits
from kaito.local.cluster import LocalCluster
from kaito.local.profile import Profile
from kaito.runtime import Client, Informer, Key, Object, Resource, is_true
from test.accounts import enroll
from test.benchmark.contest import Bar, judged, rounded
from test.benchmark.servers import peak
from test.benchmark.settings import Settings
from test.benchmark.workspaces import CRDS, spread

MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
AZURE = "/subscriptions/"
SIZE = "Standard_NC24ads_A100_v4"
AT_ONCE, MANY = 90, 500
# Twice as many polls in the making of a pool as on Azure, where it takes five minutes.
POLL = 1.0
TIMES = Profile(pool_create=40.0, node_ready=2.0, gpu_ready=1.0, pool_delete=2.0, processes=False)
SIMULATED = TIMES.pool_create + TIMES.node_ready + TIMES.gpu_ready
PATIENCE = 300.0  # seconds
AT_ONCE_BARS = [
    Bar("of_simulated_duration", 1.2),
    Bar("lists_a_poll", 1.0),
    Bar("other_calls_a_claim", 2.99),
]
MANY_BARS = [Bar("peak_mib", 128)]


async def run(settings: Settings) -> list[dict[str, Any]]:
    """Both, one after the other. The sizes are those of the bars; `settings` changes nothing."""
    return [await _at_once(), await _many()]


async def _at_once() -> dict[str, Any]:
    async with _provisioned(TIMES) as stage:
        stage.calls.clear()  # what is asked at the start is for no claim
        began = time.monotonic()
        await spread(AT_ONCE, stage.create)
        created = time.monotonic() - began
        await stage.all_ready(AT_ONCE)
        took = time.monotonic() - began
        lists, calls = stage.calls["list"], dict(stage.calls)
        memory = peak(stage.process) / 2**20
    values = {
        "of_simulated_duration": took / SIMULATED,
        "lists_a_poll": lists / (took / POLL),
        "other_calls_a_claim": (sum(calls.values()) - lists) / AT_ONCE,
    }
    result = {
        "scenario": "provisioner: at once",
        "claims": AT_ONCE,
        "simulated_seconds": SIMULATED,
        "created_seconds": rounded(created),
        "ready_seconds": rounded(took),
        "calls": calls,
        "peak_mib": rounded(memory),
    }
    return dict(judged(result, values, AT_ONCE_BARS))


async def _many() -> dict[str, Any]:
    profile = Profile(
        pool_create=2.0, node_ready=0, gpu_ready=0, processes=False, limits=Limits(pools=MANY)
    )
    async with _provisioned(profile) as stage:
        empty = peak(stage.process) / 2**20
        began = time.monotonic()
        await spread(MANY, stage.create)
        await stage.all_ready(MANY)
        took = time.monotonic() - began
        memory = peak(stage.process) / 2**20
    result = {
        "scenario": "provisioner: many",
        "claims": MANY,
        "ready_seconds": rounded(took),
        "peak_mib_empty": rounded(empty),
    }
    return dict(judged(result, {"peak_mib": memory}, MANY_BARS))


class _Stage:
    """The claims as they are seen, and the calls to Azure by kind."""

    def __init__(self, client: Client, process: int) -> None:
        self.process = process
        self.calls: Counter[str] = Counter()
        self._client = client
        self._changed = asyncio.Event()
        self.machines = Informer(client, MACHINES)
        self._ready: set[Key] = set()
        self.machines.on_change(self._notice)

    def _notice(self, change: Any) -> None:
        if is_true(change.object.get("status", {}).get("conditions", []), "Ready"):
            self._ready.add(change.key)
            self._changed.set()

    def count(self, request: Request) -> bool:
        """Count a call to Azure; that is no fault."""
        if request.path.startswith(AZURE):
            listing = request.method == "GET" and request.path.lower().endswith("/agentpools")
            if listing and "skiptoken" in request.query:
                self.calls["further pages"] += 1
            else:
                self.calls["list" if listing else request.method] += 1
        return False

    async def create(self, number: int) -> None:
        name = f"ws{number:09x}"
        labels = {
            "karpenter.sh/provisioner-name": "default",
            "kaito.sh/workspace": f"w-{number}",
            "kaito.sh/workspacenamespace": "default",
            "apps": f"w-{number}",
        }
        requirements = [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [SIZE]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        ]
        await self._client.create(
            MACHINES,
            {
                "apiVersion": MACHINES.api_version,
                "kind": MACHINES.kind,
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "machineTemplateRef": {"name": name},
                    "requirements": requirements,
                    "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
                    "resources": {"requests": {"storage": "80Gi"}},
                },
            },
        )

    async def all_ready(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self._ready) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def _provisioned(profile: Profile) -> AsyncIterator[_Stage]:
    """A cluster, and the provisioner as a process that leads."""
    with tempfile.TemporaryDirectory(prefix="kaito-bench-") as scratch:
        async with LocalCluster(profile=profile) as cluster, asyncio.TaskGroup() as tasks:
            client = cluster.client(field_manager="bench")
            for definition in crds():
                await client.create(CRDS, definition)
            config = Path(scratch) / "kubeconfig"
            token = await enroll(client, "provisioner")
            text = kubeconfig.render(server=cluster.url, ca_pem=cluster.ca_pem, token=token)
            kubeconfig.write(config, text)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kaito.cli", "provisioner", "--kubeconfig", str(config)),
                "--no-leader-election",
                env={**os.environ, "AZURE_POLL_SECONDS": str(POLL)},
                stderr=asyncio.subprocess.PIPE,
            )
            reading = tasks.create_task(_until_told(process, '"started"'))
            stage = _Stage(client, process.pid)
            cluster.server.faults.add(Fault(Delays(0), match=stage.count, times=None))
            watching = tasks.create_task(stage.machines.run())
            try:
                await reading
                draining = tasks.create_task(_until_told(process, None))
                await stage.machines.wait_synced()
                yield stage
            finally:
                watching.cancel()
                process.terminate()
                await process.wait()
                draining.cancel()


async def _until_told(process: asyncio.subprocess.Process, words: str | None) -> None:
    """Read its log, as nobody else does, up to a line with these words, or to its end."""
    assert process.stderr is not None
    while line := await process.stderr.readline():
        if words is not None and words in line.decode():
            return
    if words is not None:
        raise RuntimeError("kaito provisioner did not start")
