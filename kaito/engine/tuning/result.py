"""What a training leaves in the output directory: the adapter and its card, whole or not at all.

The files are written elsewhere on the same disk and get their names at the end, the configuration
last: without it there is no adapter for anybody.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.checkpoints import sync_directory

CARD, WEIGHTS, CONFIG = FILES = ("README.md", "adapter_model.safetensors", "adapter_config.json")
SCRATCH = ".scratch"


def scratch(output: Path) -> Path:
    """An empty directory for what is removed at the end."""
    place = output / SCRATCH
    output.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    # What an earlier run left would look like this one's.
    for name in reversed(FILES):
        (output / name).unlink(missing_ok=True)
    return place


def publish(made: Path, output: Path, card: str) -> None:
    """Give the files in `made`, and the card, their names in `output`."""
    (made / CARD).write_text(card)
    missing = [name for name in FILES if not (made / name).is_file()]
    if missing:
        raise Ended(Ending.UNEXPECTED, f"The training has left no {missing[0]}.")
    for name in FILES:
        # Whoever pushes them may be another user than the trainer.
        (made / name).chmod(0o644)
        with (made / name).open("rb") as file:
            os.fsync(file.fileno())
    for name in FILES:
        (made / name).rename(output / name)
    sync_directory(output)
