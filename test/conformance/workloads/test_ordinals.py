"""StatefulSets: order, partitions, revisions, and whose pods and claims are whose."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.objects import Object
from test.conformance.workloads.hand import Hand, change, owner_of, template, workload

pytestmark = pytest.mark.controller_manager

REVISION = "controller-revision-hash"


async def made(hand: Hand, replicas: int, **spec: Any) -> str:
    """A StatefulSet with all of its pods ready; its path."""
    path = hand.apps("statefulsets", "t")
    body = workload("t", replicas, serviceName="t", **spec)
    await hand.create(hand.apps("statefulsets"), body)
    await all_ready(hand, path, replicas)
    return path


async def all_ready(hand: Hand, path: str, replicas: int) -> Object:
    """Make every pod ready that comes, until all are of the new template."""
    while True:
        pods = [pod for pod in await hand.pods() if pod["status"]["phase"] == "Pending"]
        await hand.ready(*pods)
        found: Object = (await hand.api.get(path)).body
        status = found.get("status", {})
        at_rest = status.get("observedGeneration") == found["metadata"]["generation"]
        if at_rest and status.get("readyReplicas", 0) == replicas == status.get("replicas"):
            return found


def revisions(pods: list[Object]) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["labels"][REVISION] for pod in pods}


async def test_each_pod_waits_for_the_one_before(hand: Hand) -> None:
    path = hand.apps("statefulsets", "t")
    await hand.create(hand.apps("statefulsets"), workload("t", 2, serviceName="t"))
    (first,) = await hand.active(1)
    status = (await hand.until(path, lambda s: s["status"].get("replicas") == 1))["status"]
    assert first["metadata"]["name"] == "t-0"
    assert "readyReplicas" not in status
    await hand.ready(first)
    assert {pod["metadata"]["name"] for pod in await hand.active(2)} == {"t-0", "t-1"}
    told = await hand.told("SuccessfulCreate", 2)
    assert set(told) == {
        "Create Pod t-0 in StatefulSet t successful",
        "Create Pod t-1 in StatefulSet t successful",
    }


async def test_below_the_partition_a_pod_comes_back_as_it_was(hand: Hand) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    path = await made(hand, 2, updateStrategy=strategy)
    before = revisions(await hand.active(2))
    await hand.merge(path, change("b"))
    (new,) = await hand.active(1, lambda pod: pod["metadata"]["labels"][REVISION] != before["t-0"])
    assert new["metadata"]["name"] == "t-1"
    await hand.ready(new)
    await hand.api.delete(hand.ns.pods("t-0"))
    (again,) = await hand.active(1, lambda pod: pod["status"]["phase"] == "Pending")
    assert (again["metadata"]["name"], again["spec"]["containers"][0]["image"]) == ("t-0", "a")
    assert again["metadata"]["labels"][REVISION] == before["t-0"]


async def test_a_template_that_was_there_before_has_its_revision_again(hand: Hand) -> None:
    pod = template("a")
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", "a && b > c"]
    path = await made(hand, 1, template=pod)
    before = revisions(await hand.active(1))
    for image in ("b", "a"):
        await hand.merge(path, change_image(pod, image))
        await all_ready(hand, path, 1)
    assert revisions(await hand.active(1)) == before
    known = await hand.until(hand.apps("controllerrevisions"), lambda body: len(body["items"]) == 2)
    assert sorted(each["revision"] for each in known["items"]) == [2, 3]


def change_image(pod: Object, image: str) -> Object:
    container = {**pod["spec"]["containers"][0], "image": image}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


async def test_pods_are_replaced_on_deletion_alone_where_that_is_asked_for(hand: Hand) -> None:
    path = await made(hand, 2, updateStrategy={"type": "OnDelete"})
    before = revisions(await hand.active(2))
    await hand.merge(path, change("b"))
    await hand.until(path, lambda s: s["status"]["updateRevision"] != before["t-0"])
    assert revisions(await hand.active(2)) == before
    await hand.api.delete(hand.ns.pods("t-1"))
    (new,) = await hand.active(1, lambda pod: pod["status"]["phase"] == "Pending")
    assert new["spec"]["containers"][0]["image"] == "b"


async def test_orphans_are_adopted_with_their_revisions(hand: Hand) -> None:
    path = await made(hand, 1)
    await hand.orphan(path)
    await hand.until(hand.ns.pods("t-0"), lambda pod: not owner_of(pod))
    await hand.create(hand.apps("statefulsets"), workload("t", 1, serviceName="t"))
    await hand.until(hand.ns.pods("t-0"), lambda pod: owner_of(pod) == "t")
    known = await hand.until(
        hand.apps("controllerrevisions"), lambda body: all(map(owner_of, body["items"]))
    )
    assert [each["revision"] for each in known["items"]] == [1]


async def test_a_pod_of_another_name_is_not_adopted(hand: Hand) -> None:
    other = {"metadata": {"name": "t-x", **template()["metadata"]}, "spec": template()["spec"]}
    await hand.create(hand.ns.pods(), other)
    await hand.create(hand.apps("statefulsets"), workload("t", 1, serviceName="t"))
    await hand.active(1, lambda pod: owner_of(pod) == "t")
    assert not owner_of((await hand.api.get(hand.ns.pods("t-x"))).body)


async def test_claims_belong_to_whatever_they_shall_end_with(hand: Hand) -> None:
    claim = {
        "metadata": {"name": "v"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    policy = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    path = await made(
        hand, 1, volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy=policy
    )
    claims = hand.ns.path("/api/v1", "persistentvolumeclaims", "v-t-0")
    owned = await hand.until(claims, owner_of)
    assert owner_of(owned) == "t"
    kept = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}
    await hand.merge(path, {"spec": kept})
    await hand.until(claims, lambda each: not owner_of(each))
