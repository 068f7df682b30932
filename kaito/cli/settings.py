"""Settings of the workspace controller from what is written on the command line."""

from __future__ import annotations

import argparse

from kaito.cli.parser import CommandError
from kaito.controllers.workspace.settings import NodeClass, Settings


def settings_of(arguments: argparse.Namespace, *, reads_models: bool) -> Settings:
    """The settings; `reads_models` says whether models of no catalogue are read. CommandError for
    options that contradict each other."""
    named = arguments.node_class
    if named and arguments.node_request not in ("nodeclaim", "nodepool"):
        raise CommandError(
            f"--node-class is of NodeClaims and NodePools, and --node-request is "
            f"{arguments.node_request}: make it nodeclaim or nodepool, or leave --node-class out."
        )
    return Settings(
        cloud=arguments.cloud,
        reads_models=reads_models,
        engine_user=arguments.engine_user,
        nvme_class=arguments.nvme_class,
        checkpoint_class=arguments.checkpoint_class,
        data_networks=tuple(arguments.data_network),
        data_limit=arguments.data_limit,
        node_request=arguments.node_request,
        node_class=NodeClass(group=named[0], kind=named[1], name=named[2]) if named else None,
    )
