"""What both daemons share: configuration, lease, signals, and one exit code."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from kaito.cli.logging import configure
from kaito.cli.parser import CommandError
from kaito.runtime import (
    Address,
    AlreadyExists,
    Client,
    ClusterConfig,
    ExitCode,
    Forbidden,
    Key,
    LeaseSettings,
    Manager,
    Metrics,
    NotFound,
    Object,
    Resource,
    RuntimeFailure,
    Unauthorized,
    exit_code,
    load,
)

SYSTEM_NAMESPACE = "kaito-system"
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
ALL_INTERFACES = ""


async def run_daemon(
    arguments: argparse.Namespace,
    *,
    name: str,
    build: Callable[[Manager, AsyncExitStack, ClusterConfig], Awaitable[None]],
    namespaces: tuple[str, ...] = (),
) -> int:
    """Run a manager named `name` until SIGTERM or SIGINT; exit code 0 then.

    `build` fills it; what it opens it enters into the stack that it is given.
    """
    configure(arguments.log_level, arguments.log_format)
    config = await load(arguments.kubeconfig)
    metrics = Metrics()

    def connect(timeout: float = 30.0) -> Client:
        return Client(config.transport(name), field_manager=name, timeout=timeout, metrics=metrics)

    async with connect() as client, AsyncExitStack() as resources:
        lease = None
        if not arguments.no_leader_election:
            namespace = arguments.lease_namespace or (
                config.namespace if config.in_cluster else SYSTEM_NAMESPACE
            )
            if not config.in_cluster:
                await ensure_namespace(client, namespace, config)
            lease = LeaseSettings.lasting(arguments.lease_seconds, name=name, namespace=namespace)
        manager = Manager(
            client,
            name=name,
            lease=lease,
            connect=connect,
            warm=True,
            namespaces=namespaces,
            metrics=metrics,
            metrics_address=_address("metrics", arguments.metrics_address, 8080, config),
            probes=_address("probe", arguments.probe_address, 8081, config),
            debug=_loopback(arguments.debug_address),
        )
        await build(manager, resources, config)
        await manager.run(signals=True)
    return 0


def until_exit(daemon: Coroutine[Any, Any, int]) -> int:
    """Run a daemon to its end; its exit code, as kaito.runtime.ExitCode has them."""
    try:
        return asyncio.run(daemon)
    except Exception as error:
        code = exit_code(error)
        if code == ExitCode.CRASHED:
            raise
        raise CommandError(str(error), code=code) from error


def _address(what: str, text: str | None, port: int, config: ClusterConfig) -> Address | None:
    if text is not None:
        try:
            return Address.parse(text)
        except ValueError as error:
            raise CommandError(f"--{what}-address: {error}") from None
    # On a laptop several copies run side by side, so each takes what is free.
    return Address(ALL_INTERFACES, port) if config.in_cluster else Address("127.0.0.1", 0)


def _loopback(text: str) -> Address | None:
    try:
        address = Address.parse(text)
    except ValueError as error:
        raise CommandError(f"--debug-address: {error}") from None
    if address is not None and not address.is_loopback:
        raise CommandError(
            f"--debug-address is {address}, which others can reach: write 127.0.0.1:PORT."
        )
    return address


async def ensure_namespace(client: Client, name: str, config: ClusterConfig) -> None:
    """Outside of a cluster nobody has installed our namespace; the lease needs one.

    A user without the right to look, such as the service account that config/rbac makes, is in a
    cluster where somebody has. Raises CommandError, and what Client.get raises.
    """
    try:
        await client.get(NAMESPACES, Key("", name))
    except Unauthorized as error:
        raise CommandError(
            f"{config.origin}: {config.server} does not accept these credentials (401); log in "
            "again, or name another user or token there."
        ) from error
    except Forbidden:
        return  # the lease itself tells if the namespace is missing after all
    except NotFound:
        namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            await client.create(NAMESPACES, namespace)
        except AlreadyExists:
            pass
        except RuntimeFailure as error:
            raise CommandError(
                f"The lease needs the namespace {name}, which could not be created ({error}); "
                f"create it, or pass --lease-namespace NS."
            ) from error
