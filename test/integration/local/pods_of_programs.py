"""Pods whose containers are Python programs of this machine, and what is seen of them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from kaito.local.kinds import PODS
from kaito.runtime import Call, Object, Resource, is_true

if TYPE_CHECKING:
    from test.integration.local.conftest import World

EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
OVER = ("Succeeded", "Failed")


def container(script: str, *arguments: str, name: str = "main", **fields: Any) -> Object:
    args = ["-u", "-c", textwrap.dedent(script), *arguments]
    return {"name": name, "image": "docker.io/library/python:3.12", "args": args, **fields}


def pod(*containers: Object, name: str = "p", labels: Any = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": list(containers),
            **spec,
        },
    }


def named(kind: str, name: str, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


async def over(world: World, name: str = "p") -> Object:
    return await world.object(PODS, name, lambda p: p["status"]["phase"] in OVER, "default")


async def running(world: World, name: str = "p") -> Object:
    def ready(found: Object) -> bool:
        return is_true(found["status"].get("conditions", ()), "Ready")

    return await world.object(PODS, name, ready, "default")


async def log(world: World, query: str = "", name: str = "p") -> str:
    path = f"/api/v1/namespaces/default/pods/{name}/log"
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    return (await world.client.send(Call(method="GET", path=path, query=asked))).decode()


async def told(world: World, reason: str, text: str) -> Object:
    """Wait for an Event."""
    return await world.until(
        EVENTS,
        lambda store: next(
            (e for e in store.list() if e["reason"] == reason and text in e["message"]), None
        ),
    )


def state_of(found: Object, name: str = "main") -> Any:
    status = found["status"]
    every = [*status["containerStatuses"], *status.get("initContainerStatuses", ())]
    return next(each for each in every if each["name"] == name)
