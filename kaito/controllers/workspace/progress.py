"""What a trainer says of its progress in its log: lines that begin with a fixed word, then numbers.

Whatever a training prints is read here, so nothing but numbers in their bounds gets through. Pure.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from kaito.api.tuning import PROGRESS
from kaito.runtime import Object

LINE_LENGTH = 4096  # bytes; a line of progress has some 200
MOST = 2**31 - 1  # of a number in the status
# Digits after the point: a loss is compared from step to step, an epoch is a place on the way.
LOSS_DIGITS, EPOCH_DIGITS = 4, 2
PREFIX = PROGRESS.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One such line. None is what it did not say."""

    step: int
    steps: int
    epoch: float | None = None
    loss: float | None = None
    seconds_left: int | None = None

    @property
    def told(self) -> Object:
        """The fields of status.tuning."""
        found: Object = {"step": self.step, "steps": self.steps}
        if self.epoch is not None:
            found["epoch"] = f"{self.epoch:.{EPOCH_DIGITS}f}"
        if self.loss is not None:
            found["loss"] = f"{self.loss:.{LOSS_DIGITS}f}"
        if self.seconds_left is not None:
            found["secondsLeft"] = self.seconds_left
        return found


def progress_in(line: bytes) -> Progress | None:
    """What a line of a log says of progress; None for any other line."""
    if not line.startswith(PREFIX) or len(line) > LINE_LENGTH:
        return None
    try:
        found = json.loads(line[len(PREFIX) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    step, steps = _whole(found.get("step")), _whole(found.get("steps"))
    if step is None or steps is None:
        return None
    return Progress(
        step=step,
        steps=steps,
        epoch=_number(found.get("epoch")),
        loss=_number(found.get("loss")),
        seconds_left=_whole(found.get("secondsLeft")),
    )


def _whole(value: object) -> int | None:
    """A count in the bounds of the status; None for what is none."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= MOST else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A number without end has no place in JSON, and one of a thousand digits none in a status.
    return float(value) if abs(value) <= MOST and math.isfinite(value) else None
