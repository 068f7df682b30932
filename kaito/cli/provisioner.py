"""`kaito provisioner`: the machine daemon, with AKS agent pools as its source of nodes."""

from __future__ import annotations

import argparse
import os
from contextlib import AsyncExitStack
from functools import partial

from kaito.cli.daemon import NAMESPACES, run_daemon, until_exit
from kaito.controllers.machine import Options, build, served_kinds
from kaito.provisioner import aks
from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE, read
from kaito.runtime import ClusterConfig, Key, Manager, NotFound, Object, Resource

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")


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
    try:
        config = await manager.client.get(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME))
    except NotFound:
        config = {}
    settings = read(os.environ, config.get("data") or {})
    source = await resources.enter_async_context(aks.connect(settings, manager.clock))
    system = await manager.client.get(NAMESPACES, Key("", "kube-system"))
    cluster = system["metadata"]["uid"]
    build(
        manager,
        source,
        poll_seconds=settings.poll_seconds,
        cluster=cluster,
        kinds=await served_kinds(manager.client),
        options=options,
    )
