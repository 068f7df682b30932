"""How far the download of weights is: what is on the disk, how fast it grows, what is missing.

Metric names are upstream's (kaito.md 5.1).
"""

from __future__ import annotations

import json
import os
import pathlib
from collections import deque
from dataclasses import dataclass, field

WINDOW = 5  # samples that the speed is taken from
PERIOD = 2.0  # seconds between samples
INDEX = "*.safetensors.index.json"
UNKNOWN = -1.0
SPEED = "kaito_model_download_speed_bytes_per_second"
REMAINING = "kaito_model_download_remaining_seconds"
DOWNLOADED = "kaito_model_downloaded_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is."""

    downloaded: int = 0
    """Bytes on the disk."""
    total: int = 0
    """Bytes that there will be, 0 where that is not known."""
    speed: float = 0.0
    """Bytes a second."""

    @property
    def remaining(self) -> float:
        """Seconds until all is there, -1 where nobody knows."""
        if self.total and self.downloaded >= self.total:
            return 0.0
        if not self.total or self.speed <= 0:
            return UNKNOWN
        return (self.total - self.downloaded) / self.speed


@dataclass(slots=True)
class Meter:
    """Turns sizes at times into progress."""

    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def take(self, now: float, downloaded: int, total: int) -> Progress:
        """The progress after this sample; `now` is in seconds."""
        self.samples.append((now, downloaded))
        (since, before), (until, after) = self.samples[0], self.samples[-1]
        speed = max(0.0, (after - before) / (until - since)) if until > since else 0.0
        return Progress(downloaded=downloaded, total=total, speed=speed)


def metrics(progress: Progress) -> str:
    """The same for Prometheus."""
    said = (
        (SPEED, "Speed at which weights arrive", progress.speed),
        (REMAINING, "Seconds until all weights are there, -1: unknown", progress.remaining),
        (DOWNLOADED, "Bytes of weights on the disk", progress.downloaded),
    )
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value:g}\n"
        if isinstance(value, float)
        else f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n"
        for name, text, value in said
    )


def on_disk(directory: str) -> int:
    """Bytes below a directory; a file that two names lead to counts once, as in Hugging Face's
    cache. 0 where there is none."""
    found = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                about = os.lstat(os.path.join(root, name))
            except OSError:  # renamed while we look, when its download is complete
                continue
            # A file may be as long as it will be before it is written.
            found += min(about.st_size, about.st_blocks * 512)
    return found


def expected(directory: str) -> int:
    """Bytes of weights that an index below a directory promises, 0 where there is none yet."""
    most = 0
    for index in pathlib.Path(directory).rglob(INDEX):
        try:
            said = json.loads(index.read_bytes())["metadata"]["total_size"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        most = max(most, said if isinstance(said, int) else 0)
    return most
