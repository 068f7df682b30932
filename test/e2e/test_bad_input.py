"""What no schema can refuse ends at once in one sentence, and costs nothing."""

from __future__ import annotations

from typing import Any

from kaito.runtime import Key, Object
from test.e2e.stage import MACHINES, WORKSPACES, Stage

SELECTOR = {"matchLabels": {"apps": "phi-3"}}
PRESET = {"preset": {"name": "phi-3-mini-4k-instruct"}}


def workspace(name: str, instance: str = "Standard_NC6s_v3", **parts: Any) -> Object:
    return {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {"name": name, "namespace": "default"},
        "resource": {"instanceType": instance, "labelSelector": SELECTOR},
        **parts,
    }


ENDED = {
    "an unknown preset": (
        workspace("a", inference={"preset": {"name": "phi-3-mini-4k-instrukt"}}),
        "inference.preset.name",
        "phi-3-mini-4k-instruct",
    ),
    "an instance type that cannot be": (
        workspace("a", "Standrad_NC6s_v3", inference=PRESET),
        "resource.instanceType",
        "Standard_NC6s_v3",
    ),
    "a model that does not fit": (
        workspace("a", inference={"preset": {"name": "deepseek-r1-0528"}}),
        "does not fit",
        "Standard_",
    ),
}


async def test_a_size_that_the_cloud_does_not_have_is_told_in_its_words(running: Stage) -> None:
    """It looks like one of Azure's, so Azure is asked."""
    manifest = workspace("no-such-size", "Standard_NC6s_v33", inference=PRESET)
    await running.client.create(WORKSPACES, manifest)
    key = Key("default", "no-such-size")

    def told() -> bool:
        found = running.condition("ResourceReady", key)
        return (
            bool(found)
            and "Standard_NC6s_v33" in found["message"]
            and "on its way" not in (found["message"])
        )

    await running.until(told, "the cloud's answer")
    assert await running.pools() == []


async def test_ends_at_once_in_one_sentence_and_nothing_is_provisioned(running: Stage) -> None:
    for number, (manifest, *_) in enumerate(ENDED.values()):
        manifest["metadata"]["name"] = f"bad-{number}"
        await running.client.create(WORKSPACES, manifest)
    for number, (case, (_, field, way_out)) in enumerate(ENDED.items()):
        key = Key("default", f"bad-{number}")
        await running.until(lambda key=key: running.condition("ResourceReady", key), case)
        found = running.condition("ResourceReady", key)
        assert found["status"] == "False", case
        assert field in found["message"], case
        assert way_out in found["message"], case
    assert running.all(MACHINES) == []
    assert await running.pools() == []
