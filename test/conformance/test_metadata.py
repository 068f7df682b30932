"""What an update may do to an object's metadata, and how faults are told."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.objects import Object, Space, config_map, deployment, lease, service

pytestmark = pytest.mark.apiserver

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def owner(name: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": f"uid-{name}", **more}


@pytest.mark.parametrize(
    ("plural", "prefix", "body", "times"),
    [
        ("configmaps", "/api/v1", config_map("a"), 4),
        ("services", "/api/v1", service("a"), 3),
        ("deployments", "/apis/apps/v1", deployment("a"), 3),
        ("events", "/api/v1", {"metadata": {"name": "a"}, "reason": "r"}, 2),
        (
            "poddisruptionbudgets",
            "/apis/policy/v1",
            {"metadata": {"name": "a"}, "spec": {"minAvailable": 1}},
            2,
        ),
        (
            "limitranges",
            "/api/v1",
            {"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Pod"}]}},
            3,
        ),
        ("roles", RBAC, {"metadata": {"name": "a"}}, 4),
    ],
)
async def test_a_fault_is_listed_as_often_as_a_kind_looks(
    api: Api, ns: Space, plural: str, prefix: str, body: Object, times: int
) -> None:
    if plural == "events":
        body = {**body, "involvedObject": {"namespace": ns.name}}
    path = ns.path(prefix, plural)
    (await api.create(path, body)).ok()
    answer = await api.merge(f"{path}/a", {"metadata": {"labels": {"k": "!"}}})
    causes = answer.body["details"]["causes"]
    assert answer.status == 422
    assert [c["field"] for c in causes] == ["metadata.labels"] * times
    assert answer.message.count("metadata.labels") == 1


async def test_only_one_owner_may_be_the_controller(api: Api, ns: Space) -> None:
    (await api.create(ns.leases(), lease("a"))).ok()
    owners = [owner("a", controller=True), owner("b", controller=True)]
    answer = await api.merge(ns.leases("a"), {"metadata": {"ownerReferences": owners}})
    assert answer.status == 422
    assert "Only one reference can have Controller set to true" in answer.message


@pytest.mark.parametrize("verb", ["create", "replace", "merge"])
async def test_repeated_owners_are_dropped_with_a_warning(api: Api, ns: Space, verb: str) -> None:
    body = lease("a", ownerReferences=[owner("a"), owner("a")])
    if verb == "create":
        answer = await api.create(ns.leases(), body)
    else:
        made = (await api.create(ns.leases(), lease("a"))).ok()
        body["metadata"]["resourceVersion"] = made.version
        call = api.replace if verb == "replace" else api.merge
        answer = await call(ns.leases("a"), body)
    assert len(answer.ok().metadata["ownerReferences"]) == 1
    late = " after mutating admission happens" if verb == "merge" else ""
    assert any(
        f".metadata.ownerReferences contains duplicate entries{late};" in w for w in answer.warnings
    )


async def test_a_name_and_a_namespace_stay(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    renamed = await api.merge(ns.configmaps("a"), {"metadata": {"name": "b"}})
    moved = await api.merge(ns.configmaps("a"), {"metadata": {"namespace": "b"}})
    nowhere = await api.merge(ns.configmaps("a"), {"metadata": {"namespace": None}})
    assert (renamed.status, moved.status, nowhere.status) == (400, 400, 200)


async def test_both_ways_of_collecting_at_once_are_refused(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    both = {"metadata": {"finalizers": ["orphan", "foregroundDeletion"]}}
    answer = await api.merge(ns.configmaps("a"), both)
    assert "finalizer orphan and foregroundDeletion cannot be both set" in answer.message


@pytest.mark.parametrize(
    ("prefix", "plural", "body"),
    [
        (RBAC, "roles", {"metadata": {"name": "a"}}),
        (
            RBAC,
            "rolebindings",
            {
                "metadata": {"name": "a"},
                "roleRef": {"apiGroup": RBAC.split("/")[2], "kind": "Role", "name": "r"},
            },
        ),
        ("/api/v1", "endpoints", {"metadata": {"name": "a"}}),
        (
            "/api/v1",
            "limitranges",
            {"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Pod"}]}},
        ),
    ],
)
async def test_some_kinds_are_created_by_a_replacement(
    api: Api, ns: Space, prefix: str, plural: str, body: Object
) -> None:
    answer = await api.replace(ns.path(prefix, plural, "a"), body)
    assert answer.status == 201


async def test_a_budget_is_replaced_in_a_known_version_only(api: Api, ns: Space) -> None:
    path = ns.path("/apis/policy/v1", "poddisruptionbudgets")
    body: Object = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1}}
    (await api.create(path, body)).ok()
    answer = await api.replace(f"{path}/b", body)
    assert answer.status == 422
    assert answer.fields == {"metadata.resourceVersion"}


async def test_a_dry_run_takes_a_version_as_it_is(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", resourceVersion="5"), dryRun="All")
    assert answer.status == 201
    assert answer.version == "5"


async def test_the_generation_of_a_priority_class_stays_at_one(api: Api, ns: Space) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    (await api.create(path, {"metadata": {"name": ns.name}, "value": 1})).ok()
    answer = await api.merge(f"{path}/{ns.name}", {"description": "changed"})
    await api.delete(f"{path}/{ns.name}")
    assert answer.ok().metadata["generation"] == 1
