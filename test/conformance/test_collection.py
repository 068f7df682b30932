"""What follows a deletion: dependents, orphans, and whole namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object, Space, lease

pytestmark = pytest.mark.controller_manager

HOLD = "conformance.example.com/hold"
NO_FINALIZERS = {"metadata": {"finalizers": None}}


def owned_by(*owners: Answer, **flags: Any) -> list[Object]:
    return [
        {
            "apiVersion": owner.body["apiVersion"],
            "kind": owner.body["kind"],
            "name": owner.metadata["name"],
            "uid": owner.metadata["uid"],
            **flags,
        }
        for owner in owners
    ]


def missing(answer: Answer) -> bool:
    return answer.status == 404


async def test_background_deletion_collects_the_dependents(api: Api, ns: Space) -> None:
    owner = (await api.create(ns.leases(), lease("owner"))).ok()
    for name in ("a", "b"):
        (await api.create(ns.leases(), lease(name, ownerReferences=owned_by(owner)))).ok()
    await api.delete(ns.leases("owner"), propagationPolicy="Background")
    await api.until(ns.leases("a"), missing)
    await api.until(ns.leases("b"), missing)


async def test_foreground_deletion_waits_for_dependents_that_block(api: Api, ns: Space) -> None:
    owner = (await api.create(ns.leases(), lease("owner"))).ok()
    blocking = owned_by(owner, blockOwnerDeletion=True)
    body = lease("a", ownerReferences=blocking, finalizers=[HOLD])
    (await api.create(ns.leases(), body)).ok()
    await api.delete(ns.leases("owner"), propagationPolicy="Foreground")
    await api.until(ns.leases("a"), lambda found: "deletionTimestamp" in found.metadata)
    waiting = await api.get(ns.leases("owner"))
    assert waiting.ok().metadata["finalizers"] == ["foregroundDeletion"]
    (await api.merge(ns.leases("a"), NO_FINALIZERS)).ok()
    await api.until(ns.leases("owner"), missing)


async def test_orphans_lose_their_reference_and_stay(api: Api, ns: Space) -> None:
    owner = (await api.create(ns.leases(), lease("owner"))).ok()
    (await api.create(ns.leases(), lease("a", ownerReferences=owned_by(owner)))).ok()
    await api.delete(ns.leases("owner"), propagationPolicy="Orphan")
    await api.until(ns.leases("owner"), missing)
    orphan = await api.get(ns.leases("a"))
    assert "ownerReferences" not in orphan.ok().metadata


async def test_a_dependent_with_a_living_owner_stays(api: Api, ns: Space) -> None:
    one = (await api.create(ns.leases(), lease("one"))).ok()
    two = (await api.create(ns.leases(), lease("two"))).ok()
    (await api.create(ns.leases(), lease("a", ownerReferences=owned_by(one, two)))).ok()
    await api.delete(ns.leases("one"))
    answer = await api.until(
        ns.leases("a"), lambda found: len(found.metadata.get("ownerReferences", [])) == 1
    )
    assert answer.metadata["ownerReferences"][0]["name"] == "two"


async def test_a_dependent_of_an_owner_that_is_gone_is_collected(api: Api, ns: Space) -> None:
    first = (await api.create(ns.leases(), lease("owner"))).ok()
    await api.delete(ns.leases("owner"))
    (await api.create(ns.leases(), lease("owner"))).ok()
    (await api.create(ns.leases(), lease("a", ownerReferences=owned_by(first)))).ok()
    await api.until(ns.leases("a"), missing)
    assert (await api.get(ns.leases("owner"))).status == 200


async def test_collection_goes_down_the_generations(api: Api, ns: Space) -> None:
    owner = (await api.create(ns.leases(), lease("g0"))).ok()
    for generation in (1, 2):
        body = lease(f"g{generation}", ownerReferences=owned_by(owner))
        owner = (await api.create(ns.leases(), body)).ok()
    await api.delete(ns.leases("g0"))
    await api.until(ns.leases("g2"), missing)


async def test_custom_resources_own_and_are_collected(api: Api, define: Defining) -> None:
    widgets = await define()
    owner = (await api.create(widgets.path(), widgets.new("owner", {}))).ok()
    body = lease("a", ownerReferences=owned_by(owner))
    (await api.create(widgets.ns.leases(), body)).ok()
    await api.delete(widgets.path("owner"))
    await api.until(widgets.ns.leases("a"), missing)


async def test_a_deleted_namespace_empties_and_goes(api: Api, word: str) -> None:
    space, path = Space(word), f"/api/v1/namespaces/{word}"
    (await api.create("/api/v1/namespaces", {"metadata": {"name": word}})).ok()
    (await api.create(space.leases(), lease("a"))).ok()
    await api.delete(path)
    await api.until(path, missing)
    assert (await api.get(space.leases("a"))).status == 404


async def test_a_namespace_waits_for_finalizers_and_says_so(api: Api, word: str) -> None:
    space, path = Space(word), f"/api/v1/namespaces/{word}"
    (await api.create("/api/v1/namespaces", {"metadata": {"name": word}})).ok()
    (await api.create(space.leases(), lease("a", finalizers=[HOLD]))).ok()
    await api.delete(path)
    answer = await api.until(path, lambda found: found.body["status"].get("conditions"))
    conditions = {c["type"]: c["status"] for c in answer.body["status"]["conditions"]}
    assert conditions["NamespaceFinalizersRemaining"] == "True"
    (await api.merge(space.leases("a"), NO_FINALIZERS)).ok()
    await api.until(path, missing)
