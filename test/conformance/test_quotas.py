"""Resource quotas whose status names limits: writes count, and too much is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.objects import Space, config_map, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]


async def limit(
    api: Api, ns: Space, hard: Object, used: Object | None = None, **spec: object
) -> str:
    """A quota with the status that a controller would write."""
    path = ns.path("/api/v1", "resourcequotas")
    quota = {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}}
    (await api.create(path, quota)).ok()
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    (await api.merge(f"{path}/q/status", {"status": status})).ok()
    await asyncio.sleep(0.3)  # until a real server has seen its own write
    return f"{path}/q"


def refused(answer: Answer, says: str) -> None:
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message.partition(" is forbidden: ")[2] == says


def made(name: str, **resources: Object) -> Object:
    return pod(name, containers=[{"name": "main", "image": "model:1", "resources": resources}])


async def test_a_quota_counts_what_is_created_and_refuses_the_rest(api: Api, ns: Space) -> None:
    quota = await limit(api, ns, {"configmaps": "1", "count/pods": "1"})
    (await api.create(ns.configmaps(), config_map("dry"), dryRun="All")).ok()
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    refused(
        await api.create(ns.configmaps(), config_map("b")),
        "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1",
    )
    stored = (await api.get(quota)).ok().body
    assert stored["status"]["used"] == {"configmaps": "1", "count/pods": "0"}
    last = stored["metadata"]["managedFields"][-1]
    assert (last["manager"], last["operation"], last["subresource"]) == (
        "kube-apiserver",
        "Update",
        "status",
    )


async def test_a_quota_of_amounts_demands_that_every_container_names_them(
    api: Api, ns: Space
) -> None:
    quota = await limit(api, ns, {"requests.cpu": "2", "limits.memory": "2Gi"})
    refused(
        await api.create(ns.pods(), made("p", requests={"cpu": "1"})),
        "failed quota: q: must specify limits.memory for: main",
    )
    one = {"requests": {"cpu": "1500m", "memory": "1Mi"}, "limits": {"memory": "1Gi"}}
    (await api.create(ns.pods(), made("p", **one))).ok()
    used = (await api.get(quota)).ok().body["status"]["used"]
    assert used == {"requests.cpu": "1500m", "limits.memory": "1Gi"}
    refused(
        await api.create(ns.pods(), made("other", **one)),
        "exceeded quota: q, requested: requests.cpu=1500m, used: requests.cpu=1500m, "
        "limited: requests.cpu=2",
    )


async def test_a_quota_with_a_scope_counts_only_what_is_in_it(api: Api, ns: Space) -> None:
    await limit(api, ns, {"pods": "0"}, scopes=["BestEffort"])
    (await api.create(ns.pods(), made("p", requests={"cpu": "1"}))).ok()
    refused(
        await api.create(ns.pods(), made("other")),
        "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
    )


async def test_a_quota_that_nobody_has_counted_yet_refuses(api: Api, ns: Space) -> None:
    await limit(api, ns, {"pods": "9"}, used={})
    refused(await api.create(ns.pods(), made("p")), "status unknown for quota: q, resources: pods")


async def test_a_service_uses_up_node_ports_when_it_begins_to_need_them(
    api: Api, ns: Space
) -> None:
    quota = await limit(api, ns, {"services.nodeports": "1"})
    ports = [{"name": name, "port": port} for name, port in (("a", 80), ("b", 81))]
    for name, count in (("one", 1), ("two", 2)):
        service = {"metadata": {"name": name}, "spec": {"ports": ports[:count]}}
        (await api.create(ns.services(), service)).ok()
    node_port = {"spec": {"type": "NodePort"}}
    refused(
        await api.merge(ns.services("two"), node_port),
        "exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0, "
        "limited: services.nodeports=1",
    )
    (await api.merge(ns.services("one"), node_port)).ok()
    assert (await api.get(quota)).ok().body["status"]["used"] == {"services.nodeports": "1"}
