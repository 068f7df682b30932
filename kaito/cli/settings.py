"""Settings of the workspace controller from what is written on the command line."""

from __future__ import annotations

import argparse

from kaito.controllers.workspace.settings import NodeClass, Settings


def settings_of(arguments: argparse.Namespace, *, reads_models: bool) -> Settings:
    """The settings; `reads_models` says whether models of no catalogue are read."""
    named = arguments.node_class
    return Settings(
        cloud=arguments.cloud,
        reads_models=reads_models,
        engine_user=arguments.engine_user,
        nvme_class=arguments.nvme_class,
        node_request=arguments.node_request,
        node_class=NodeClass(group=named[0], kind=named[1], name=named[2]) if named else None,
    )
