"""kubernetes-asyncio: the same calls as coroutines, watches as asynchronous iterators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import manifests as m
from kubernetes_asyncio import client, config, watch

SECONDS = 30
APPLY = "application/apply-patch+yaml"


async def until(call: Any, done: Callable[[Any], bool], *args: Any, **where: Any) -> Any:
    async with watch.Watch() as watching:
        async for event in watching.stream(call, *args, timeout_seconds=SECONDS, **where):
            if done(event["object"]):
                return event["object"]
    raise AssertionError(f"{call.__name__}: not within {SECONDS} s")


def true(obj: Any, condition: str) -> bool:
    return any(c.type == condition and c.status == "True" for c in obj.status.conditions or ())


async def deployments(apps: client.AppsV1Api) -> None:
    await apps.create_namespaced_deployment(m.NAMESPACE, m.deployment())
    one = {"field_selector": "metadata.name=web"}
    watched = apps.list_namespaced_deployment
    await until(watched, lambda d: true(d, "Available"), m.NAMESPACE, **one)
    listed = await watched(m.NAMESPACE, label_selector="app=web", limit=1)
    assert [each.metadata.name for each in listed.items] == ["web"]

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}}}
    kind = "application/strategic-merge-patch+json"
    found = await apps.patch_namespaced_deployment("web", m.NAMESPACE, patch, _content_type=kind)
    assert [each.name for each in found.spec.template.spec.containers] == ["side", "web"]
    steps = [{"op": "remove", "path": "/spec/template/spec/containers/0"}]
    found = await apps.patch_namespaced_deployment("web", m.NAMESPACE, steps)
    assert [each.name for each in found.spec.template.spec.containers] == ["web"]
    patch = {"metadata": {"annotations": {"why": "because"}}}
    kind = "application/merge-patch+json"
    found = await apps.patch_namespaced_deployment("web", m.NAMESPACE, patch, _content_type=kind)
    assert found.metadata.annotations["why"] == "because"
    mine = {"field_manager": "shop", "force": True, "_content_type": APPLY}
    found = await apps.patch_namespaced_deployment("web", m.NAMESPACE, m.deployment(), **mine)
    assert "shop" in {each.manager for each in found.metadata.managed_fields}

    await apps.patch_namespaced_deployment_scale("web", m.NAMESPACE, {"spec": {"replicas": 3}})
    await until(watched, lambda d: d.status.ready_replicas == 3, m.NAMESPACE, **one)


async def widgets(api: client.ApiClient) -> None:
    crds = client.ApiextensionsV1Api(api)
    await crds.create_custom_resource_definition(m.crd())
    await until(crds.list_custom_resource_definition, lambda crd: true(crd, "Established"))
    custom = client.CustomObjectsApi(api)
    kind = (m.GROUP, m.VERSION, m.NAMESPACE, m.PLURAL)
    await custom.create_namespaced_custom_object(*kind, m.widget("a"))
    merge = {"_content_type": "application/merge-patch+json"}
    await custom.patch_namespaced_custom_object(*kind, "a", {"spec": {"size": 2}}, **merge)
    await custom.patch_namespaced_custom_object_status(*kind, "a", {"status": {"size": 2}}, **merge)
    seen = await until(custom.list_namespaced_custom_object, lambda w: "status" in w, *kind)
    assert (seen["spec"], seen["status"]) == ({"size": 2}, {"size": 2})
    await custom.delete_namespaced_custom_object(*kind, "a")


async def main() -> None:
    await config.load_kube_config()
    async with client.ApiClient() as api:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        await core.create_namespace({"metadata": {"name": m.NAMESPACE}})
        await deployments(apps)
        await widgets(api)

        await core.create_namespaced_pod(m.NAMESPACE, m.pod())
        pods = core.list_namespaced_pod
        job = {"field_selector": "metadata.name=job"}
        await until(pods, lambda pod: pod.status.phase == "Succeeded", m.NAMESPACE, **job)
        assert await core.read_namespaced_pod_log("job", m.NAMESPACE, tail_lines=1) == (
            "and goodbye\n"
        )
        async with watch.Watch() as log:
            followed = core.read_namespaced_pod_log
            lines = [line async for line in log.stream(followed, "job", m.NAMESPACE)]
        assert lines[0].strip() == m.WORDS

        await core.delete_namespaced_pod("job", m.NAMESPACE)
        await apps.delete_namespaced_deployment("web", m.NAMESPACE, propagation_policy="Foreground")
        await until_empty(core)
        await core.delete_namespace(m.NAMESPACE)


async def until_empty(core: client.CoreV1Api) -> None:
    """Foreground deletion ends when the children are gone; a watch tells of the last one."""
    left = await core.list_namespaced_pod(m.NAMESPACE)
    names = {pod.metadata.name for pod in left.items}
    if not names:
        return
    async with watch.Watch() as watching:
        async for event in watching.stream(
            core.list_namespaced_pod,
            m.NAMESPACE,
            resource_version=left.metadata.resource_version,
            timeout_seconds=SECONDS,
        ):
            if event["type"] == "DELETED":
                names.discard(event["object"].metadata.name)
            if not names:
                return
    raise AssertionError(names)


asyncio.run(main())
