"""The objects of the comparisons: shaped like Workspaces, 3 KB each as the server sends them.

They have a group of their own. Controllers of a cluster that KUBECONFIG names must not act on
thousands of Workspaces, for each might bring up a GPU node.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from kaito.runtime import (
    AlreadyExists,
    Call,
    Client,
    Key,
    NotFound,
    Object,
    Resource,
    from_kubeconfig,
)
from test.benchmark.kinds import CONFIG_MAPS, GROUP, KIND, PLURAL, VERSION, WORKSPACES

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CALLERS = 16
ESTABLISH_SECONDS = 30.0
DELETE_SECONDS = 120.0


def workspace(namespace: str, name: str) -> Object:
    """About 3 KB with the managedFields that the server adds."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app": "benchmark", "team": "serving", "kaito.sh/workspace": name},
            "annotations": {"example.com/description": "An endpoint of the benchmark. " * 4},
        },
        "resource": {
            "count": 1,
            "instanceType": "Standard_NC24ads_A100_v4",
            "labelSelector": {"matchLabels": {"apps": name}},
        },
        "inference": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "server",
                            "image": "registry.example.com/models/phi-4-mini:0.2.1",
                            "args": [f"--option-{number}=value-{number}" for number in range(30)],
                            "env": [
                                {"name": f"SETTING_{number}", "value": f"value of {name}"}
                                for number in range(22)
                            ],
                            "ports": [{"name": "http", "containerPort": 5000}],
                        }
                    ]
                }
            }
        },
    }


def definition() -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


@dataclass(frozen=True, slots=True)
class Site:
    """One API server with our kind in it. `name` is "local" or "real"."""

    name: str
    kubeconfig: str
    client: Client
    namespaces: list[str] = field(default_factory=list)

    async def new_namespace(self, count: int) -> str:
        """A namespace with `count` Workspaces named w-0, w-1 and so on.

        It stays until everything has been measured, for deletions keep a server busy.
        """
        namespace = f"kaito-bench-{secrets.token_hex(4)}"
        await self.client.create(NAMESPACES, {"metadata": {"name": namespace}})
        self.namespaces.append(namespace)

        async def create(number: int) -> None:
            await self.client.create(WORKSPACES, workspace(namespace, f"w-{number}"))

        await spread(count, create)
        return namespace


@asynccontextmanager
async def site(name: str, kubeconfig: str) -> AsyncIterator[Site]:
    """The server of this kubeconfig; what was made there is gone when the block ends."""
    config = await from_kubeconfig(kubeconfig)
    async with Client(config.transport("bench"), field_manager="bench") as client:
        with suppress(AlreadyExists):
            await client.create(CRDS, definition())
        found = Site(name, kubeconfig, client)
        try:
            async with asyncio.timeout(ESTABLISH_SECONDS):
                await _served(client)
            yield found
        finally:
            for namespace in found.namespaces:
                # Objects first: some servers have nobody who empties a namespace.
                for resource in (WORKSPACES, CONFIG_MAPS):
                    path = resource.path(namespace)
                    await client.send(Call(method="DELETE", path=path, timeout=DELETE_SECONDS))
                await client.delete(NAMESPACES, Key("", namespace))
            with suppress(NotFound):
                await client.delete(CRDS, Key("", f"{PLURAL}.{GROUP}"))


async def spread(count: int, work: Callable[[int], Awaitable[None]]) -> None:
    """`count` pieces of work by a few concurrent callers."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(caller())


async def _served(client: Client) -> None:
    while True:
        with suppress(NotFound):
            await client.list(WORKSPACES, namespace="default")
            return
        await asyncio.sleep(0.1)
