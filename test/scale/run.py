"""The stages of a run, one after the other, and what is made of their figures."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

from kaito.local import kubeconfig
from kaito.runtime import Client, ClusterConfig, Key, from_kubeconfig
from test.accounts import enroll
from test.benchmark.contest import Bar, judged, rounded
from test.e2e.stage import certificate_of
from test.scale.fleet import Fleet
from test.scale.program import Program, running

SAMPLE_SECONDS = 2.0
REST_SECONDS = 4.0  # without work, until a manager is said to rest
REST_CPU = 0.05  # of a core: what leases, probes and the questions of this run take
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
DAEMONS = ("provisioner", "manager")
# From design.md. 6.6 a second is the best figure published for a comparable operator.
BARS = [
    Bar("seconds_a_workspace", 1 / 8),
    Bar("writes_a_workspace", 22),
    Bar("left", 0),
    Bar("restart_writes", 0),
    Bar("restart_cpu_ms_a_workspace", 1.5),
]


class Run:
    """One run, in a directory of its own."""

    def __init__(self, scratch: Path, count: int) -> None:
        self._scratch = scratch
        self._count = count
        self._began = time.monotonic()
        self._living: list[Program] = []
        self.programs: list[Program] = []
        """All that ran, with what they took."""
        self.marks: dict[str, float] = {}
        """When each stage was over, in seconds since the begin."""

    async def whole(self) -> dict[str, Any]:
        """All stages, judged. RuntimeError when a program ends by itself."""
        async with AsyncExitStack() as stack:
            log = stack.enter_context((self._scratch / "log").open("wb"))
            admin = self._scratch / "kubeconfig"
            words = ("test.scale.cluster", str(admin), str(self._count + 1))
            self._take(
                await stack.enter_async_context(running("cluster", *words, log=log, ready=b"ready"))
            )
            config = await from_kubeconfig(str(admin))
            client = await stack.enter_async_context(
                Client(config.transport("scale"), field_manager="scale")
            )
            for daemon in DAEMONS:
                await self._admit(daemon, client, config, certificate_of(admin).decode())
            fleet = Fleet(client, self._count)
            watching = [asyncio.create_task(each) for each in (fleet.watch(), self._sampling())]
            try:
                return await self._stages(fleet, log)
            finally:
                for each in watching:
                    each.cancel()
                await asyncio.gather(*watching, return_exceptions=True)

    async def _stages(self, fleet: Fleet, log: IO[bytes]) -> dict[str, Any]:
        async with AsyncExitStack() as daemons:
            async with AsyncExitStack() as first:
                provisioner, told = await self._daemon(daemons, "provisioner", log)
                manager, told_too = await self._daemon(first, "manager", log)
                began = time.monotonic()
                await fleet.create()
                created = time.monotonic() - began
                self._mark("all created")
                await fleet.all_ready()
                ready = time.monotonic() - began
                self._mark("all ready")
                # What is told late is counted, too.
                await self._resting(manager)
                writes = writes_of(told()) + writes_of(told_too())
                calls = sum((*told().values(), *told_too().values()))
                cpu = {each.name: each.cpu for each in self._living}
                peaks = {each.name: each.peak for each in self._living}
                self._living.remove(manager)
            again, told_again = await self._daemon(daemons, "manager", log, "manager, again")
            rest = await self._resting(again)
            self._mark("a new manager rests")
            restart_writes, restart_cpu = writes_of(told_again()), again.cpu
            began_to_go = time.monotonic()
            await fleet.delete()
            gone = time.monotonic() - began_to_go
            await self._resting(provisioner)
            self._mark("all gone")
            left = await fleet.left()
            self._living = []
        count = self._count
        values = {
            "seconds_a_workspace": ready / count,
            "writes_a_workspace": writes / count,
            "left": sum(left.values()),
            "restart_writes": restart_writes,
            "restart_cpu_ms_a_workspace": restart_cpu * 1000 / count,
        }
        result = {
            "scenario": "scale",
            "workspaces": count,
            "created_seconds": rounded(created),
            "ready_seconds": rounded(ready),
            "ready_a_second": rounded(count / ready),
            "applied_seconds": quantiles(fleet.created, fleet.applied),
            "ready_seconds_each": quantiles(fleet.created, fleet.ready),
            "calls_a_workspace": rounded(calls / count),
            "cpu_ms_a_workspace": {k: rounded(v * 1000 / count) for k, v in cpu.items()},
            "peak_mib": {k: rounded(v / 2**20) for k, v in peaks.items()},
            "restart_rest_seconds": rounded(rest),
            "deleted_seconds": rounded(gone),
            "left": left,
        }
        return dict(judged(result, values, BARS))

    async def _admit(
        self, daemon: str, admin: Client, config: ClusterConfig, certificate: str
    ) -> None:
        token = await enroll(admin, daemon)
        text = kubeconfig.render(server=config.server, ca_pem=certificate, token=token)
        kubeconfig.write(self._scratch / daemon, text)

    async def _daemon(
        self, stack: AsyncExitStack, daemon: str, log: IO[bytes], name: str = ""
    ) -> tuple[Program, Any]:
        """One daemon, and what tells its calls to the API server by method."""
        port = free_port()
        words = (
            *("kaito.cli", daemon, "--kubeconfig", str(self._scratch / daemon)),
            *("--no-leader-election", "--metrics-address", f"127.0.0.1:{port}"),
        )
        variables = {"AZURE_MAX_POOLS": str(self._count + 1)}
        program = await stack.enter_async_context(
            running(name or daemon, *words, log=log, variables=variables)
        )
        self._take(program)
        await answering(port)
        return program, lambda: calls_of(port)

    def _take(self, program: Program) -> None:
        self.programs.append(program)
        self._living.append(program)

    def _mark(self, what: str) -> None:
        self.marks[what] = time.monotonic() - self._began

    async def _sampling(self) -> None:
        while True:
            for each in self._living:
                each.sample(time.monotonic() - self._began)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _resting(self, program: Program) -> float:
        """Wait until it does nothing any more; how long it did something."""
        began = busy = time.monotonic()
        while time.monotonic() - busy < REST_SECONDS:
            before = program.cpu
            await asyncio.sleep(1)
            if program.cpu - before > REST_CPU:
                busy = time.monotonic()
        return busy - began


def quantiles(began: Mapping[Key, float], ended: Mapping[Key, float]) -> dict[str, float]:
    """Seconds from one to the other: the median and what one in a hundred exceeds."""
    took = sorted(ended[key] - began[key] for key in began)
    cuts = statistics.quantiles(took, n=100)
    return {"p50": rounded(cuts[49]), "p99": rounded(cuts[98])}


def calls_of(port: int) -> Counter[str]:
    """The calls of a daemon to the API server so far, by method."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "rest_client_requests_total":
                found[sample.labels["method"]] += int(sample.value)
    return found


def writes_of(calls: Mapping[str, int]) -> int:
    """How many of them write."""
    return sum(number for method, number in calls.items() if method in WRITES)


async def answering(port: int) -> None:
    """Wait until somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
