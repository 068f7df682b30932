"""How far a training is, is told now and then, in numbers alone."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from kaito.engine.tuning.progress import APART, WORD, Reporter


@dataclass
class Watched:
    """A reporter on a clock of the test's."""

    time: float = 1000.0
    lines: list[str] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.reporter = Reporter(self.registry, lambda: self.time, self.lines.append)

    @property
    def told(self) -> list[dict[str, float]]:
        words = [line.partition(" ") for line in self.lines]
        assert all(word == WORD for word, _, _ in words)
        return [json.loads(rest) for _, _, rest in words]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_the_first_and_the_last_are_told_and_some_between(watched: Watched) -> None:
    for step in range(101):
        watched.reporter.hear({"step": step, "steps": 100})
        watched.time += 0.5
    watched.reporter.flush()
    steps = [each["step"] for each in watched.told]
    assert steps == [*range(0, 101, int(APART / 0.5)), *([] if 100 % 10 == 0 else [100])]
    watched.reporter.flush()
    assert len(watched.told) == len(steps)


def test_what_is_left_follows_from_what_this_run_has_done(watched: Watched) -> None:
    watched.reporter.hear({"step": 90, "steps": 100, "epoch": 2.7})
    watched.time += 20
    watched.reporter.hear({"step": 92, "tokens": 5000, "loss": 1.5, "examples": 368})
    assert watched.told[-1] == {
        "step": 92,
        "steps": 100,
        "epoch": 2.7,
        "loss": 1.5,
        "examples": 368,
        "secondsLeft": 80,
        "tokensPerSecond": 250,
    }


def test_a_loss_that_is_no_number_is_left_out(watched: Watched) -> None:
    watched.reporter.hear({"step": 1, "steps": 2, "loss": math.nan, "eval_loss": math.inf})
    assert set(watched.told[0]) == {"step", "steps", "epoch", "examples"}


def test_prometheus_has_the_same(watched: Watched) -> None:
    def value(name: str, **labels: str) -> float | None:
        return watched.registry.get_sample_value(f"kaito_tuning_{name}", labels)

    assert value("phase_info", phase="starting") == 1
    watched.reporter.hear({"step": 3, "steps": 9, "loss": 0.5, "eval_loss": 0.7})
    assert value("phase_info", phase="training") == 1
    assert [value(each) for each in ("step", "steps", "loss", "eval_loss")] == [3, 9, 0.5, 0.7]


def test_what_else_is_said_is_nobodys_business(watched: Watched) -> None:
    watched.reporter.hear({"step": 1, "steps": 2, "text": "a record"})
    assert "record" not in watched.lines[0]
