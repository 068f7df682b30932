"""Lives of a scenario: undisturbed, to see what it comes to, and with daemons killed in the midst.

A daemon is killed when a change that it makes has taken effect and it has not heard so: the k-th
change in a scenario's rise or fall is a moment. A moment that a life does not reach, as it needs
fewer changes than the one before, is made up for at the end of the rise or fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from kaito.api import crds
from kaito.local.cluster import LocalCluster
from kaito.local.profile import Profile
from kaito.runtime import Client, Key, Object, Resource, from_kubeconfig, is_true
from kaito.testing import eventually
from test.accounts import grant
from test.e2e.end_state import difference, end_state, more
from test.e2e.mortal import AZURE, Mortal
from test.e2e.scenarios import Scenario
from test.e2e.stage import (
    MACHINES,
    NODECLAIMS,
    NODES,
    PATIENCE,
    PODS,
    PORTS,
    WORKSPACES,
    Stage,
    watched,
)

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
POLL = "0.05"  # seconds between two looks at Azure
LONG = 240.0  # seconds; dozens of processes start within one wait, however busy the machine is
Act: TypeAlias = Literal["rise", "fall"]
ACTS: tuple[Act, ...] = ("rise", "fall")


@dataclass(frozen=True, slots=True)
class Moment:
    """When one of the daemons has made so many changes in an act, and one more."""

    act: Act
    daemon: str
    changes: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What a life has come to."""

    served: Counter[str]
    """All that was there when it served."""
    ever: dict[str, int]
    """How many objects of each kind there have been."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed life."""

    ending: Ending
    moments: tuple[Moment, ...]
    """Every change that a daemon has made."""


class Life:
    """A cluster in this process, and both daemons as processes that it can kill."""

    def __init__(self, scenario: Scenario, stage: Stage, cluster: LocalCluster) -> None:
        self.scenario = scenario
        self.stage = stage
        self.cluster = cluster
        self.daemons = {
            name: Mortal(
                cluster.server,
                stage.process(name, "--no-leader-election", *flags, AZURE_POLL_SECONDS=POLL),
                stage.tokens[name],
                clouds=AZURE if name == "provisioner" else "",
            )
            for name, flags in {**dict.fromkeys(PORTS, ()), "manager": scenario.flags}.items()
        }

    async def rise(self) -> None:
        """Until it serves, from exactly the nodes that it takes."""
        await self.scenario.rise(self.stage, self.cluster)
        await self.stage.until(lambda: settled(self.stage), "everything ready")
        expected, stage = self.scenario.expected, self.stage
        assert len(stage.all(PODS)) == expected.pods
        assert len({each["spec"]["nodeName"] for each in stage.all(PODS)}) == expected.pods
        assert len(stage.all(MACHINES)) == expected.machines
        assert len(stage.all(NODECLAIMS)) == expected.nodeclaims
        pools = await stage.pools()
        assert tuple(p.vm_size for p in pools) == expected.sizes
        assert all(p.count == 1 for p in pools)

    async def fall(self) -> None:
        """Until nothing is left of it; nodes of one's own stay."""
        for each in self.stage.all(WORKSPACES):
            await self.stage.client.delete(WORKSPACES, Key.of(each))
        await self.stage.until(lambda: is_over(self.stage), "nothing left")
        assert await self.stage.pools() == []

    @property
    def kills(self) -> int:
        return sum(daemon.kills for daemon in self.daemons.values())

    async def act(self, act: Act) -> None:
        await (self.rise() if act == "rise" else self.fall())


def settled(stage: Stage) -> bool:
    """Whether everything says of itself that it is ready, and nobody has more to say."""
    claims = [*stage.all(MACHINES), *stage.all(NODECLAIMS)]
    return all(
        is_true(each.get("status", {}).get("conditions", []), "Ready")
        and "deletionTimestamp" not in each["metadata"]
        for each in [*claims, *stage.all(NODES), *stage.all(PODS)]
    )


