"""The ledger tells what became of each pool, within bounds, whatever it is fed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from kaito.controllers.machine.chronicle import Chronicle
from kaito.controllers.machine.ledger import (
    LONGEST,
    MOST_ENTRIES,
    Entry,
    Ledger,
    Outcome,
    bounded,
    decode,
    encode,
)
from kaito.controllers.machine.tallies import PoolTallies
from kaito.controllers.machine.witness import Witness
from kaito.provisioner import CloudError, Pool, PoolState, node_request
from kaito.provisioner.ownership import label_of
from test.unit.controllers.machine.test_findings import FOREIGN, HERE
from test.unit.controllers.machine.world import BUSY, NO_ROOM, START, Clock, Cloud, Effects
from test.unit.provisioner.machines import A100, machine

ENTRIES = st.builds(
    Entry,
    pool=st.sampled_from(["a", "b", "c"]),
    size=st.text(max_size=LONGEST),
    asked=st.integers(0, 5),
    outcome=st.sampled_from(Outcome),
    changed=st.integers(0, 9),
    cause=st.text(max_size=9),
    ready_after=st.none() | st.integers(0, 99),
    ended=st.none() | st.integers(0, 99),
)


def entry(name: str = "ws1", asked: int = 0, **more: object) -> Entry:
    told = {"outcome": Outcome.READY, "changed": asked, **more}
    return Entry(pool=name, size=A100, asked=asked, **told)  # type: ignore[arg-type]  # of a test


@given(st.lists(ENTRIES))
def test_what_is_written_is_read_again(entries: list[Entry]) -> None:
    kept = list(Ledger(entries).entries())
    assert decode(encode(kept)) == kept


@given(st.lists(ENTRIES), st.lists(ENTRIES))
def test_two_daemons_that_merge_come_to_the_same_ledger(
    mine: list[Entry], theirs: list[Entry]
) -> None:
    """Where they know different things of the same moment, each keeps its own."""
    one, two = Ledger(mine), Ledger(theirs)
    one.merge(two.entries())
    two.merge(one.entries())
    moments = [
        [(each.identity, each.changed) for each in ledger.entries()] for ledger in (one, two)
    ]
    assert moments[0] == moments[1]


@given(st.text())
def test_a_text_that_is_no_ledger_is_an_empty_one(text: str) -> None:
    assert decode(text) == []


@pytest.mark.parametrize("moment", [-1, 10**12, 10**30])
@pytest.mark.parametrize("field", ["asked", "changed", "ended", "leaked"])
def test_a_moment_that_no_calendar_has_is_none_of_an_entry(field: str, moment: int) -> None:
    written = json.loads(encode([entry(asked=7)]))
    assert decode(json.dumps(written)) == [entry(asked=7)]
    assert decode(json.dumps({**written, field: moment})) == []


def test_what_is_over_goes_first_and_the_oldest_of_it() -> None:
    there = entry("there", 0)
    over = [entry(f"over{n}", n, ended=n) for n in range(1, 4)]
    assert bounded([there, *over], most=3) == [there, *over[1:]]


def test_the_text_is_bounded_and_keeps_what_is_there() -> None:
    there = entry("there", 0)
    over = [entry(f"over{n}", n, ended=n) for n in range(1, 200)]
    text = encode([*over, there], most_bytes=1000)
    assert len(text) <= 1000
    assert there in decode(text)


def test_the_entries_are_bounded() -> None:
    ledger = Ledger()
    for number in range(MOST_ENTRIES + 50):
        ledger.put(entry(f"ws{number}", number, ended=number))
    assert len(ledger) == MOST_ENTRIES
    assert ledger.last("ws0") is None


def test_long_words_are_cut() -> None:
    ledger = Ledger()
    ledger.put(entry("x" * 10_000, cause="y" * 10_000))
    assert len(encode(ledger.entries())) < 500


class Books:
    """A cloud, watched."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.clock = Clock()
        self.cloud = Cloud(self.clock, Effects())
        self.start(ledger or Ledger())

    def start(self, ledger: Ledger) -> None:
        """A process that knows what this ledger says."""
        self.ledger = ledger
        self.registry = CollectorRegistry()
        tallies = PoolTallies(self.registry, lambda _: "other")
        self.chronicle = Chronicle(self.ledger, tallies, cluster=HERE, price=lambda _: 3.5)
        self.source = Witness(self.cloud, self.chronicle, self.clock)

    async def launch(self) -> Pool:
        request = node_request(machine("ws1"), HERE)
        stamp = {"kaito.sh/launch-timestamp": label_of(self.clock.at)}
        return await self.source.launch(replace(request, labels={**request.labels, **stamp}), A100)

    async def later(self, seconds: float) -> None:
        """Time passes, and the pools are looked at."""
        self.clock.at += seconds
        self.cloud.settle()
        await self.source.pools()

    @property
    def story(self) -> list[tuple[str, str]]:
        return [(each.pool, each.outcome) for each in self.ledger.entries()]

    @property
    def last(self) -> Entry:
        found = self.ledger.last("ws1")
        assert found is not None
        return found

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kaito_provisioner_{name}", labels)


