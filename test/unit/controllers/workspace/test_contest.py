"""Two writers of one object: none overwrites the other for ever."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.workspace.contest import LONGEST, PAUSE, Contest, Contested
from kaito.runtime import Object
from kaito.testing import VirtualClock

WANTED: Object = {"spec": {"image": "ours", "args": ["a"]}}
THEIRS: Object = {"metadata": {"uid": "u"}, "spec": {"image": "theirs", "args": ["a"]}}


class Bout:
    """A contest in which somebody always undoes what was written."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.contest = Contest(self.clock)

    async def pass_by(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def write(
        self, found: Object = THEIRS, wanted: Object = WANTED, answer: Object | None = None
    ) -> bool:
        """Write if that is allowed; whether it was. The answer is what was wanted."""
        try:
            allowed = self.contest.may_write(found, wanted)
        except Contested:
            return False
        if allowed:
            self.contest.wrote(found, wanted, wanted if answer is None else answer)
        return allowed


async def test_the_same_fields_are_written_again_only_after_longer_and_longer_pauses() -> None:
    bout, pauses = Bout(), []
    assert bout.write()
    for _ in range(9):
        waited = 0.0
        while not bout.write():
            await bout.pass_by(PAUSE)
            waited += PAUSE
        pauses.append(waited)
    assert pauses[:3] == [PAUSE, 2 * PAUSE, 4 * PAUSE]
    assert pauses[-1] == LONGEST


@given(st.lists(st.integers(0, 1000), max_size=40))
async def test_writes_do_not_follow_each_other_quickly(waits: list[int]) -> None:
    bout, writes, now = Bout(), [], 0
    for wait in waits:
        await bout.pass_by(wait)
        now += wait
        if bout.write():
            writes.append(now)
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(writes))


async def test_the_fields_are_named() -> None:
    bout = Bout()
    bout.write()
    with pytest.raises(Contested) as told:
        bout.contest.may_write(THEIRS, WANTED)
    assert told.value.paths == ("spec.image",)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        pytest.param(THEIRS, {"spec": {"image": "new", "args": ["a"]}}, id="another wish"),
        pytest.param({**THEIRS, "spec": {"image": "ours"}}, WANTED, id="other fields"),
        pytest.param({**THEIRS, "metadata": {"uid": "v"}}, WANTED, id="another object"),
    ],
)
async def test_at_once_is_written(found: Object, wanted: Object) -> None:
    bout = Bout()
    assert bout.write()
    assert bout.write(found, wanted)


async def test_what_the_server_spells_otherwise_is_written_once_and_contested_by_nobody() -> None:
    bout = Bout()
    assert bout.write(answer=THEIRS)
    for _ in range(3):
        await bout.pass_by(LONGEST)
        assert bout.contest.may_write(THEIRS, WANTED) is False
    # Another value in the same field is somebody's.
    evil = {**THEIRS, "spec": {"image": "evil", "args": ["a"]}}
    assert bout.contest.may_write(evil, WANTED)
