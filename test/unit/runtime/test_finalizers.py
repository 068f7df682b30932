"""Finalizers come and go without those of others being lost."""

from __future__ import annotations

import pytest

from kaito.runtime import (
    Client,
    Conflict,
    Key,
    Object,
    Resource,
    adding_finalizer,
    removing_finalizer,
)
from kaito.testing import FakeApi

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
A = Key("ns", "a")
OURS, THEIRS = "example.com/ours", "example.com/theirs"


def pod(*finalizers: str) -> Object:
    return {"metadata": {"name": "a", "resourceVersion": "7", "finalizers": list(finalizers)}}


def test_a_finalizer_is_added_behind_those_of_others() -> None:
    patch = {"metadata": {"resourceVersion": "7", "finalizers": [THEIRS, OURS]}}
    assert adding_finalizer(pod(THEIRS), OURS) == patch


def test_a_finalizer_is_removed_and_those_of_others_stay() -> None:
    patch = {"metadata": {"resourceVersion": "7", "finalizers": [THEIRS]}}
    assert removing_finalizer(pod(OURS, THEIRS), OURS) == patch
    assert removing_finalizer(pod(OURS), OURS) == {
        "metadata": {"resourceVersion": "7", "finalizers": []}
    }


def test_where_nothing_would_change_there_is_nothing_to_send() -> None:
    assert adding_finalizer(pod(OURS), OURS) is None
    assert removing_finalizer(pod(THEIRS), OURS) is None
    assert removing_finalizer({"metadata": {"name": "a", "resourceVersion": "7"}}, OURS) is None


async def test_a_finalizer_that_came_meanwhile_is_not_lost(api: FakeApi, client: Client) -> None:
    api.put(PODS, "a", "ns", metadata={"finalizers": [OURS]})
    seen = await client.get(PODS, A)
    api.put(PODS, "a", "ns", metadata={"finalizers": [OURS, THEIRS]})
    patch = removing_finalizer(seen, OURS)
    assert patch is not None
    with pytest.raises(Conflict):
        await client.patch(PODS, A, patch)
    patch = removing_finalizer(await client.get(PODS, A), OURS)
    assert patch is not None
    await client.patch(PODS, A, patch)
    assert (await client.get(PODS, A))["metadata"]["finalizers"] == [THEIRS]
