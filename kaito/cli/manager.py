"""`kaito manager`: the workspace daemon."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack

from kaito.cli.daemon import run_daemon, until_exit
from kaito.controllers.workspace import Settings, build
from kaito.runtime import Manager


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    daemon = run_daemon(
        arguments, name="kaito-workspace", build=_build, namespaces=arguments.namespaces
    )
    return until_exit(daemon)


async def _build(manager: Manager, _: AsyncExitStack) -> None:
    build(manager, Settings())
