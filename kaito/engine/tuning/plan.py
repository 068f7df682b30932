"""What a worker is to do, in a file of its own: all that was found out before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One training."""

    model: str
    """A name on Hugging Face, or a directory."""
    base: str
    """What the adapter says that it is of."""
    revision: str
    own_code: bool
    settings: Mapping[str, Mapping[str, Any]]
    """Config.settings."""
    chat_template: str
    """"" for the model's own."""
    kind: str
    """Of the examples: chat, instruction or plain."""
    examples: str
    """The arrow file with all of them."""
    checkpoints: str
    """Where those of this very training lie."""
    resume: str
    """The checkpoint to go on from, "" for none."""
    result: str
    """A directory for the adapter; the parent makes of it what is pushed."""

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))


def read(path: Path) -> Plan:
    """What write() wrote."""
    return Plan(**json.loads(path.read_text()))