async def test_a_pool_is_told_from_its_request_to_its_end() -> None:
    books = Books()
    pool = await books.launch()
    assert books.story == [("ws1", "asked for")]
    await books.later(90.0)
    assert (books.last.outcome, books.last.ready_after) == (Outcome.READY, 90)
    assert books.metric("hourly_cost_dollars") == 3.5
    await books.source.delete(pool)
    assert books.last.outcome is Outcome.DELETING
    await books.later(100.0)
    assert (books.last.outcome, books.last.lifetime) == (Outcome.DELETED, 190)
    assert books.metric("pool_lifetime_seconds_sum") == 190
    assert books.metric("pool_ready_seconds_count") == 1
    assert books.metric("pools_requested_total", instance_type="other") == 1
    assert books.metric("hourly_cost_dollars") == 0


async def test_refusals_in_a_row_are_one_entry() -> None:
    books = Books()
    books.cloud.refuse = [NO_ROOM, NO_ROOM]
    for _ in range(2):
        with pytest.raises(CloudError):
            await books.launch()
        books.clock.at += 600.0
    await books.launch()
    assert books.story == [("ws1", "refused"), ("ws1", "asked for")]
    [refused, _] = books.ledger.entries()
    assert (refused.attempts, refused.cause) == (2, NO_ROOM.cause)
    assert books.metric("pool_outcomes_total", outcome="refused", cause=NO_ROOM.cause) == 2


async def test_a_pool_that_fails_is_told_with_its_cause() -> None:
    books = Books()
    books.cloud.fail = [NO_ROOM]
    await books.launch()
    await books.later(90.0)
    assert (books.last.outcome, books.last.cause) == (Outcome.FAILED, NO_ROOM.cause)


async def test_a_pool_that_somebody_else_deletes_is_gone() -> None:
    books = Books()
    await books.launch()
    await books.later(90.0)
    books.cloud.there.clear()
    await books.later(15.0)
    assert (books.last.outcome, books.last.lifetime) == (Outcome.GONE, 105)


async def test_a_list_from_before_a_launch_ends_nothing() -> None:
    books = Books()
    await books.launch()
    books.chronicle.listed([], START - 1.0, START + 1.0)
    assert books.last.outcome is Outcome.ASKED


async def test_a_swept_pool_stays_swept() -> None:
    books = Books()
    pool = await books.launch()
    await books.later(90.0)
    books.chronicle.leaked(pool, books.clock.now())
    assert (books.last.outcome, books.last.leaked) == (Outcome.LEAKED, int(books.clock.at))
    await books.source.delete(pool)
    books.chronicle.swept(pool, books.clock.now())
    await books.later(100.0)
    assert (books.last.outcome, books.last.lifetime) == (Outcome.SWEPT, 190)


async def test_a_leaked_pool_that_is_claimed_again_is_ready_again() -> None:
    books = Books()
    pool = await books.launch()
    await books.later(90.0)
    books.chronicle.leaked(pool, books.clock.now())
    books.chronicle.claimed("ws1", books.clock.now())
    assert (books.last.outcome, books.last.leaked) == (Outcome.READY, None)


async def test_a_lost_ledger_is_made_up_from_what_is_there() -> None:
    books = Books()
    await books.launch()
    await books.later(90.0)
    books.start(Ledger())
    await books.later(15.0)
    assert (books.last.asked, books.last.outcome) == (int(START), Outcome.READY)


async def test_a_kept_ledger_goes_on_after_a_restart() -> None:
    books = Books()
    await books.launch()
    await books.later(90.0)
    books.start(Ledger(decode(encode(books.ledger.entries()))))
    books.cloud.there.clear()
    await books.later(15.0)
    assert (books.last.outcome, books.last.ready_after) == (Outcome.GONE, 90)


async def test_a_clock_that_is_set_back_makes_no_time_negative() -> None:
    books = Books()
    await books.launch()
    books.clock.skew = -1e5
    await books.later(90.0)
    books.cloud.there.clear()
    await books.later(15.0)
    assert books.last.ready_after == 0
    assert (books.last.lifetime or 0) >= 0


async def test_pools_of_others_are_not_entered() -> None:
    books = Books()
    books.cloud.there = {FOREIGN.name: FOREIGN}
    await books.later(15.0)
    assert books.story == []
    assert books.metric("pools") == 0


async def test_answers_and_refusals_pass_unchanged() -> None:
    books = Books()
    pool = await books.launch()
    assert await books.source.observe("ws1") == pool
    books.cloud.blind = BUSY
    with pytest.raises(CloudError):
        await books.source.pools()
    assert pool.state is PoolState.CREATING
