"""`kaito local`: a cluster in this process, and a look into its cloud."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kaito.cli.logging import configure
from kaito.cli.parser import CommandError

RESTART_SECONDS = 1.0  # pause before a daemon that died is started again
STOP_SECONDS = 35.0  # a daemon's own grace period is 30 s
DAEMONS = ("manager", "provisioner")


def up(arguments: argparse.Namespace) -> int:
    """Run a local cluster until SIGTERM or SIGINT."""
    configure("warning", None)
    return asyncio.run(_up(arguments))


async def _up(arguments: argparse.Namespace) -> int:
    from kaito.api import crds
    from kaito.local.cluster import LocalCluster

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kubeconfig = Path(arguments.kubeconfig).absolute()
    if not kubeconfig.parent.is_dir():
        raise CommandError(f"--kubeconfig {arguments.kubeconfig}: its directory does not exist.")
    with TemporaryDirectory(prefix="kaito-local-") as scratch:
        data_dir = Path(arguments.data_dir).absolute() if arguments.data_dir else None
        async with LocalCluster(
            port=arguments.port,
            data_dir=data_dir,
            nodes=arguments.nodes,
            state_dir=data_dir or Path(scratch),
        ) as cluster:
            await cluster.install(crds())
            cluster.write_kubeconfig(kubeconfig)
            async with _daemons(kubeconfig, [] if arguments.no_controllers else DAEMONS):
                print("ready", flush=True)
                print(
                    f"export KUBECONFIG={kubeconfig}   # API server: {cluster.url}",
                    file=sys.stderr,
                )
                await stop.wait()
    return 0


@asynccontextmanager
async def _daemons(kubeconfig: Path, names: tuple[str, ...] | list[str]) -> AsyncIterator[None]:
    """Keep both daemons running as processes of their own, as a kubelet would."""
    async with asyncio.TaskGroup() as keepers:
        tasks = [keepers.create_task(_keep(name, kubeconfig)) for name in names]
        yield
        for task in tasks:
            task.cancel()


async def _keep(name: str, kubeconfig: Path) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "kaito.cli", name, "--kubeconfig", str(kubeconfig)),
            start_new_session=True,
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        print(
            f"kaito {name} ended with exit code {code}; it is started again.",
            file=sys.stderr,
        )
        await asyncio.sleep(RESTART_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def pools(arguments: argparse.Namespace) -> int:
    """Print the agent pools that the local Azure endpoint holds."""
    from kaito.local.azure.client import list_pools

    kubeconfig = arguments.kubeconfig or os.environ.get("KUBECONFIG")
    if not kubeconfig:
        raise CommandError("Which cluster? Set KUBECONFIG or pass --kubeconfig FILE.")
    found = asyncio.run(list_pools(kubeconfig))
    if arguments.output == "json":
        print(json.dumps(found, indent=2))
        return 0
    rows = [("NAME", "STATE", "COUNT", "VM SIZE")]
    rows += [(p["name"], p["state"], str(p["count"]), p["vmSize"]) for p in found]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    return 0
