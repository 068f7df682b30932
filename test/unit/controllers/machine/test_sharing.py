"""Near the limit of pools claims of one workspace share them, and none loses its Node by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.provisioner import Absent, Pool, PoolState
from kaito.provisioner.claim import MACHINE, NODECLAIM, Dialect
from kaito.provisioner.ownership import SHAPE, SHARED
from kaito.provisioner.sharing import POOL
from kaito.provisioner.unshared import Unshared
from test.unit.controllers.machine.town import SHARING, Town
from test.unit.controllers.machine.world import BUSY, LOST, NO_ROOM, POLL, pod_object
from test.unit.provisioner.machines import A10

KINDS = pytest.mark.parametrize("dialect", [MACHINE, NODECLAIM], ids=lambda each: each.kind)


async def town_of(*names: str, dialect: Dialect = MACHINE) -> Town:
    """A town whose claims have come one after another, and are ready."""
    town = Town(dialect)
    for name in names:
        town.ask(name)
        await town.turns(10)
    assert town.ready() == list(names)
    return town


@KINDS
async def test_claims_that_are_alike_share_one_pool(dialect: Dialect) -> None:
    town = await town_of("wsa", "wsb", "wsc", dialect=dialect)
    assert set(town.cloud.there) == {"system", "wsa"}
    assert town.cloud.there["wsa"].count == 3
    assert town.machines() == 3
    assert len({town.node_of(name) for name in town.names}) == 3


async def test_below_the_limit_everybody_has_a_pool_of_its_own() -> None:
    town = Town()
    town.policy = replace(SHARING, share_from=9)
    town.cloud.most_pools = 9
    town.start()
    town.ask("wsa")
    town.ask("wsb")
    await town.turns(10)
    assert {"wsa", "wsb"} < set(town.cloud.there)
    assert all(SHARED not in pool.labels for pool in town.cloud.there.values())


async def test_claims_that_come_at_once_wait_for_the_pool_and_grow_it_in_one_step() -> None:
    town = Town()
    for name in ("wsa", "wsb", "wsc", "wsd"):
        town.ask(name)
    await town.turns(30)
    assert len(town.ready()) == 4
    assert town.cloud.resizes == [4]
    assert town.machines() == 4


async def test_a_limit_that_the_list_did_not_show_makes_claims_share_too() -> None:
    town = Town()
    town.policy = replace(SHARING, share_from=100)
    town.start()
    town.ask("wsa")
    await town.turns(10)
    town.ask("wsb")
    await town.turns(10)
    assert town.ready() == ["wsa", "wsb"]
    assert town.cloud.there["wsa"].count == 2


async def test_a_claim_of_another_workspace_does_not_share_and_is_told_why() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    town.objects.claims["wsb"]["metadata"]["labels"]["kaito.sh/workspace"] = "other"
    await town.turns(10)
    assert town.ready() == ["wsa"]
    status, reason, message = town.condition("MachineLaunched", "wsb")
    assert (status, reason) == ("False", "PoolLimitReached")
    assert "KAITO tries again" in message
    town.drop("wsa")
    await town.turns(200)
    assert town.ready() == ["wsb"]


async def test_a_claim_for_another_disk_does_not_share() -> None:
    town = await town_of("wsa")
    town.ask("wsb", resources={"requests": {"storage": "500Gi"}})
    await town.turns(10)
    assert town.ready() == ["wsa"]
    assert POOL not in town.objects.claims["wsb"]["metadata"].get("annotations", {})


@KINDS
@pytest.mark.parametrize("gone", ["wsa", "wsb", "wsc"])
async def test_one_claim_goes_with_its_own_machine_and_no_other(
    gone: str, dialect: Dialect
) -> None:
    town = await town_of("wsa", "wsb", "wsc", dialect=dialect)
    left = {name: town.node_of(name) for name in town.names if name != gone}
    for name, node in left.items():
        town.objects.pods[name] = pod_object(name, node)
    lost = town.node_of(gone)
    town.drop(gone)
    await town.turns(30)
    assert town.objects.evicted == []
    assert sorted(town.ready()) == sorted(left)
    assert {name: town.node_of(name) for name in left} == left
    assert lost not in town.objects.nodes
    assert town.machines() == 2


async def test_the_pool_goes_with_its_last_claim() -> None:
    town = await town_of("wsa", "wsb")
    town.drop("wsa")
    await town.turns(20)
    assert "wsa" in town.cloud.there
    town.drop("wsb")
    await town.turns(20)
    assert town.left() == ["system"]


async def test_claims_that_go_together_take_the_pool_with_them() -> None:
    town = await town_of("wsa", "wsb", "wsc")
    for name in town.names:
        town.drop(name)
    await town.turns(60)
    assert town.left() == ["system"]


async def test_a_pod_on_the_node_of_a_claim_that_goes_is_asked_to_leave_first() -> None:
    town = await town_of("wsa", "wsb")
    town.objects.budget = "a budget"
    town.objects.pods["a"] = pod_object("a", town.node_of("wsb"))
    town.drop("wsb")
    await town.turns(10)
    assert town.machines() == 2
    town.objects.budget = ""
    await town.turns(20)
    assert town.objects.evicted == ["a"]
    assert town.machines() == 1


async def test_a_claim_that_goes_before_its_node_came_leaves_no_machine() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    while town.cloud.there["wsa"].state is not PoolState.UPDATING:
        await town.turns(1)
    town.drop("wsb")
    await town.turns(40)
    assert list(town.objects.claims) == ["wsa"]
    assert town.ready() == ["wsa"]
    assert town.machines() == 1
    assert town.cloud.there["wsa"].count == 1


async def test_a_claim_removed_by_force_has_its_machine_taken_away() -> None:
    town = await town_of("wsa", "wsb")
    lost = town.node_of("wsb")
    del town.objects.claims["wsb"]
    await town.turns(40, ["wsa"])
    assert town.ready() == ["wsa"]
    assert town.machines() == 1
    assert lost not in town.objects.nodes


async def test_a_pool_that_cannot_grow_says_so_and_costs_nobody_a_node() -> None:
    town = await town_of("wsa")
    node = town.node_of("wsa")
    town.ask("wsb")
    town.cloud.fail = [NO_ROOM]
    while town.condition_of("wsb") != NO_ROOM.cause:
        await town.turns(1)
    assert town.condition("Ready", "wsa")[0] == "True"
    assert town.node_of("wsa") == node
    await town.turns(80)
    assert sorted(town.ready()) == ["wsa", "wsb"]
    assert town.node_of("wsa") == node


async def test_a_growth_that_was_refused_or_whose_answer_was_lost_happens_once() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    town.cloud.refuse = [BUSY]
    town.cloud.lose_answers = 1
    await town.turns(30)
    assert sorted(town.ready()) == ["wsa", "wsb"]
    assert town.cloud.born == {"wsa": 2}


async def test_a_first_machine_that_fails_is_given_up_for_all_who_wait() -> None:
    town = Town()
    town.cloud.fail = [LOST]
    town.ask("wsa")
    town.ask("wsb")
    await town.turns(60)
    assert sorted(town.ready()) == ["wsa", "wsb"]
    assert town.machines() == 2


async def test_a_machine_that_never_joins_is_given_up_alone() -> None:
    town = await town_of("wsa")
    node = town.node_of("wsa")
    town.joins = False
    town.ask("wsb")
    while town.condition_of("wsb") != "LaunchStopped":
        await town.turns(1)
    assert town.cloud.born == {"wsa": 4}
    assert town.machines() == 1
    assert town.node_of("wsa") == node
    assert town.ready() == ["wsa"]


async def test_a_machine_deleted_behind_us_takes_its_claim_with_it_and_no_other() -> None:
    town = await town_of("wsa", "wsb")
    lost = town.node_of("wsb")
    [number] = [n for n in town.cloud.numbers["wsa"] if lost.endswith(f"{n:06}")]
    town.cloud.numbers["wsa"].remove(number)
    town.cloud.there["wsa"] = replace(town.cloud.there["wsa"], count=1)
    del town.objects.nodes[lost]
    await town.turns(30)
    assert list(town.objects.claims) == ["wsa"]
    assert town.machines() == 1


async def test_a_claim_goes_with_the_machine_that_it_has_since_an_upgrade() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    town.joins = False
    await town.turns(12)
    town.joins = True
    await town.turns(6)
    town.upgrade("wsa")
    await town.turns(6)
    stays = town.node_of("wsa")
    town.drop("wsb")
    await town.turns(30)
    assert town.machines() == 1
    assert town.ready() == ["wsa"]
    assert town.node_of("wsa") == stays


async def test_a_host_that_comes_back_under_its_name_shares_the_pool_that_others_kept() -> None:
    town = await town_of("wsa", "wsb")
    kept = town.node_of("wsb")
    town.drop("wsa")
    await town.turns(20)
    town.ask("wsa")
    await town.turns(20)
    assert sorted(town.ready()) == ["wsa", "wsb"]
    assert town.node_of("wsb") == kept
    assert town.machines() == 2


async def test_a_host_that_comes_back_as_another_takes_nobodys_node() -> None:
    town = await town_of("wsa", "wsb")
    kept = town.node_of("wsb")
    town.drop("wsa")
    await town.turns(20)
    town.ask("wsa", resources={"requests": {"storage": "500Gi"}})
    await town.turns(20)
    assert town.condition("MachineLaunched", "wsa")[1] == "PoolNameTaken"
    assert town.ready() == ["wsb"]
    assert town.node_of("wsb") == kept
    assert town.cloud.there["wsa"].instance_type != A10


async def test_a_pool_that_vanishes_before_the_guest_came_is_not_waited_for() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    await town.turns(2, ["wsb"])
    assert town.objects.claims["wsb"]["metadata"]["annotations"][POOL] == "wsa"
    del town.cloud.there["wsa"]
    town.cloud.numbers.pop("wsa")
    town.settle()
    await town.turns(60)
    assert town.ready() == ["wsb"]
    assert set(town.cloud.there) == {"system", "wsb"}


async def test_a_claim_finds_room_in_a_pool_that_once_failed_to_grow() -> None:
    town = await town_of("wsa")
    town.ask("wsb")
    town.cloud.fail = [NO_ROOM]
    while town.cloud.there["wsa"].state is not PoolState.FAILED:
        await town.turns(1)
    town.drop("wsb")
    await town.turns(10)
    town.ask("wsc")
    await town.turns(20)
    assert sorted(town.ready()) == ["wsa", "wsc"]


async def test_a_machine_that_the_count_promises_and_that_is_not_there_is_asked_for_again() -> None:
    town = await town_of("wsa")
    town.cloud.there["wsa"] = replace(town.cloud.there["wsa"], count=2)
    town.ask("wsb")
    await town.turns(40)
    assert sorted(town.ready()) == ["wsa", "wsb"]
    assert town.machines() == 2


async def test_a_cache_that_lags_costs_nobody_a_node() -> None:
    town = await town_of("wsa", "wsb")
    of_b = town.node_of("wsb")
    town.mates.hidden = {"wsb"}
    town.ask("wsc")
    await town.turns(10, ["wsa", "wsc"])
    town.drop("wsa")
    await town.turns(20, ["wsa", "wsc"])
    town.mates.hidden = set()
    await town.turns(20)
    assert sorted(town.ready()) == ["wsb", "wsc"]
    assert town.node_of("wsb") == of_b
    assert town.machines() == 2


async def test_a_pool_of_the_same_shape_is_still_not_another_customers() -> None:
    town = await town_of("wsa")
    pool = town.cloud.there["wsa"]
    labels = {**pool.labels, "kaito.sh/workspace": "other"}
    town.cloud.there["wsa"] = replace(pool, labels=labels)
    town.ask("wsb")
    await town.turns(5)
    assert POOL not in town.objects.claims["wsb"]["metadata"].get("annotations", {})


async def test_claims_that_go_before_there_was_a_machine_call_its_making_off() -> None:
    town = Town()
    town.cloud.seconds = 3600.0
    town.ask("wsa")
    town.ask("wsb")
    while town.objects.claims["wsb"]["metadata"].get("annotations", {}).get(POOL) != "wsa":
        await town.turns(1)
    town.drop("wsa")
    town.drop("wsb")
    while town.cloud.there["wsa"].state is PoolState.CREATING:
        await town.turns(1)
    assert town.cloud.there["wsa"].state is PoolState.DELETING
    await town.turns(80)
    assert town.left() == ["system"]


@pytest.mark.parametrize("pool", ["system", "wsa", "nosuchpool", "../wsa"])
async def test_a_pool_written_into_a_claim_by_hand_is_left_when_it_is_not_for_it(pool: str) -> None:
    town = await town_of("wsa")
    town.policy = replace(SHARING, share_from=9)
    town.cloud.most_pools = 9
    town.start()
    town.ask("wsx")
    metadata = town.objects.claims["wsx"]["metadata"]
    metadata["labels"] |= {"kaito.sh/workspace": "other"}
    metadata["annotations"] = {POOL: pool}
    await town.turns(20)
    assert town.ready() == ["wsa", "wsx"]
    assert set(town.cloud.there) == {"system", "wsa", "wsx"}
    assert town.cloud.resizes == []


async def test_a_claim_of_another_customer_has_no_say_in_a_pool_that_it_names() -> None:
    town = Town()
    town.joins = False
    town.ask("wsa")
    await town.turns(3)
    made = town.cloud.there["wsa"]
    older = {name: value for name, value in made.labels.items() if name != SHAPE}
    town.cloud.there["wsa"] = replace(made, labels=older)
    town.ask("wsx")
    metadata = town.objects.claims["wsx"]["metadata"]
    metadata["labels"] |= {"kaito.sh/workspace": "other"}
    metadata["annotations"] = {POOL: "wsa"}
    await town.turns(9, ["wsa"])
    assert town.condition_of("wsa") == "Launching"
    assert "machines wsa" not in town.cloud.asked


async def test_a_label_added_to_a_claim_costs_it_no_node_in_the_next_upgrade() -> None:
    town = await town_of("wsa", "wsb")
    town.objects.claims["wsb"]["metadata"]["labels"]["team"] = "blue"
    town.upgrade("wsa")
    await town.turns(20)
    assert town.ready() == ["wsa", "wsb"]
    assert town.machines() == 2


async def test_a_cloud_that_takes_longer_to_answer_than_a_poll_is_asked_once_and_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = await town_of("wsa", "wsb")
    observe = town.cloud.observe

    async def slowly(name: str) -> Pool | Absent:
        town.clock.at += 2 * POLL
        return await observe(name)

    monkeypatch.setattr(town.cloud, "observe", slowly)
    town.drop("wsb")
    asked = len(town.cloud.asked)
    await town.turns(2, ["wsb"])
    assert len(town.cloud.asked) - asked <= 3
    await town.turns(12, ["wsb"])
    assert town.machines() == 1
    assert list(town.objects.claims) == ["wsa"]


@pytest.mark.parametrize("edited", ["wsa", "wsb"])
@pytest.mark.parametrize("pool", ["system", "", "wsb", None])
async def test_whatever_is_written_into_a_claim_that_has_its_node_its_pool_stays(
    edited: str, pool: str | None
) -> None:
    town = await town_of("wsa", "wsb")
    nodes = [town.node_of(name) for name in town.names]
    annotations = town.objects.claims[edited]["metadata"].setdefault("annotations", {})
    annotations.pop(POOL, None)
    if pool is not None:
        annotations[POOL] = pool
    await town.turns(20)
    assert town.ready() == ["wsa", "wsb"]
    assert [town.node_of(name) for name in town.names] == nodes
    town.drop(edited)
    await town.turns(20)
    assert town.machines() == 1
    assert len(town.ready()) == 1


async def test_a_machine_whose_claim_was_removed_by_force_goes_even_if_it_never_joins() -> None:
    town = await town_of("wsa", "wsb")
    town.ask("wsc")
    town.joins = False
    await town.turns(12)
    assert town.machines() == 3
    del town.objects.claims["wsc"]
    await town.turns(30, ["wsa", "wsb"])
    assert town.machines() == 2
    assert town.ready() == ["wsa", "wsb"]


async def test_a_count_that_no_machines_come_up_to_is_not_asked_about_for_ever() -> None:
    town = await town_of("wsa", "wsb")
    town.cloud.there["wsa"] = replace(town.cloud.there["wsa"], count=5)
    await town.turns(10)
    asked = len(town.cloud.asked)
    town.clock.at += 3600.0
    for _ in range(3):
        await town.turns(1)
    assert len(town.cloud.asked) - asked <= 2
    assert town.ready() == ["wsa", "wsb"]


async def test_an_instance_is_not_told_to_go_while_its_pool_is_busy_for_others() -> None:
    town = await town_of("wsa", "wsb", dialect=NODECLAIM)
    town.cloud.there["wsa"] = replace(town.cloud.there["wsa"], state=PoolState.UPDATING)
    town.drop("wsb")
    await town.turns(10)
    known = town.objects.claims["wsb"]["status"]["conditions"]
    assert "InstanceTerminating" not in [each["type"] for each in known]
    town.cloud.there["wsa"] = replace(town.cloud.there["wsa"], state=PoolState.READY)
    while not town.cloud.dying:
        await town.turn("wsb")
    assert town.condition("InstanceTerminating", "wsb")[0] == "True"


async def test_a_guest_written_by_hand_costs_nobody_a_node_where_pools_have_one_machine() -> None:
    town = Town()
    alone = Unshared()
    for name in ("resize", "machines", "delete_machine"):
        setattr(town.cloud, name, getattr(alone, name))
    town.ask("wsa")
    await town.turns(10)
    town.ask("wsb")
    town.objects.claims["wsb"]["metadata"]["annotations"] = {POOL: "wsa"}
    nodes, town.objects.nodes = town.objects.nodes, {}
    town.joins = False
    await town.turns(300)
    assert not town.objects.claims["wsa"]["metadata"].get("deletionTimestamp")
    assert "Remove the annotation kaito.sh/pool" in town.condition("MachineLaunched", "wsb")[2]
    town.drop("wsb")
    await town.turns(10)
    assert "wsb" not in town.objects.claims
    town.objects.nodes = nodes
    await town.turns(10)
    assert town.ready() == ["wsa"]
