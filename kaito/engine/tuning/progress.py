"""How far a training is: a line on standard output now and then, and figures for Prometheus."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Info

WORD = "KAITO_TUNING"
APART = 5.0  # seconds between two lines, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment; None where nothing is known yet."""

    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    eval_loss: float | None = None
    examples: int = 0
    tokens: int = 0
    """Since this process began, as everything that a speed is made of."""

    def told(self, said: Mapping[str, Any]) -> Progress:
        """With what a worker says."""
        known = {each for each in Progress.__slots__ if each in said}
        return replace(self, **{each: said[each] for each in known})


class Reporter:
    """Hears what the workers say, and tells it. `now` is a clock in seconds."""

    def __init__(
        self, registry: CollectorRegistry, now: Callable[[], float], write: Callable[[str], None]
    ) -> None:
        self._now, self._write = now, write
        self._began: float | None = None
        self._first = 0
        self._last = -math.inf
        self._untold = False
        self.progress = Progress()
        names = {
            "step": "Steps that are done",
            "steps": "Steps that there are in all",
            "epoch": "Times that the data has been gone through",
            "loss": "The loss of the last steps",
            "eval_loss": "The loss on the records that are kept for that",
            "examples": "Examples that have been trained with",
            "tokens_per_second": "Tokens that are trained with in a second",
            "seconds_left": "Seconds until the last step",
        }
        self._gauges = {
            name: Gauge(f"kaito_tuning_{name}", text, registry=registry)
            for name, text in names.items()
        }
        self._phase = Info("kaito_tuning_phase", "What is being done", registry=registry)
        self.phase("starting")

    def phase(self, name: str) -> None:
        """Something else begins."""
        self._phase.info({"phase": name})

    def hear(self, said: Mapping[str, Any]) -> None:
        """What a worker says of its steps."""
        self.progress = self.progress.told(said)
        if self._began is None:
            # The first that is said is where it goes on from.
            self._began, self._first = self._now(), self.progress.step
            self.phase("training")
        self._untold = True
        figures = self.figures()
        for name, value in figures.items():
            self._gauges[name].set(value)
        if self._now() - self._last >= APART:
            self._tell(figures)

    def flush(self) -> None:
        """Tell what has been heard since the last line."""
        if self._untold:
            self._tell(self.figures())

    def figures(self) -> dict[str, float]:
        """What is known and is a number."""
        now = self.progress
        found: dict[str, float] = {}
        seconds = self._now() - self._began if self._began is not None else 0.0
        done = now.step - self._first
        if done > 0 and seconds > 0:
            found["seconds_left"] = round(seconds / done * (now.steps - now.step))
            found["tokens_per_second"] = round(now.tokens / seconds)
        for name in ("step", "steps", "epoch", "loss", "eval_loss", "examples"):
            value = getattr(now, name)
            if value is not None and math.isfinite(value):
                found[name] = value
        return found

    def _tell(self, figures: Mapping[str, float]) -> None:
        self._last, self._untold = self._now(), False
        self._write(f"{WORD} {json.dumps({_camel(name): figures[name] for name in figures})}")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.title() for each in rest)