def is_over(stage: Stage) -> bool:
    own = [each for each in stage.all(NODES) if each["metadata"]["name"] == "mine"]
    left = [*stage.all(WORKSPACES), *stage.all(MACHINES), *stage.all(NODECLAIMS)]
    return not left and not stage.all(PODS) and stage.all(NODES) == own


@asynccontextmanager
async def living(scratch: Path, scenario: Scenario) -> AsyncIterator[Life]:
    """A life that has not begun: both daemons run."""
    profile = Profile.instant()
    async with LocalCluster(profile=profile, state_dir=scratch / "cluster") as cluster:
        await define(cluster.client())
        kubeconfig = scratch / "kubeconfig"
        cluster.write_kubeconfig(kubeconfig)
        stage = Stage(kubeconfig, scratch, await from_kubeconfig(str(kubeconfig)))
        async with watched(stage):
            for name in scenario.grants:
                await grant(stage.client, name)
            life = Life(scenario, stage, cluster)
            for daemon in life.daemons.values():
                await daemon.start()
            try:
                yield life
            finally:
                for daemon in life.daemons.values():
                    await daemon.stop()


async def define(client: Client) -> None:
    """Install our kinds."""
    for definition in crds():
        await client.create(CRDS, definition)

    async def established() -> bool:
        found = (await client.list(CRDS)).items
        return all(is_true(each["status"]["conditions"], "Established") for each in found)

    await eventually(established, within=PATIENCE)


async def undisturbed(scratch: Path, scenario: Scenario) -> Reference:
    """Rise and fall, and every change of a daemon on the way."""
    moments: list[Moment] = []
    now: list[Act] = ["rise"]
    async with living(scratch, scenario) as life:
        for name, daemon in life.daemons.items():
            daemon.watch(noting(moments, now, name))
        await life.rise()
        served = await end_state(life.stage)
        now[:] = ["fall"]
        await life.fall()
        ending = Ending(served, more(life.stage))
    return Reference(ending, tuple(moments))


def noting(moments: list[Moment], now: Sequence[Act], daemon: str) -> Callable[[], None]:
    def note() -> None:
        before = sum(1 for m in moments if (m.act, m.daemon) == (now[0], daemon))
        moments.append(Moment(now[0], daemon, before))

    return note


async def killed(
    scratch: Path, scenario: Scenario, moments: Sequence[Moment], reference: Reference
) -> None:
    """Live with daemons killed at these moments. AssertionError unless the end is the same."""
    async with living(scratch, scenario) as life:
        for act in ACTS:
            before = life.kills
            for moment in (due := [each for each in moments if each.act == act]):
                daemon = life.daemons[moment.daemon]
                daemon.doom(moment.changes, daemon.changes, lambda: None)
            await life.act(act)
            if life.kills - before < len(due):
                for moment in due:
                    await life.daemons[moment.daemon].kill_and_start()
            await same_in_the_end(life, act, reference)


async def killed_after_every_change(scratch: Path, scenario: Scenario, reference: Reference) -> int:
    """Live with both daemons killed after each single change that they make, and say how often
    that was. AssertionError unless the end is the same."""

    def doom(daemon: Mortal) -> None:
        # Nothing has changed by what is refused, and who never hears so asks for ever.
        daemon.doom(0, daemon.changes, lambda: doom(daemon), hears_refusals=True)

    async with living(scratch, scenario) as life:
        life.stage.patience = LONG
        for daemon in life.daemons.values():
            doom(daemon)
        for act in ACTS:
            await life.act(act)
            await same_in_the_end(life, act, reference)
        return life.kills


async def same_in_the_end(life: Life, act: Act, reference: Reference) -> None:
    """Return when there is what there was without kills, and see that there never was more."""
    stage, ending = life.stage, reference.ending
    if act == "fall":
        assert more(stage) == ending.ever
        return

    async def same() -> bool:
        found = difference(await end_state(stage), ending.served)
        assert not found, found
        return True

    await eventually(same, within=PATIENCE)
