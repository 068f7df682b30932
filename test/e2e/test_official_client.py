"""The quick start with the official Python client, as scripts of our users do it."""

from __future__ import annotations

import asyncio
from typing import Any

import yaml
from kubernetes import client, config, watch

from test.e2e.stage import MACHINES, NODES, PATIENCE, PHI, QUICK_START, WORKSPACES, Stage

V1ALPHA1 = {"group": "kaito.sh", "version": "v1alpha1", "plural": "workspaces"}


async def test_the_official_client_creates_watches_lists_and_deletes_the_quick_start(
    running: Stage,
) -> None:
    api = config.new_client_from_config(str(running.kubeconfig))
    try:
        await asyncio.to_thread(_apply_and_watch, api)
        service = await asyncio.to_thread(
            client.CoreV1Api(api).read_namespaced_service, PHI.name, PHI.namespace
        )
        assert [port.port for port in service.spec.ports] == [80, 29500]
        await asyncio.to_thread(_delete, api)
    finally:
        await asyncio.to_thread(api.close)

    await running.until(lambda: not running.all(WORKSPACES), "the Workspace gone")
    assert running.all(MACHINES) == []
    assert running.all(NODES) == []


def _apply_and_watch(api: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api)
    manifest = yaml.safe_load(QUICK_START.read_text())
    custom.create_namespaced_custom_object(**V1ALPHA1, namespace=PHI.namespace, body=manifest)
    listed = custom.list_namespaced_custom_object(**V1ALPHA1, namespace=PHI.namespace)
    assert [item["metadata"]["name"] for item in listed["items"]] == [PHI.name]
    events = watch.Watch()
    for event in events.stream(
        custom.list_namespaced_custom_object,
        **V1ALPHA1,
        namespace=PHI.namespace,
        timeout_seconds=int(PATIENCE),
    ):
        if _ready(event["object"]):
            events.stop()
            return
    raise AssertionError("the watch ended before the Workspace was ready")


def _ready(workspace: dict[str, Any]) -> bool:
    conditions = workspace.get("status", {}).get("conditions", [])
    return any(c["type"] == "WorkspaceReady" and c["status"] == "True" for c in conditions)


def _delete(api: client.ApiClient) -> None:
    client.CustomObjectsApi(api).delete_namespaced_custom_object(
        **V1ALPHA1, namespace=PHI.namespace, name=PHI.name
    )
