"""What the trainer is told: its command line, as the manager writes it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kaito.engine.endings import Ended, Ending

PORT = 5000
DATA, OUTPUT = Path("/mnt/data"), Path("/mnt/results")
LIMIT = 20 * 2**30  # bytes of data
PROCESSES = 64  # at most; no node has more GPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One command line."""

    model: str
    """A name on Hugging Face, or a directory."""
    name: str
    """The preset's."""
    method: str
    revision: str = ""
    """Of the model, "" for the newest."""
    data: Path = DATA
    config: Path | None = None
    """training_config.yaml; None when a variable has it, or nothing."""
    output: Path = OUTPUT
    checkpoints: Path
    processes: int = 1
    """One for each GPU."""
    limit: int = LIMIT
    """Bytes that the data may have."""
    port: int = PORT
    """Of /metrics."""
    own_code: bool = False
    """Whether a model may bring code."""

    @property
    def base(self) -> str:
        """What the adapter says that it is of: a name that others know, and no place in a Pod."""
        return self.name if Path(self.model).is_dir() else self.model


def parse(words: Sequence[str]) -> Told:
    """The command line. Ended with CONFIG_INVALID says what is wrong with it."""
    parser = _Parser(prog="fine_tuning.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--pretrained_model_name_or_path", required=True, metavar="MODEL")
    parser.add_argument("--name", default="", help="the preset's; default: the model's last part")
    parser.add_argument("--revision", default="")
    parser.add_argument("--method", choices=["lora", "qlora"], required=True)
    parser.add_argument("--data", type=Path, default=DATA, help="a directory with the dataset")
    parser.add_argument("--config", type=Path, help="training_config.yaml")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="a directory for the adapter")
    parser.add_argument("--checkpoints", type=Path, help="default: .checkpoints in the output")
    parser.add_argument("--num_processes", type=_number(1, PROCESSES), default=1)
    parser.add_argument("--limit", type=_number(1, 2**63), default=LIMIT, help="bytes of data")
    parser.add_argument("--port", type=_number(0, 65535), default=PORT, help="of /metrics")
    parser.add_argument("--trust_remote_code", action="store_true")
    said = parser.parse_args(words)
    model: str = said.pretrained_model_name_or_path
    return Told(
        model=model,
        name=said.name or model.rstrip("/").rpartition("/")[2],
        method=said.method,
        revision=said.revision,
        data=said.data.absolute(),
        config=said.config,
        output=said.output.absolute(),
        checkpoints=(said.checkpoints or said.output / ".checkpoints").absolute(),
        processes=said.num_processes,
        limit=said.limit,
        port=said.port,
        own_code=said.trust_remote_code,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Ended(Ending.CONFIG_INVALID, f"The trainer's command line is wrong: {message}.")


class _number:  # noqa: N801 - argparse shows its name in errors
    """A whole number between bounds."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not self.least <= int(text) <= self.most:
            raise argparse.ArgumentTypeError(f"must be a number from {self.least} to {self.most}")
        return int(text)
