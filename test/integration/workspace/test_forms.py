"""The objects of a preset as an API server keeps them: found again as they were, and let in where
Pods may do little."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.controllers.workspace.kinds import CHILDREN
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Forbidden, Key, Object, Resource, would_change
from kaito.testing import Cluster
from test.unit.controllers.workspace.scene import CATALOG, held, seen

NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
MANAGER = "kaito-workspace"
FAST = "Standard_NC24ads_A100_v4"
PRIVATE = {
    "preset": {
        "name": "phi-4",
        "accessMode": "private",
        "presetOptions": {"image": "r.io/m:1", "imagePullSecrets": ["a", "b"]},
    }
}
ADAPTERS = [
    {"source": {"name": "a.b", "image": "r.io/a:1", "imagePullSecrets": ["s"]}, "strength": "0.5"},
    {"source": {"name": "c", "volumeSource": {"emptyDir": {"sizeLimit": "2048Mi"}}}},
    {
        "source": {
            "name": "d",
            "volumeSource": {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1024Mi"}},
                        }
                    }
                }
            },
        }
    },
]


def annotated(**values: str) -> Object:
    return {"annotations": {f"kaito.sh/{k.replace('_', '-')}": v for k, v in values.items()}}


FORMS: dict[str, dict[str, Any]] = {
    "one node": {},
    "several nodes": {"inference": {"preset": {"name": "qwen2.5-coder-32b-instruct"}}},
    "transformers": {"metadata": annotated(runtime="transformers", api_key_secret="key")},
    "artifact": {"inference": PRIVATE},
    "adapters": {"inference": {"adapters": ADAPTERS}},
    "fenced": {"metadata": annotated(network_policy="namespace", enablelb="true")},
    "host": {"metadata": annotated(use_local_weights="true")},
}


def becomes(settings: Settings, changes: dict[str, Any]) -> list[Object]:
    found = held(resource={"instanceType": FAST}, **changes)
    rehearsal = rehearse(seen(found), CATALOG, settings)
    assert rehearsal.settled
    return [each for each in rehearsal.objects if each["kind"] in CHILDREN]


@pytest.mark.parametrize("settings", [Settings(), Settings(engine_user=1, nvme_class="fast")])
async def test_what_is_written_is_found_again_as_it_was(settings: Settings) -> None:
    async with Cluster() as cluster:
        client = cluster.client(field_manager=MANAGER)
        for form, changes in FORMS.items():
            for desired in becomes(settings, changes):
                resource = CHILDREN[desired["kind"]]
                live = await client.apply(resource, desired)
                assert not would_change(live, desired, manager=MANAGER), (form, desired["kind"])
                await client.delete(resource, Key.of(desired))


@pytest.mark.parametrize(
    ("level", "settings", "refused"),
    [
        ("baseline", Settings(), {"host"}),
        ("restricted", Settings(engine_user=1000), {"host"}),
        ("restricted", Settings(), set(FORMS)),
    ],
)
async def test_pods_are_let_in_where_little_is_allowed(
    level: str, settings: Settings, refused: set[str]
) -> None:
    async with Cluster() as cluster:
        client = cluster.client(field_manager=MANAGER)
        enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}
        await client.patch(NAMESPACES, Key("", "default"), enforced)
        found = set()
        for form, changes in FORMS.items():
            template = becomes(settings, changes)[-1]["spec"]["template"]
            metadata = {**template["metadata"], "generateName": "w-", "namespace": "default"}
            try:
                await client.create(PODS, {**template, "metadata": metadata})
            except Forbidden:
                found.add(form)
        assert found == refused
