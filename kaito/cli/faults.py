"""`kaito local fault`: make the local Azure fail as the real one does, while the cluster runs."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from kaito.cli.local import kubeconfig_of, print_table
from kaito.cli.parser import CommandError
from kaito.runtime import BadRequest, Call, Client, NotFound, from_kubeconfig


def add(arguments: argparse.Namespace) -> int:
    """Put a fault into force; prints its id."""
    wanted = {
        "kind": arguments.kind,
        "on": arguments.on,
        "pool": arguments.pool,
        "vmSize": arguments.vm_size,
        "times": arguments.times,
        "seconds": arguments.seconds,
        "status": arguments.status,
        "code": arguments.code,
        "message": arguments.message,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    print(_ask(arguments, "POST", body=given)["id"])
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print the faults in force, or with --kinds those that there could be."""
    state = _ask(arguments, "GET")
    if arguments.kinds:
        print_table([("KIND", "WHAT THE CLOUD DOES"), *state["kinds"].items()])
        return 0
    rows = [("ID", "KIND", "ON", "POOL", "VM SIZE", "TIMES")]
    rows += [
        (
            fault.get("id", "-"),
            fault["kind"],
            fault.get("on", "create"),
            fault.get("pool", "*"),
            fault.get("vmSize", "*"),
            str(fault.get("times", "always")),
        )
        for fault in state["faults"]
    ]
    print_table(rows)
    return 0


def clear(arguments: argparse.Namespace) -> int:
    """Take faults back: the named one, or all that were added."""
    _ask(arguments, "DELETE", arguments.id)
    return 0


def _ask(
    arguments: argparse.Namespace, method: str, name: str = "", body: Any = None
) -> dict[str, Any]:
    return asyncio.run(_send(kubeconfig_of(arguments), method, name, body))


async def _send(kubeconfig: str, method: str, name: str, body: Any) -> dict[str, Any]:
    from kaito.local.azure.rehearsing import PATH

    config = await from_kubeconfig(kubeconfig)
    path = f"{PATH}/{name}" if name else PATH
    data = None if body is None else json.dumps(body).encode()
    async with Client(config.transport()) as client:
        try:
            answer: dict[str, Any] = json.loads(
                await client.send(Call(method=method, path=path, body=data))
            )
        except NotFound as error:
            if name:
                raise CommandError(f"There is no fault with the id {name}.") from error
            raise CommandError(
                "The cluster of this kubeconfig was not started by `kaito local up`."
            ) from error
        except BadRequest as error:
            raise CommandError(error.status.message) from error
    return answer
