"""`kaito local`: a cluster in this process, and a look into its cloud."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kaito.cli.keeper import kept
from kaito.cli.logging import configure
from kaito.cli.parser import CommandError
from kaito.runtime import Client, Object, Resource, from_kubeconfig

if TYPE_CHECKING:
    from kaito.local.azure.listing import PoolRow
    from kaito.local.cluster import LocalCluster

DEFINITIONS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)

THROTTLING = 50.0
"""How much faster than Azure's request budgets the local ones refill: the local provisioner looks
every 0.3 s where Azure's looks every 15."""


def up(arguments: argparse.Namespace) -> int:
    """Run a local cluster until SIGTERM or SIGINT."""
    configure("warning", None)
    return asyncio.run(_up(arguments))


async def _up(arguments: argparse.Namespace) -> int:
    from kaito.api import crds
    from kaito.local.azure.limits import Limits
    from kaito.local.cluster import LocalCluster
    from kaito.local.pods.images import command_line, parse_program
    from kaito.local.pods.kaito_base import kaito_base
    from kaito.local.profiles import find
    from kaito.local.storage.volumes import CLASS_NAME

    limits = Limits(
        pools=arguments.max_pools,
        nodes_per_pool=arguments.max_nodes_per_pool,
        throttling=THROTTLING if arguments.throttle else 0,
    )
    try:
        profile = replace(find(arguments.profile), limits=limits)
    except ValueError as error:
        raise CommandError(f"--profile {error}") from error
    try:
        programs = list(map(parse_program, arguments.image))
    except ValueError as error:
        raise CommandError(f"--image {error}") from error
    real = {}
    for option in ("engine", "trainer"):
        try:
            real[option] = command_line(getattr(arguments, option))
        except ValueError as error:
            raise CommandError(f"--{option} {error}") from error
    programs += kaito_base(engine=real["engine"], trainer=real["trainer"])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kubeconfig = Path(arguments.kubeconfig).absolute()
    if not kubeconfig.parent.is_dir():
        raise CommandError(f"--kubeconfig {arguments.kubeconfig}: its directory does not exist.")
    if kubeconfig.is_dir():
        raise CommandError(
            f"--kubeconfig {arguments.kubeconfig}: this is a directory; name a file."
        )
    with TemporaryDirectory(prefix="kaito-local-") as scratch:
        data_dir = Path(arguments.data_dir).absolute() if arguments.data_dir else None
        async with LocalCluster(
            port=arguments.port,
            data_dir=data_dir,
            nodes=arguments.nodes,
            profile=profile,
            state_dir=data_dir or Path(scratch),
            programs=programs,
        ) as cluster:
            client = cluster.client()
            for definition in crds():
                await client.apply(DEFINITIONS, definition)
            cluster.write_kubeconfig(kubeconfig)
            daemons = {
                # This cluster has disks from which an evicted training goes on.
                "manager": _daemon("manager", kubeconfig, "--checkpoint-class", CLASS_NAME),
                "provisioner": _daemon("provisioner", kubeconfig),
            }
            async with kept({} if arguments.no_controllers else daemons):
                for raised in limits.raised:
                    print(f"warning: this cluster takes {raised}", file=sys.stderr)
                print("ready", flush=True)
                print(
                    f"export KUBECONFIG={kubeconfig}   # API server: {cluster.url}",
                    file=sys.stderr,
                )
                await _until_stopped(cluster, stop)
    return 0


def _daemon(name: str, kubeconfig: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "kaito.cli", name, "--kubeconfig", str(kubeconfig), *options]


async def _until_stopped(cluster: LocalCluster, stop: asyncio.Event) -> None:
    """Return when told to stop; raise what the cluster died of."""
    ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(cluster.wait())]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await ends[1]
            raise CommandError("The local cluster stopped by itself; the log above says why.")
    finally:
        for end in ends:
            end.cancel()


def pools(arguments: argparse.Namespace) -> int:
    """Print the agent pools that the local Azure endpoint holds."""
    found = asyncio.run(_pools(kubeconfig_of(arguments)))
    if arguments.output == "json":
        print(json.dumps([row.wire() for row in found], indent=2))
        return 0
    rows = [("NAME", "STATE", "COUNT", "VM SIZE")]
    print_table([*rows, *((row.name, row.state, str(row.count), row.vm_size) for row in found)])
    return 0


def kubeconfig_of(arguments: argparse.Namespace) -> str:
    """The file that --kubeconfig or $KUBECONFIG names. CommandError when neither does."""
    kubeconfig: str | None = arguments.kubeconfig or os.environ.get("KUBECONFIG")
    if not kubeconfig:
        raise CommandError("Which cluster? Set KUBECONFIG or pass --kubeconfig FILE.")
    return kubeconfig


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equally many cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("   ".join(cells).rstrip())


async def _pools(kubeconfig: str) -> list[PoolRow]:
    from kaito.local.azure.listing import list_pools

    config = await from_kubeconfig(kubeconfig)
    async with Client(config.transport()) as client:
        return await list_pools(client)
