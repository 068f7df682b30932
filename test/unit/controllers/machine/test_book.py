"""What is remembered of the cloud's answers."""

from __future__ import annotations

import asyncio

import pytest

from kaito.controllers.machine.book import PoolBook, Subject
from kaito.controllers.machine.cloud import (
    UNKNOWN,
    Ask,
    Confirm,
    Destroy,
    Launch,
    ListMachines,
    Look,
    Refusal,
    Resize,
)
from kaito.provisioner import Absent, NodeRequest, Pool, PoolState, node_request
from test.unit.controllers.machine.world import (
    BUSY,
    LOST,
    NO_ROOM,
    POLL,
    Clock,
    Cloud,
    Effects,
)
from test.unit.controllers.machine.world import machine as cloud_machine
from test.unit.provisioner.machines import A100, NAME, machine

REQUEST = node_request(machine())


def asker(name: str = NAME, uid: str = "uid", generation: int = 1) -> Subject:
    return Subject("Machine", name, uid, generation)


class Desk:
    """A book over a cloud."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cloud = Cloud(self.clock, Effects())
        self.book = PoolBook(self.cloud, self.clock, poll_seconds=POLL)

    async def ask(self, ask: Ask, name: str = NAME) -> None:
        await self.book.ask(asker(name), ask)


async def test_nothing_is_known_before_anything_is_asked() -> None:
    assert Desk().book.facts(asker()).pool is UNKNOWN


async def test_one_list_answers_for_machines_that_never_asked() -> None:
    desk = Desk()
    await desk.ask(Look())
    assert desk.book.facts(asker("ws2")).pool == Absent()
    assert not desk.book.facts(asker("ws2")).confirmed


async def test_a_launch_is_remembered_as_what_exists_after_it() -> None:
    desk = Desk()
    await desk.ask(Launch(REQUEST, A100))
    pool = desk.book.facts(asker()).pool
    assert isinstance(pool, Pool)
    assert pool.state is PoolState.CREATING


async def test_a_refused_launch_left_nothing_behind() -> None:
    desk = Desk()
    desk.cloud.refuse = [NO_ROOM]
    await desk.ask(Launch(REQUEST, A100))
    facts = desk.book.facts(asker())
    assert facts.pool == Absent()
    assert [refusal.failure for refusal in facts.refusals] == [NO_ROOM]


async def test_after_a_launch_without_an_answer_nothing_is_known() -> None:
    desk = Desk()
    desk.cloud.lose_answers = 1
    await desk.ask(Launch(REQUEST, A100))
    facts = desk.book.facts(asker())
    assert facts.pool is UNKNOWN
    assert [refusal.failure for refusal in facts.refusals] == [LOST]


async def test_a_list_from_before_a_launch_does_not_deny_its_pool() -> None:
    desk = Desk()
    await desk.ask(Look())
    desk.clock.at += 1
    await desk.ask(Launch(REQUEST, A100))
    await desk.ask(Look())
    assert isinstance(desk.book.facts(asker()).pool, Pool)
    assert desk.cloud.asked == ["list"]


async def test_a_launch_cut_off_in_the_middle_leaves_the_pool_unknown() -> None:
    desk = Desk()
    begun = asyncio.Event()

    async def endless(request: NodeRequest, instance_type: str) -> Pool:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    desk.cloud.launch = endless  # type: ignore[method-assign]  # the cloud never answers
    await desk.ask(Look())
    task = asyncio.create_task(desk.ask(Launch(REQUEST, A100)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.book.facts(asker()).pool is UNKNOWN


async def test_refusals_count_for_one_generation_of_one_machine() -> None:
    desk = Desk()
    desk.cloud.refuse = [NO_ROOM]
    await desk.ask(Launch(REQUEST, A100))
    assert desk.book.facts(asker(generation=2)).refusals == ()


async def test_a_new_round_forgets_the_refusals_of_the_last() -> None:
    desk = Desk()
    desk.cloud.refuse = [NO_ROOM, BUSY]
    await desk.ask(Launch(REQUEST, A100))
    await desk.ask(Launch(REQUEST, A100, afresh=True))
    assert [refusal.failure for refusal in desk.book.facts(asker()).refusals] == [BUSY]


async def test_only_a_question_about_this_very_pool_confirms_its_absence() -> None:
    desk = Desk()
    await desk.ask(Look())
    assert not desk.book.facts(asker()).confirmed
    await desk.ask(Confirm())
    assert desk.book.facts(asker()).confirmed


async def test_failed_questions_are_counted_and_forgiven() -> None:
    desk = Desk()
    desk.cloud.blind = BUSY
    await desk.ask(Confirm())
    await desk.ask(Confirm())
    trouble = desk.book.facts(asker()).trouble
    assert trouble is not None
    assert trouble.times == 2
    desk.cloud.blind = None
    await desk.ask(Confirm())
    assert desk.book.facts(asker()).trouble is None


async def test_a_failed_list_answers_everybody_who_asks_soon_after() -> None:
    desk = Desk()
    desk.cloud.blind = BUSY
    await desk.ask(Look())
    await desk.ask(Look(), "ws2")
    assert desk.cloud.asked == ["list"]
    assert desk.book.facts(asker("ws2")).trouble is not None


async def test_listing_takes_a_tenth_of_the_time_at_most() -> None:
    desk = Desk()
    pools = desk.cloud.pools

    async def slow() -> list[Pool]:
        desk.clock.at += 10.0
        return await pools()

    desk.cloud.pools = slow  # type: ignore[method-assign]  # a cluster with very many pools
    await desk.ask(Look())
    desk.clock.at += 80.0
    await desk.ask(Look())
    assert desk.cloud.asked == ["list"]
    desk.clock.at += 20.0
    await desk.ask(Look())
    assert desk.cloud.asked == ["list", "list"]


async def test_a_clock_that_was_set_back_makes_no_list_last_for_ever() -> None:
    desk = Desk()
    await desk.ask(Look())
    desk.clock.at -= 3600.0
    await desk.ask(Look())
    assert desk.cloud.asked == ["list", "list"]


async def test_many_that_ask_at_once_share_one_list() -> None:
    desk = Desk()
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(desk.ask(Look(), f"ws{number}"))
    assert desk.cloud.asked == ["list"]


async def test_a_pool_that_is_deleted_because_it_failed_is_remembered_as_refused() -> None:
    desk = Desk()
    desk.cloud.fail = [NO_ROOM]
    await desk.ask(Launch(REQUEST, A100))
    desk.clock.at += desk.cloud.seconds
    desk.cloud.settle()
    failed = desk.cloud.there[NAME]
    await desk.ask(Destroy(failed, Refusal(A100, NO_ROOM, desk.clock.at)))
    facts = desk.book.facts(asker())
    assert isinstance(facts.pool, Pool)
    assert facts.pool.state is PoolState.DELETING
    assert [refusal.failure for refusal in facts.refusals] == [NO_ROOM]


async def test_a_change_by_one_claim_makes_the_others_look_again() -> None:
    desk = Desk()
    await desk.ask(Launch(REQUEST, A100))
    desk.clock.at += desk.cloud.seconds
    desk.cloud.settle()
    guest = Subject("Machine", "ws2", "uid2", 1, NAME)
    await desk.book.ask(guest, Look())
    await desk.book.ask(guest, ListMachines())
    assert desk.book.facts(guest).machines == (cloud_machine(NAME),)
    desk.clock.at += 1
    pool = desk.cloud.there[NAME]
    await desk.ask(Resize(pool, 2))
    assert desk.book.facts(guest).machines is None
    await desk.book.ask(guest, Look())
    seen = desk.book.facts(guest).pool
    assert isinstance(seen, Pool)
    assert (seen.state, seen.count) == (PoolState.UPDATING, 2)


async def test_pools_asked_for_since_the_last_list_count_too() -> None:
    desk = Desk()
    await desk.ask(Look())
    await desk.ask(Launch(REQUEST, A100))
    assert desk.book.facts(asker("ws2")).crowd == 1
    assert set(await desk.book.browse()) == {NAME}
    desk.clock.at += POLL
    await desk.ask(Look(), "ws2")
    assert desk.book.facts(asker("ws2")).crowd == 1


async def test_a_refused_growth_is_remembered_and_the_pool_looked_at_again() -> None:
    desk = Desk()
    await desk.ask(Launch(REQUEST, A100))
    desk.clock.at += desk.cloud.seconds
    desk.cloud.settle()
    desk.cloud.refuse = [NO_ROOM]
    await desk.ask(Resize(desk.cloud.there[NAME], 2))
    facts = desk.book.facts(asker())
    assert facts.pool is UNKNOWN
    assert [refusal.failure for refusal in facts.refusals] == [NO_ROOM]


async def test_what_was_refused_in_one_pool_is_not_held_against_another() -> None:
    desk = Desk()
    desk.cloud.refuse = [NO_ROOM]
    await desk.ask(Launch(REQUEST, A100))
    assert desk.book.facts(Subject("Machine", NAME, "uid", 1, "elsewhere")).refusals == ()
