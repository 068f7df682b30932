"""Upgrading from upstream: its definition, its objects, then ours over them.

Objects that our rules would refuse stay readable, editable where they are not wrong, and
deletable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaito.api import crds
from kaito.catalog.catalog import load
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.settings import Settings
from kaito.local.apiserver import ApiServer
from kaito.local.transport import InProcess
from kaito.runtime import Client, Invalid, Key, NotFound, Object, Resource
from kaito.testing import eventually
from test.integration.workspace.stage import CRDS, TOKEN

OLD: Resource[Object] = Resource("kaito.sh", "v1alpha1", "workspaces", "Workspace")
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def upstream(*versions: str) -> Object:
    """A definition as upstream shipped it: no bounds, no rules."""
    strings = {"type": "array", "items": {"type": "string"}}
    source = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "urls": strings,
            "image": {"type": "string"},
            "imagePullSecrets": strings,
            "volumeSource": FREE,
        },
    }
    preset = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "accessMode": {"type": "string", "default": "public", "enum": ["public", "private"]},
            "presetOptions": FREE,
        },
    }
    adapter = {
        "type": "object",
        "properties": {"source": source, "strength": {"type": "string"}},
    }
    schema = {
        "type": "object",
        "required": ["resource"],
        "properties": {
            "resource": {
                "type": "object",
                "required": ["labelSelector"],
                "properties": {
                    "count": {"type": "integer", "default": 1},
                    "instanceType": {"type": "string", "default": "Standard_NC12s_v3"},
                    "labelSelector": FREE | {"x-kubernetes-map-type": "atomic"},
                    "preferredNodes": strings,
                },
            },
            "inference": {
                "type": "object",
                "properties": {
                    "preset": preset,
                    "template": FREE,
                    "config": {"type": "string"},
                    "adapters": {"type": "array", "items": adapter},
                },
            },
            "tuning": {
                "type": "object",
                "properties": {
                    "preset": preset,
                    "method": {"type": "string"},
                    "config": {"type": "string"},
                    "input": source,
                    "output": FREE,
                },
            },
            "status": FREE,
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "workspaces.kaito.sh"},
        "spec": {
            "group": "kaito.sh",
            "scope": "Namespaced",
            "names": {
                "kind": "Workspace",
                "listKind": "WorkspaceList",
                "plural": "workspaces",
                "singular": "workspace",
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[-1],
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
                for version in versions
            ],
        },
    }


def workspace(name: str, **parts: Any) -> Object:
    return {
        "apiVersion": "kaito.sh/v1alpha1",
        "kind": "Workspace",
        "metadata": {
            "name": name,
            "namespace": "default",
            "finalizers": ["workspace.finalizer.kaito.sh"],
        },
        "resource": {"labelSelector": {"matchLabels": {"apps": "a"}}},
        "inference": {"preset": {"name": "phi-3-mini-4k-instruct"}},
    } | parts


# What upstream let in, without its webhook at least, and we do not.
OBJECTS = (
    workspace("sound"),
    workspace("dotted.name"),
    workspace("preset-of-old", inference={"preset": {"name": "phi-9"}}),
    workspace("adapters", inference={"adapters": [{"strength": "9"}], "preset": {"name": "phi-2"}}),
    workspace(
        "selector",
        resource={
            "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "instanceType": "Standard_NC12s_v3",
        },
    ),
    workspace(
        "tuning",
        inference=None,
        tuning={
            "preset": {"name": "falcon-7b"},
            "input": {"urls": ["ftp://a/b"], "image": "Upper"},
            "output": {"image": "ACR_REPO_HERE.azurecr.io/x"},
        },
    ),
    workspace(
        "many",
        resource={"labelSelector": {"matchLabels": {"a": "b c"}}, "count": 300},
        inference={
            "preset": {"name": "phi-2", "presetOptions": {"image": "a: b"}},
            "config": "a/b",
        },
    ),
    workspace("states", status={"state": "Bewildered", "workerNodes": [""]}),
)
EDIT = {"metadata": {"labels": {"team": "a"}}, "resource": {"preferredNodes": ["n"]}}


def judged(new: Object, old: Object | None) -> list[str]:
    found = judge(new, old, catalog=load(), settings=Settings(), config=None)
    return [each.message for each in found.problems]


@pytest.fixture(params=[["v1alpha1"], ["v1alpha1", "v1beta1"]], ids=["v0.3", "v0.12"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A cluster that ran upstream and has our definitions now."""
    server = ApiServer(tokens={TOKEN: "admin"})
    await server.start()
    client = Client(InProcess(server, token=TOKEN), field_manager="upgrade")
    await client.create(CRDS, upstream(*request.param))
    await eventually(lambda: client.list(OLD))
    for obj in OBJECTS:
        await client.create(OLD, {k: v for k, v in obj.items() if v is not None})
    for definition in crds():
        await client.apply(CRDS, definition)
    await eventually(lambda: client.list(WORKSPACES))
    yield client
    await client.aclose()
    await server.aclose()


