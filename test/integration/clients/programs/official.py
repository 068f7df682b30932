"""The official client: typed calls, custom objects, watches, every patch, the dynamic client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import manifests as m
from kubernetes import client, config, dynamic, watch
from kubernetes.utils import retry

SECONDS = 30


def until(call: Callable[..., Any], done: Callable[[Any], bool], **where: Any) -> Any:
    """The first object of a watch that is as it should be."""
    watching = watch.Watch()
    for event in watching.stream(call, timeout_seconds=SECONDS, **where):
        if done(event["object"]):
            watching.stop()
            return event["object"]
    raise AssertionError(f"{call.__name__}: not within {SECONDS} s")


def true(obj: Any, condition: str) -> bool:
    return any(c.type == condition and c.status == "True" for c in obj.status.conditions or ())


def refusal(call: Callable[[], Any]) -> int:
    try:
        call()
    except client.ApiException as error:
        return int(error.status)
    raise AssertionError("what must be refused was done")


def deployments(apps: client.AppsV1Api) -> None:
    apps.create_namespaced_deployment(m.NAMESPACE, m.deployment())
    one = {"namespace": m.NAMESPACE, "field_selector": "metadata.name=web"}
    until(apps.list_namespaced_deployment, lambda d: true(d, "Available"), **one)
    listed = apps.list_namespaced_deployment(m.NAMESPACE, label_selector="app in (web, api)")
    assert [each.metadata.name for each in listed.items] == ["web"]
    assert not apps.list_namespaced_deployment(m.NAMESPACE, label_selector="app!=web").items

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}}}
    kind = "application/strategic-merge-patch+json"
    found = apps.patch_namespaced_deployment("web", m.NAMESPACE, patch, _content_type=kind)
    assert [each.name for each in found.spec.template.spec.containers] == ["side", "web"]
    kind = "application/merge-patch+json"
    patch = {"metadata": {"labels": {"app": None, "tier": "front"}}}
    found = apps.patch_namespaced_deployment("web", m.NAMESPACE, patch, _content_type=kind)
    assert found.metadata.labels == {"tier": "front"}
    steps = [{"op": "remove", "path": "/spec/template/spec/containers/0"}]
    found = apps.patch_namespaced_deployment("web", m.NAMESPACE, steps)
    assert [each.name for each in found.spec.template.spec.containers] == ["web"]
    applied = {**m.deployment(), "spec": {**m.deployment()["spec"], "paused": False}}
    kind = "application/apply-patch+yaml"
    found = apps.patch_namespaced_deployment(
        "web", m.NAMESPACE, applied, _content_type=kind, field_manager="shop", force=True
    )
    assert "shop" in {each.manager for each in found.metadata.managed_fields}

    def scale_up() -> None:
        scale = apps.read_namespaced_deployment_scale("web", m.NAMESPACE)
        scale.spec.replicas = 3
        apps.replace_namespaced_deployment_scale("web", m.NAMESPACE, scale)

    retry.retry_on_conflict(scale_up)
    until(apps.list_namespaced_deployment, lambda d: d.status.ready_replicas == 3, **one)
    old = apps.read_namespaced_deployment("web", m.NAMESPACE)
    apps.patch_namespaced_deployment_scale("web", m.NAMESPACE, {"spec": {"replicas": 1}})
    assert refusal(lambda: apps.replace_namespaced_deployment("web", m.NAMESPACE, old)) == 409


def widgets(api: client.ApiClient) -> None:
    crds = client.ApiextensionsV1Api(api)
    crds.create_custom_resource_definition(m.crd())
    name = f"metadata.name={m.PLURAL}.{m.GROUP}"
    until(
        crds.list_custom_resource_definition,
        lambda crd: true(crd, "Established"),
        field_selector=name,
    )
    custom = client.CustomObjectsApi(api)
    kind = (m.GROUP, m.VERSION, m.NAMESPACE, m.PLURAL)
    custom.create_namespaced_custom_object(*kind, m.widget("a"))
    custom.patch_namespaced_custom_object(*kind, "a", {"spec": {"size": 2}})
    custom.patch_namespaced_custom_object_status(*kind, "a", {"status": {"size": 2}})
    found = custom.get_namespaced_custom_object_scale(*kind, "a")
    assert (found["spec"]["replicas"], found["status"]["replicas"]) == (2, 2)
    assert (
        refusal(lambda: custom.create_namespaced_custom_object(*kind, m.widget("b", size=0))) == 422
    )

    resources = dynamic.DynamicClient(api).resources
    dynamically = resources.get(api_version=f"{m.GROUP}/{m.VERSION}", kind=m.KIND)
    dynamically.server_side_apply(m.widget("c", size=5), field_manager="shop")
    names = {each.metadata.name for each in dynamically.get(namespace=m.NAMESPACE).items}
    assert names == {"a", "c"}
    custom.delete_collection_namespaced_custom_object(*kind, label_selector="app=web")
    assert custom.list_namespaced_custom_object(*kind)["items"] == []


def main() -> None:
    config.load_kube_config()
    with client.ApiClient() as api:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        core.create_namespace({"metadata": {"name": m.NAMESPACE}})
        deployments(apps)
        widgets(api)

        core.create_namespaced_pod(m.NAMESPACE, m.pod())
        until(
            core.list_namespaced_pod,
            lambda pod: pod.status.phase == "Succeeded",
            namespace=m.NAMESPACE,
            field_selector="metadata.name=job",
        )
        assert core.read_namespaced_pod_log("job", m.NAMESPACE, tail_lines=1) == "and goodbye\n"
        lines = watch.Watch().stream(core.read_namespaced_pod_log, "job", m.NAMESPACE)
        assert next(iter(lines)) == m.WORDS

        apps.delete_namespaced_deployment("web", m.NAMESPACE, propagation_policy="Foreground")
        core.delete_namespaced_pod("job", m.NAMESPACE)
        until_empty(core)
        core.delete_namespace(m.NAMESPACE)


def until_empty(core: client.CoreV1Api) -> None:
    """Foreground deletion ends when the children are gone; a watch tells of the last one."""
    left = core.list_namespaced_pod(m.NAMESPACE)
    names = {pod.metadata.name for pod in left.items}
    if not names:
        return
    version = left.metadata.resource_version
    for event in watch.Watch().stream(
        core.list_namespaced_pod, m.NAMESPACE, resource_version=version, timeout_seconds=SECONDS
    ):
        if event["type"] == "DELETED":
            names.discard(event["object"].metadata.name)
        if not names:
            return
    raise AssertionError(names)


main()
