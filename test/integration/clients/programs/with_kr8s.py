"""kr8s: objects that know how to create, wait for, scale and delete themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import kr8s
import manifests as m
from kr8s.asyncio.objects import CustomResourceDefinition, Deployment, Namespace, Pod, new_class

SECONDS = 30
Widget = new_class(
    kind=m.KIND,
    plural=m.PLURAL,
    version=f"{m.GROUP}/{m.VERSION}",
    namespaced=True,
    scalable=True,
    scalable_spec="size",
    asyncio=True,
)


async def deployments(api: Any) -> None:
    web = await Deployment(m.deployment())
    await web.create()
    await web.wait("condition=Available", timeout=SECONDS)
    found = [each async for each in api.get("deployments", namespace=m.NAMESPACE)]
    assert [each.name for each in found] == ["web"]
    pods = [each async for each in api.get("pods", namespace=m.NAMESPACE, label_selector=m.LABELS)]
    assert len(pods) == 2
    await web.patch({"metadata": {"annotations": {"why": "because"}}})
    await web.patch([{"op": "remove", "path": "/metadata/labels/app"}], type="json")
    assert (web.annotations["why"], "app" in web.labels) == ("because", False)
    await web.label(tier="front")
    await web.scale(3)
    await web.wait("jsonpath='{.status.readyReplicas}'=3", timeout=SECONDS)
    await web.delete(propagation_policy="Foreground")
    await web.wait("delete", timeout=SECONDS)
    assert not [each async for each in api.get("pods", namespace=m.NAMESPACE)]


async def widgets(api: Any) -> None:
    definition = await CustomResourceDefinition(m.crd())
    await definition.create()
    await definition.wait("condition=Established", timeout=SECONDS)
    small = await Widget(m.widget("a"))
    await small.create()
    await small.patch({"spec": {"size": 2}})
    # kr8s finds no conditions before there is a status.
    await small.patch({"status": {"size": 1}}, subresource="status")
    ready = [{"type": "Ready", "status": "True"}]
    waiting = asyncio.create_task(small.wait("condition=Ready", timeout=SECONDS))
    other = await Widget.get("a", namespace=m.NAMESPACE)
    await other.patch({"status": {"size": 2, "conditions": ready}}, subresource="status")
    await waiting
    found = [each async for each in api.get(f"{m.PLURAL}.{m.GROUP}", namespace=m.NAMESPACE)]
    assert [(each.name, each.spec.size) for each in found] == [("a", 2)]
    await small.delete()
    await small.wait("delete", timeout=SECONDS)


async def main() -> None:
    api = await kr8s.asyncio.api()
    shop = await Namespace({"metadata": {"name": m.NAMESPACE}})
    await shop.create()
    await deployments(api)
    await widgets(api)
    job = await Pod(m.pod())
    await job.create()
    await job.wait("jsonpath='{.status.phase}'=Succeeded", timeout=SECONDS)
    assert [line async for line in job.logs()] == [m.WORDS, "and goodbye"]
    assert [line async for line in job.logs(follow=True, tail_lines=1)] == ["and goodbye"]
    await shop.delete()
    await shop.wait("delete", timeout=SECONDS)


asyncio.run(main())