async def test_every_object_is_read_in_both_versions(client: Client) -> None:
    for resource in (OLD, WORKSPACES):
        listing = await client.list(resource)
        assert len(listing.items) == len(OBJECTS)


async def test_what_is_not_wrong_can_be_edited(client: Client) -> None:
    """By the server and by the webhook, which hears of the change with what was before."""
    for obj in OBJECTS:
        key = Key.of(obj)
        old = await client.get(WORKSPACES, key)
        new = await client.patch(WORKSPACES, key, EDIT)
        assert new["metadata"]["labels"] == {"team": "a"}
        assert judged(new, old) == [], key
        assert judged(old, new) == [], key


async def test_what_becomes_wrong_is_refused_all_the_same(client: Client) -> None:
    for obj in OBJECTS:
        old = await client.get(WORKSPACES, Key.of(obj))
        worse = {**old, "resource": {**old["resource"], "preferredNodes": ["N 1"]}}
        (problem,) = judged(worse, old)
        assert problem.startswith("resource.preferredNodes[0] (N 1) must be the name of a Node")
        with pytest.raises(Invalid, match="must be the name of a Node"):
            await client.update(WORKSPACES, worse)


async def test_an_old_object_that_cannot_be_says_why_and_costs_nothing(client: Client) -> None:
    """What the manager makes of it: of those that are as they must be it asks for nodes."""
    for obj in OBJECTS:
        found = await client.get(WORKSPACES, Key.of(obj))
        found["metadata"].setdefault("uid", obj["metadata"]["name"])
        decision = decide(Observation(workspace=found), load(), Settings())
        made = {each["kind"] for each in decision.objects}
        assert decision.status is not None
        (said,) = (c for c in decision.status["conditions"] if c["type"] == "ResourceReady")
        if obj["metadata"]["name"] in ("sound", "states"):
            assert made == {"Machine"}
        else:
            assert (made, said["status"]) == (set(), "False")
            assert said["message"].endswith(".")
            assert said["reason"] in ("InvalidSpec", "UnknownPreset")


async def test_what_is_wrong_can_be_mended(client: Client) -> None:
    key = Key("default", "adapters")
    mended = [{"source": {"name": "a", "image": "r.io/a:1"}, "strength": "0.5"}]
    await client.patch(WORKSPACES, key, {"inference": {"adapters": mended}})
    with pytest.raises(Invalid, match="must be a number from 0 to 1"):
        await client.patch(
            WORKSPACES, key, {"inference": {"adapters": [{**mended[0], "strength": "9"}]}}
        )


async def test_status_can_be_written(client: Client) -> None:
    for obj in OBJECTS:
        status = {"status": {"state": "Pending"}}
        await client.patch(WORKSPACES, Key.of(obj), status, subresource="status")


async def test_every_object_can_be_deleted(client: Client) -> None:
    for obj in OBJECTS:
        key = Key.of(obj)
        await client.delete(WORKSPACES, key)
        gone = await client.get(WORKSPACES, key)
        assert not judge(gone, None, catalog=load(), settings=Settings()).problems
        await client.patch(WORKSPACES, key, {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await client.get(WORKSPACES, key)
