"""`kaito manager`: the workspace daemon."""

from __future__ import annotations

import argparse
import os
from contextlib import AsyncExitStack
from functools import partial

from kaito.catalog.catalog import load
from kaito.cli.daemon import run_daemon, until_exit
from kaito.cli.options import NO_HUB
from kaito.cli.settings import settings_of
from kaito.cli.strangers import reader
from kaito.cli.webhook import add_webhook
from kaito.controllers.workspace.controller import build
from kaito.controllers.workspace.discovery import readable_kinds
from kaito.controllers.workspace.strangers import Strangers
from kaito.runtime import ClusterConfig, Manager


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    daemon = run_daemon(
        arguments,
        name="kaito-workspace",
        build=partial(_build, arguments),
        namespaces=arguments.namespaces,
    )
    return until_exit(daemon)


async def _build(
    arguments: argparse.Namespace,
    manager: Manager,
    resources: AsyncExitStack,
    config: ClusterConfig,
) -> None:
    catalog = load()
    settings = settings_of(arguments, reads_models=arguments.hub != NO_HUB)
    strangers = None
    if settings.reads_models:
        token = os.environ.get("HF_TOKEN", "")
        read = await resources.enter_async_context(reader(token=token, address=arguments.hub))
        strangers = Strangers(read, manager.clock)
        resources.push_async_callback(strangers.aclose)
    await add_webhook(manager, resources, arguments, config, catalog=catalog, settings=settings)
    build(manager, settings, catalog, strangers, await readable_kinds(manager.client))
