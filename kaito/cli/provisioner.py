"""`kaito provisioner`: the machine daemon, with AKS agent pools as its source of nodes."""

from __future__ import annotations

import argparse
import os
from contextlib import AsyncExitStack
from functools import partial

from kaito.cli.cloud import cluster_uid, settings_of
from kaito.cli.daemon import run_daemon, until_exit
from kaito.controllers.machine import Options, build, served_kinds
from kaito.provisioner import aks
from kaito.runtime import ClusterConfig, Manager


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    options = Options(
        expire=arguments.expire,
        repair=arguments.repair,
        drain_seconds=arguments.drain_seconds,
        making_seconds=arguments.making_seconds,
        joining_seconds=arguments.joining_seconds,
    )
    build_with = partial(_build, options)
    return until_exit(run_daemon(arguments, name="kaito-provisioner", build=build_with))


async def _build(
    options: Options, manager: Manager, resources: AsyncExitStack, _: ClusterConfig
) -> None:
    settings = await settings_of(manager.client, os.environ)
    source = await resources.enter_async_context(
        aks.connect(settings, manager.clock, manager.metrics.registry)
    )
    build(
        manager,
        source,
        poll_seconds=settings.poll_seconds,
        cluster=await cluster_uid(manager.client),
        kinds=await served_kinds(manager.client),
        options=options,
    )
