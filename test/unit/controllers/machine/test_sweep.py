"""The sweep tells first and deletes later, and only on the word of caches that are alive."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from kaito.controllers.kinds import Node
from kaito.controllers.machine.broom import Done
from kaito.controllers.machine.findings import Finding, Inventory
from kaito.controllers.machine.sweep import DELAY, Sweep
from kaito.controllers.machine.tallies import SweepTallies
from kaito.provisioner import CloudError, Pool, PoolState
from kaito.provisioner.claim import Claim
from kaito.runtime import ConnectionFailed
from test.unit.controllers.machine.test_findings import (
    FOREIGN,
    HERE,
    KINDS,
    MADE_HERE,
    OURS,
    UNPROVEN,
    launched,
    node,
)
from test.unit.controllers.machine.world import BUSY, POLL, Clock, Cloud, Effects
from test.unit.provisioner.machines import machine


class Sweeping:
    """A sweep over a cloud, whose caches know of `claims`, whose API server refuses to have
    `kept` deleted and does not answer about those `away`."""

    def __init__(self, *pools: Pool) -> None:
        self.clock = Clock()
        self.cloud = Cloud(self.clock, Effects())
        self.cloud.there = {pool.name: pool for pool in pools}
        self.claims: list[Claim] = []
        self.nodes: list[Node] = []
        self.kept: set[str] = set()
        self.why = ""
        self.away: set[str] = set()
        self.told: list[tuple[str, str]] = []
        self.leaked_: set[str] = set()
        self.registry = CollectorRegistry()
        self.start()

    def start(self) -> None:
        """A process that remembers nothing."""
        self.registry = CollectorRegistry()
        self.sweep = Sweep(
            self.cloud,
            cached=lambda pools: Inventory(
                pools=pools, claims=self.claims, nodes=self.nodes, kinds=KINDS
            ),
            stale=lambda: self.why,
            remover=self,
            tell=lambda _, reason, message: self.told.append((reason, message)),
            journal=self,
            tallies=SweepTallies(self.registry),
            clock=self.clock,
            poll_seconds=POLL,
            cluster=HERE,
        )

    async def remove(self, finding: Finding) -> Done:
        if finding.name in self.away:
            raise ConnectionFailed("nobody there")
        if finding.name in self.kept:
            return Done(False, "it has a claim")
        if finding.pool is None:
            self.claims = [each for each in self.claims if each.metadata.name != finding.name]
        else:
            await self.cloud.delete(finding.pool)
        return Done(True, "is being deleted")

    def leaked(self, pool: Pool, now: float) -> None:
        self.leaked_.add(pool.name)

    def claimed(self, name: str, now: float) -> None:
        self.leaked_.discard(name)

    def swept(self, pool: Pool, now: float) -> None:
        self.leaked_.discard(pool.name)

    async def twice(self) -> None:
        await self.sweep.once()
        self.clock.at += DELAY * POLL
        await self.sweep.once()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kaito_provisioner_sweep_{name}", labels)

    @property
    def deleted(self) -> list[str]:
        pools = self.cloud.there.values()
        return [pool.name for pool in pools if pool.state is PoolState.DELETING]


def pools(count: int) -> list[Pool]:
    return [replace(OURS, name=f"ws{number}") for number in range(count)]


async def test_a_leaked_pool_is_deleted_and_no_other() -> None:
    sweeping = Sweeping(OURS, UNPROVEN, FOREIGN)
    await sweeping.twice()
    assert sweeping.deleted == ["ws1"]
    assert sweeping.metric("deleted_total", kind="pool") == 1


async def test_it_is_told_before_it_is_deleted_and_told_once() -> None:
    sweeping = Sweeping(OURS, UNPROVEN)
    await sweeping.sweep.once()
    assert [reason for reason, _ in sweeping.told] == ["LeftOver", "LeftOver"]
    assert "deleted in 300 s" in sweeping.told[0][1]
    assert "do not prove" in sweeping.told[1][1]
    assert sweeping.deleted == []
    assert sweeping.metric("findings", kind="pool", proven="yes") == 1
    assert sweeping.metric("findings", kind="pool", proven="no") == 1
    assert sweeping.leaked_ == {"ws1"}
    await sweeping.sweep.once()
    assert len(sweeping.told) == 2


async def test_a_claim_without_its_pool_goes_once_the_cloud_has_shown_pools_of_this_cluster() -> (
    None
):
    sweeping = Sweeping(MADE_HERE)
    sweeping.claims = [launched("ws1"), launched("ws9")]
    sweeping.nodes = [node(labels=MADE_HERE.labels)]
    await sweeping.sweep.once()
    sweeping.cloud.there, sweeping.nodes = {}, []
    sweeping.claims = [launched("ws9")]
    await sweeping.twice()
    assert sweeping.claims == []


async def test_a_claim_without_its_pool_stays_while_the_cloud_may_be_another_clusters() -> None:
    sweeping = Sweeping(FOREIGN)
    sweeping.claims = [launched("ws9")]
    await sweeping.twice()
    await sweeping.twice()
    assert len(sweeping.claims) == 1
    assert [reason for reason, _ in sweeping.told] == ["LeftOver"]


async def test_a_restart_begins_the_delay_anew() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.clock.at += DELAY * POLL
    sweeping.start()
    await sweeping.sweep.once()
    assert sweeping.deleted == []


async def test_a_wall_clock_that_jumps_hastens_nothing() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.clock.skew = 1e6
    await sweeping.sweep.once()
    assert sweeping.deleted == []
    sweeping.clock.skew = -1e6
    sweeping.clock.at += DELAY * POLL
    await sweeping.sweep.once()
    assert sweeping.deleted == ["ws1"]


async def test_the_api_server_has_the_last_word() -> None:
    sweeping = Sweeping(OURS)
    sweeping.kept = {"ws1"}
    await sweeping.twice()
    assert sweeping.deleted == []


async def test_an_api_server_that_does_not_answer_about_one_does_not_save_the_others() -> None:
    kept = [replace(each, name=f"k{each.name}") for each in pools(8)]
    sweeping = Sweeping(replace(OURS, name="ws0"), OURS, *kept)
    sweeping.claims = [machine(each.name) for each in kept]
    sweeping.away = {"ws0"}
    await sweeping.twice()
    assert sweeping.deleted == ["ws1"]


async def test_stale_caches_have_nothing_judged_and_the_delay_begin_anew() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.why = "nothing heard"
    sweeping.clock.at += 600.0
    await sweeping.sweep.once()
    assert sweeping.metric("stale") == 1
    sweeping.why = ""
    await sweeping.sweep.once()
    assert sweeping.deleted == []
    assert sweeping.metric("stale") == 0
    sweeping.clock.at += DELAY * POLL
    await sweeping.sweep.once()
    assert sweeping.deleted == ["ws1"]


async def test_caches_that_go_stale_while_the_cloud_answers_are_not_believed() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.clock.at += DELAY * POLL
    answers = iter(["", "nothing heard"])
    sweeping.sweep = Sweep(
        sweeping.cloud,
        cached=lambda _: pytest.fail("judged"),
        stale=lambda: next(answers),
        remover=sweeping,
        tell=lambda *_: None,
        journal=sweeping,
        tallies=SweepTallies(CollectorRegistry()),
        clock=sweeping.clock,
        poll_seconds=POLL,
        cluster=HERE,
    )
    await sweeping.sweep.once()
    assert sweeping.deleted == []


async def test_a_cloud_that_does_not_answer_has_nothing_deleted() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.clock.at += DELAY * POLL
    sweeping.cloud.blind = BUSY
    with pytest.raises(CloudError):
        await sweeping.sweep.once()
    assert sweeping.deleted == []


async def test_a_pool_that_cannot_be_deleted_does_not_save_the_others() -> None:
    stuck = replace(OURS, name="ws0", state=PoolState.CREATING, said="Creating")
    kept = [replace(each, name=f"k{each.name}") for each in pools(8)]
    sweeping = Sweeping(stuck, OURS, *kept)
    sweeping.claims = [machine(each.name) for each in kept]
    sweeping.cloud.busy = True
    await sweeping.twice()
    assert sweeping.deleted == ["ws1"]


async def test_when_too_much_is_left_over_it_is_told_and_left_alone() -> None:
    sweeping = Sweeping(*pools(3))
    await sweeping.twice()
    assert sweeping.deleted == []
    assert sweeping.metric("blocked") == 1
    [said] = [message for reason, message in sweeping.told if reason == "SweepBlocked"]
    assert "--delete NAME" in said
    sweeping.claims = [machine(f"ws{number}") for number in range(2)]
    await sweeping.twice()
    assert sweeping.deleted == ["ws2"]
    assert sweeping.metric("blocked") == 0


async def test_claims_that_all_vanish_at_once_cost_nobody_a_pool() -> None:
    """As after a restore of an old backup, or when somebody deletes the definition."""
    sweeping = Sweeping(*pools(20))
    sweeping.claims = [machine(f"ws{number}") for number in range(20)]
    await sweeping.sweep.once()
    sweeping.claims = []
    await sweeping.twice()
    await sweeping.twice()
    assert sweeping.deleted == []


async def test_a_pool_that_is_claimed_after_all_is_forgotten() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    sweeping.claims = [machine("ws1")]
    await sweeping.twice()
    assert sweeping.deleted == []
    assert sweeping.leaked_ == set()
