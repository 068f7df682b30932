"""The collector's stops are measured, and it need not walk what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from kaito.runtime.collector import CollectorPauses, freeze_heap, heap_is_frozen


class Ticks:
    def __init__(self, *times: float) -> None:
        self._times = list(times)

    def __call__(self) -> float:
        return self._times.pop(0)


def test_stops_of_a_millisecond_or_more_are_noticed_and_told_once() -> None:
    pauses = CollectorPauses(Ticks(1.0, 1.02, 2.0, 2.0005, 3.0, 3.5))
    for _ in range(3):
        pauses.heard("start", {})
        pauses.heard("stop", {})
    assert pauses.drain() == pytest.approx([0.02, 0.5])
    assert pauses.drain() == []


def test_the_collector_is_listened_to_only_while_wanted() -> None:
    before = list(gc.callbacks)
    with CollectorPauses(Ticks(*[0.0, 1.0] * 1000)) as pauses:
        gc.collect()
        assert len(pauses.drain()) >= 1
    assert gc.callbacks == before


@pytest.fixture
def thawed() -> Iterator[None]:
    """A heap that nobody has frozen yet, and whatever was frozen before, afterwards."""
    was_frozen = heap_is_frozen()
    gc.unfreeze()
    yield
    gc.unfreeze()
    if was_frozen:
        gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_what_is_frozen_is_not_looked_at_again_and_garbage_goes_before() -> None:
    class Cycle:
        gone = False

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            Cycle.gone = True

    assert not heap_is_frozen()
    Cycle()
    freeze_heap()
    assert Cycle.gone
    assert heap_is_frozen()
    # A few are made by asking for them.
    assert len(gc.get_objects()) < 1000
