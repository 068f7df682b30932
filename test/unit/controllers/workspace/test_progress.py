"""Words of progress among whatever else a training prints."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.workspace.following import Lines
from kaito.controllers.workspace.progress import LINE_LENGTH, Progress, progress_in

GOOD = {
    "step": 12,
    "steps": 300,
    "epoch": 0.4,
    "loss": 1.93,
    "examples": 4096,
    "tokensPerSecond": 5100,
    "secondsLeft": 840,
}


def line(**changes: object) -> bytes:
    return b"KAITO_TUNING " + json.dumps({**GOOD, **changes}).encode()


def test_a_line_of_progress_is_understood() -> None:
    assert progress_in(line()) == Progress(
        step=12, steps=300, epoch=0.4, loss=1.93, seconds_left=840
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"KAITO_TUNING",
        b"KAITO_TUNING {}",
        b"KAITO_TUNING []",
        b"KAITO_TUNING {",
        b"\xff\xfe",
        b"KAITO_TUNING " + b"[" * 4000,
        b" KAITO_TUNING {}",
        line(step="12"),
        line(step=True),
        line(step=-1),
        line(steps=10**20),
        line(step=[1]),
        line(padding="x" * LINE_LENGTH),
    ],
)
def test_other_lines_say_nothing(said: bytes) -> None:
    assert progress_in(said) is None


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), "1; rm", None, {"a": 1}, 10**400])
def test_a_loss_that_is_no_number_is_left_out(loss: object) -> None:
    found = progress_in(line(loss=loss))
    assert found is not None
    assert "loss" not in found.told


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(said: bytes) -> None:
    found = progress_in(b"KAITO_TUNING " + said)
    assert found is None or all(isinstance(each, int | str) for each in found.told.values())


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(1, 40))
def test_lines_are_the_same_however_they_arrive(parts: list[bytes], size: int) -> None:
    whole = b"\n".join(parts) + b"\n"
    lines = Lines()
    chunks = (whole[i : i + size] for i in range(0, len(whole), size))
    assert [each for chunk in chunks for each in lines.feed(chunk)] == whole.split(b"\n")[:-1]


def test_a_line_without_end_is_never_held() -> None:
    lines = Lines()
    for _ in range(1000):
        assert [*lines.feed(b"x" * 1000)] == []
        assert len(lines.held) <= LINE_LENGTH
    assert [*lines.feed(b"\nnext\n")] == [b"next"]
