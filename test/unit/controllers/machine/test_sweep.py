"""The sweep finds what nobody asks about any more, and touches only what is proven to be ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.controllers.machine.sweep import GRACE, Sweep, judge
from kaito.provisioner import CloudError, Pool, PoolState, node_request
from test.unit.controllers.machine.world import BUSY, POLL, Clock, Cloud, Effects
from test.unit.provisioner.machines import A100, machine, nodeclaim

HERE = "4f1c"
OURS = Pool(
    name="ws1",
    state=PoolState.READY,
    said="Succeeded",
    instance_type=A100,
    labels=node_request(machine("ws1"), HERE).labels,
)
UNPROVEN = replace(OURS, name="ws2", labels={"kaito.sh/workspace": "phi"})
FOREIGN = replace(OURS, name="system", labels={"team": "blue"})
GOING = replace(OURS, name="ws3", state=PoolState.DELETING)


def nobody(name: str) -> bool:
    return False


def test_a_pool_without_a_machine_is_leaked_after_the_grace_period() -> None:
    first = judge([OURS], nobody, {}, 1000.0, 300.0, HERE)
    assert first.leaked == ()
    assert judge([OURS], nobody, first.waiting, 1299.0, 300.0, HERE).leaked == ()
    assert judge([OURS], nobody, first.waiting, 1300.0, 300.0, HERE).leaked == (OURS,)


def test_a_pool_with_a_machine_never_is() -> None:
    found = judge([OURS], lambda name: name == "ws1", {"ws1": 0.0}, 1e9, 300.0, HERE)
    assert (found.leaked, found.doubtful, found.waiting) == ((), (), {})


def test_the_wait_begins_anew_when_a_machine_came_and_went() -> None:
    waiting = judge([OURS], nobody, {}, 0.0, 300.0, HERE).waiting
    waiting = judge([OURS], lambda name: True, waiting, 200.0, 300.0, HERE).waiting
    waiting = judge([OURS], nobody, waiting, 400.0, 300.0, HERE).waiting
    assert judge([OURS], nobody, waiting, 600.0, 300.0, HERE).leaked == ()


def test_what_is_not_proven_is_shown_and_not_touched() -> None:
    found = judge([UNPROVEN, FOREIGN, GOING], nobody, {"ws2": 0.0}, 1e9, 300.0, HERE)
    assert (found.leaked, found.doubtful) == ((), (UNPROVEN,))


def test_a_pool_of_a_nodeclaim_without_kaito_labels_is_found_by_its_class() -> None:
    labels = node_request(nodeclaim("ws1", metadata={"labels": {}}), HERE).labels
    pool = replace(OURS, labels=labels)
    assert judge([pool], nobody, {"ws1": 0.0}, 1e9, 300.0, HERE).leaked == (pool,)


def test_a_pool_of_another_cluster_is_never_touched() -> None:
    waiting = {"ws1": 0.0}
    found = judge([OURS], nobody, waiting, 1e9, 300.0, "another cluster")
    assert (found.leaked, found.doubtful) == ((), (OURS,))


class Sweeping:
    """A sweep over a cloud, with API objects that may be known to the server only."""

    def __init__(self, *pools: Pool, live: frozenset[str] = frozenset()) -> None:
        self.clock = Clock()
        self.cloud = Cloud(self.clock, Effects())
        self.cloud.there = {pool.name: pool for pool in pools}

        async def claimed_live(name: str) -> bool:
            return name in live

        self.sweep = Sweep(
            self.cloud,
            claimed=nobody,
            claimed_live=claimed_live,
            clock=self.clock,
            poll_seconds=POLL,
            cluster=HERE,
        )

    async def twice(self) -> None:
        await self.sweep.once()
        self.clock.at += GRACE * POLL
        await self.sweep.once()

    @property
    def deleted(self) -> list[str]:
        pools = self.cloud.there.values()
        return [pool.name for pool in pools if pool.state is PoolState.DELETING]


async def test_a_leaked_pool_is_deleted_and_no_other() -> None:
    sweeping = Sweeping(OURS, UNPROVEN, FOREIGN)
    await sweeping.twice()
    assert sweeping.deleted == ["ws1"]


async def test_the_first_sweep_after_a_start_deletes_nothing() -> None:
    sweeping = Sweeping(OURS)
    await sweeping.sweep.once()
    assert sweeping.deleted == []


async def test_the_api_server_has_the_last_word() -> None:
    sweeping = Sweeping(OURS, live=frozenset({"ws1"}))
    await sweeping.twice()
    assert sweeping.deleted == []


async def test_a_cloud_that_does_not_answer_deletes_nothing() -> None:
    sweeping = Sweeping(OURS)
    sweeping.cloud.blind = BUSY
    with pytest.raises(CloudError):
        await sweeping.sweep.once()
    assert sweeping.deleted == []


async def test_a_pool_that_cannot_be_deleted_does_not_save_the_others() -> None:
    stuck = replace(OURS, name="ws0", state=PoolState.CREATING, said="Creating")
    sweeping = Sweeping(stuck, OURS)
    sweeping.cloud.busy = True
    await sweeping.twice()
    assert sweeping.deleted == ["ws1"]
