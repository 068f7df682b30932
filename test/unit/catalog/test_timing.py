"""The time until a model answers is told phase by phase, and what is there already takes none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.model import Model
from kaito.catalog.timing import Known, Range, time_to_ready, total

QWEN = Model(name="Qwen/Qwen3.8-27B", weights_gib=51.75)
EVERYTHING = ["node", "device", "image", "framework", "download", "load", "engine"]


THERE = Known(node="ready")


def names(known: Known) -> list[str]:
    return [phase.name for phase in time_to_ready(QWEN, known)]


def test_a_start_from_nothing_has_every_phase_with_its_source() -> None:
    phases = time_to_ready(QWEN)
    assert [phase.name for phase in phases] == EVERYTHING
    assert all(phase.source and phase.what for phase in phases)


@pytest.mark.parametrize(
    ("known", "left"),
    [
        (Known(node="registered"), EVERYTHING[1:]),
        (Known(node="ready"), EVERYTHING[2:]),
        (Known(node="ready", image=True), EVERYTHING[3:]),
        (Known(node="ready", image=True, weights=True), ["framework", "load", "engine"]),
        (Known(weights=True), [name for name in EVERYTHING if name != "download"]),
    ],
)
def test_what_is_there_takes_no_time(known: Known, left: list[str]) -> None:
    assert names(known) == left


def test_the_start_that_upstream_published_is_within_the_range() -> None:
    # https://github.com/kaito-project/kaito/issues/2325: 966 s, of which 92 s were a benchmark.
    found = total(time_to_ready(QWEN))
    assert found is not None
    assert found.low < 966 - 92 < found.high


def test_a_bandwidth_that_was_measured_leaves_no_doubt() -> None:
    phases = time_to_ready(QWEN, Known(node="ready", download_gib_per_s=0.5))
    download = next(phase for phase in phases if phase.name == "download")
    assert download.seconds == Range(low=103.5, high=103.5)
    assert download.source == "measured"


def test_weights_of_unknown_size_take_an_unknown_time() -> None:
    phases = time_to_ready(Model(name="x/unknown"), THERE)
    unknown = [phase.name for phase in phases if phase.seconds is None]
    assert unknown == ["download", "load"]
    assert total(phases) is None


@given(small=st.floats(0.1, 1000), more=st.floats(0, 1000))
def test_larger_weights_never_come_sooner(small: float, more: float) -> None:
    first = total(time_to_ready(Model(name="x/small", weights_gib=small), THERE))
    second = total(time_to_ready(Model(name="x/large", weights_gib=small + more), THERE))
    assert first is not None
    assert second is not None
    assert first.low <= second.low
    assert first.high <= second.high


def test_a_range_is_not_upside_down() -> None:
    with pytest.raises(ValueError, match="no range"):
        Range(low=2, high=1)
