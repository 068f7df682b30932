"""lightkube: typed models, generic resources made from the definition, all four patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import manifests as m
from lightkube import ApiError, Client
from lightkube.generic_resource import create_resources_from_crd, get_generic_resource
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Namespace, Pod
from lightkube.types import CascadeType, PatchType


def until(client: Client, kind: Any, done: Callable[[str, Any], bool], **where: Any) -> Any:
    return next(obj for op, obj in client.watch(kind, server_timeout=30, **where) if done(op, obj))


def refusal(call: Callable[[], Any]) -> int:
    try:
        call()
    except ApiError as error:
        return int(error.status.code)
    raise AssertionError("what must be refused was done")


def deployments(client: Client) -> None:
    client.create(Deployment.from_dict(m.deployment()))
    client.wait(Deployment, "web", for_conditions=["Available"])
    assert [each.metadata.name for each in client.list(Pod, labels={"app": "api"})] == []
    assert len(list(client.list(Pod, labels=m.LABELS, chunk_size=1))) == 2

    def images(patch: Any, kind: PatchType, **how: Any) -> dict[str, str]:
        found = client.patch(Deployment, "web", patch, patch_type=kind, **how)
        return {each.name: each.image for each in found.spec.template.spec.containers}

    side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}}}
    assert images(side, PatchType.STRATEGIC) == {"side": "s:1", "web": "nginx:1.27"}
    steps = [{"op": "remove", "path": "/spec/template/spec/containers/0"}]
    assert images(steps, PatchType.JSON) == {"web": "nginx:1.27"}
    assert images({"spec": {"replicas": 1}}, PatchType.MERGE) == {"web": "nginx:1.27"}
    wanted = m.deployment(3)
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.28"
    assert images(wanted, PatchType.APPLY, force=True) == {"web": "nginx:1.28"}

    scale = Deployment.Scale(
        metadata=ObjectMeta(name="web", namespace=m.NAMESPACE), spec=ScaleSpec(replicas=2)
    )
    client.replace(scale, "web")
    until(
        client,
        Deployment,
        lambda _, d: d.status.readyReplicas == 2 and d.status.updatedReplicas == 2,
        fields={"metadata.name": "web"},
    )
    version = client.get(Deployment, "web").metadata.resourceVersion
    client.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
    until(client, Deployment, lambda op, _: op == "DELETED", resource_version=version)
    assert not list(client.list(Pod))


def widgets(client: Client) -> None:
    definition = CustomResourceDefinition.from_dict(m.crd())
    client.create(definition)
    client.wait(CustomResourceDefinition, definition.metadata.name, for_conditions=["Established"])
    create_resources_from_crd(definition)
    kind = get_generic_resource(f"{m.GROUP}/{m.VERSION}", m.KIND)
    client.create(kind.from_dict(m.widget("a")))
    client.apply(kind.from_dict(m.widget("a", size=2)), force=True)
    found = client.get(kind, "a")
    found["status"] = {"size": 2}
    client.replace(kind.Status.from_dict(found.to_dict()))
    assert client.get(kind.Scale, "a").status.replicas == 2
    assert refusal(lambda: client.create(kind.from_dict(m.widget("b", size=0)))) == 422
    client.delete(kind, "a")
    assert not list(client.list(kind))


def main() -> None:
    with Client(namespace=m.NAMESPACE, field_manager="shop") as client:
        client.create(Namespace(metadata=ObjectMeta(name=m.NAMESPACE)))
        deployments(client)
        widgets(client)
        client.create(Pod.from_dict(m.pod()))
        job = {"fields": {"metadata.name": "job"}}
        until(client, Pod, lambda _, pod: pod.status.phase == "Succeeded", **job)
        assert list(client.log("job", newlines=False)) == [m.WORDS, "and goodbye"]
        assert list(client.log("job", follow=True, tail_lines=1)) == ["and goodbye\n"]
        client.delete(Namespace, m.NAMESPACE)


main()
