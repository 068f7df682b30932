"""The daemon's process is killed (SIGKILL) after its calls, and starts again knowing nothing.

Every change that it makes to the API server or to Azure is a moment: it has taken effect, and the
process dies before it hears so. One Node per claim in the end, none besides for a moment, nothing
left after the claims.
"""

from __future__ import annotations

import random
from pathlib import Path

from kaito.local.apiserver.http import Request
from kaito.runtime import Key
from test.integration.provisioner.cluster import (
    MACHINES,
    NODECLAIMS,
    Stage,
    nothing_is_left,
    staged,
)
from test.integration.provisioner.daemon import running

CLAIMS = {"wsmachine": MACHINES, "wsclaim": NODECLAIMS}


async def live(stage: Stage) -> None:
    """Two claims, from their creation to their end."""
    for name, kind in CLAIMS.items():
        await stage.create(name, kind=kind)
    await stage.until(
        lambda: all(stage.condition("Ready", name).get("status") == "True" for name in CLAIMS),
        "both Ready",
    )
    assert sorted(stage.pools()) == sorted(CLAIMS)
    for name, kind in CLAIMS.items():
        await stage.client.delete(kind, Key("", name))
    await stage.until(
        lambda: nothing_is_left(stage) and not any(map(stage.claim, CLAIMS)), "nothing left"
    )
    assert len(stage.nodes_ever) == len(CLAIMS)


async def test_killed_after_every_single_change(tmp_path: Path) -> None:
    async with staged(*CLAIMS.values()) as stage, running(stage, tmp_path) as daemon:

        def again() -> None:
            daemon.doom(0, daemon.changes, again)

        again()
        await live(stage)
        # Taken on, asked for, registered, told of; dismantled and let go: for each of the two.
        assert daemon.kills >= 10


async def test_killed_after_any_calls_even_those_that_only_ask(tmp_path: Path) -> None:
    dice = random.Random(1)
    async with staged(*CLAIMS.values()) as stage, running(stage, tmp_path) as daemon:

        def of_note(request: Request) -> bool:
            return daemon.asks(request) and "watch=" not in request.query

        def again() -> None:
            if daemon.kills < 12:
                daemon.doom(dice.randrange(4, 24), of_note, again)

        again()
        await live(stage)
        assert daemon.kills >= 3
