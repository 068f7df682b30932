"""The webhook of a manager on a laptop: refusals at apply, and nothing left behind."""

from __future__ import annotations

import pytest

from kaito.runtime import Invalid, Key, NotFound, Object
from kaito.runtime.authority import VALIDATING
from kaito.testing import eventually
from test.e2e.stage import MACHINES, PATIENCE, WORKSPACES, Stage
from test.e2e.test_bad_input import PRESET, workspace

CONFIGURATION = Key("", "validation.workspaces.kaito.sh")
WRONG: Object = workspace("wrong", "p3.2xlarge", inference={"preset": {"name": "phi-9"}})


async def test_all_that_is_wrong_is_refused_at_apply_and_nothing_is_left_behind(
    bare: Stage,
) -> None:
    manager = bare.laptop("manager", "--webhook-url", "https://127.0.0.1:0")
    await manager.start()

    async def trusted() -> bool:
        try:
            found = await bare.client.get(VALIDATING, CONFIGURATION)
        except NotFound:
            return False
        return all("caBundle" in webhook["clientConfig"] for webhook in found["webhooks"])

    await eventually(trusted, within=PATIENCE)
    with pytest.raises(Invalid) as refused:
        await bare.client.create(WORKSPACES, WRONG)
    assert {cause.field for cause in refused.value.causes} == {
        "inference.preset.name",
        "resource.instanceType",
    }
    await bare.client.create(WORKSPACES, workspace("right", inference=PRESET))
    await bare.until(lambda: bare.all(MACHINES), "a Machine")

    assert await manager.stop() == 0
    with pytest.raises(NotFound):
        await bare.client.get(VALIDATING, CONFIGURATION)
