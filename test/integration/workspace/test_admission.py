"""What the schema and its rules refuse when somebody applies it, in the words of the rule."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.controllers.workspace.kinds import (
    WORKSPACES,
)
from kaito.runtime import Invalid
from test.integration.workspace.stage import Stage, W

TUNING = {"preset": {"name": "phi-2"}, "input": {"image": "a"}, "output": {"image": "b"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": TUNING}, "inference and tuning are both set"),
        ({"inference": {}}, "inference has neither preset nor template"),
        ({"metadata": {"name": "9w", "namespace": "default"}}, "metadata.name must have at most"),
        ({"resource": {"labelSelector": {"matchLabels": {"a b": "c"}}}}, "no label key"),
        ({"resource": {}}, "resource.labelSelector"),
        ({"resource": {"labelSelector": {}, "count": "two"}}, "must be of type integer"),
        ({"inference": {"preset": {}}}, "inference.preset.name"),
    ],
)
async def test_what_the_schema_can_say_is_refused_at_apply(
    scene: Stage, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await scene.create(**changes)
    assert message in refused.value.status.message


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"resource": {"count": 2}}, "resource.count cannot be changed"),
        ({"resource": {"instanceType": "Standard_NC12s_v3"}}, "instanceType cannot be changed"),
        (
            {"resource": {"labelSelector": {"matchLabels": {"apps": "other"}}}},
            "resource.labelSelector cannot be changed",
        ),
        ({"inference": None, "tuning": TUNING}, "cannot change between inference and tuning"),
    ],
)
async def test_what_cannot_be_changed_is_refused_at_apply(
    scene: Stage, patch: dict[str, Any], message: str
) -> None:
    await scene.create()
    with pytest.raises(Invalid) as refused:
        await scene.client.patch(WORKSPACES, W, patch)
    assert message in refused.value.status.message
