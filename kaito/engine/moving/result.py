"""What a tuning leaves behind and others use: an adapter, looked at before it goes anywhere."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from kaito.engine.endings import Ended, Ending
from kaito.engine.tensors import torn

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
CARD = "README.md"
LARGEST_CONFIG = 1024 * 1024  # bytes


def result(directory: Path) -> list[Path]:
    """The files of an adapter in the order in which they are to be stored: what makes it one comes
    last. Checkpoints and what else lies there are no part of it.

    Ended NOT_ENOUGH_RESULT when something is missing, ARTIFACT_INVALID when something is not as it
    should be.
    """
    weights, config = (_file(directory / name) for name in (WEIGHTS, CONFIG))
    card = directory / CARD
    found = [_file(card)] if card.exists() or card.is_symlink() else []
    if why := torn(weights):
        raise Ended(
            Ending.NOT_ENOUGH_RESULT,
            f"The result {why}, so that it cannot be used: train it again.",
        )
    _check_config(config)
    return [weights, *found, config]


def _file(path: Path) -> Path:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise Ended(
            Ending.NOT_ENOUGH_RESULT,
            f"There is no {path.name} in {path.parent}: the training left no whole result.",
        ) from error
    if not stat.S_ISREG(mode):
        raise Ended(
            Ending.ARTIFACT_INVALID,
            f"{path} is no plain file, and what a link leads to is not sent anywhere: write the "
            "file itself there.",
        )
    return path


def _check_config(path: Path) -> None:
    try:
        said = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_CONFIG else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("peft_type"), str):
        raise Ended(
            Ending.ARTIFACT_INVALID,
            f"{path} is no configuration of an adapter: it must be a JSON object with peft_type.",
        )
