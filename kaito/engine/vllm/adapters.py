"""Adapters that vLLM serves beside the model: which are there, and which of them are whole.

Their files are looked at before the engine starts, which needs to know how large they are. What is
broken is left out and told, and the others are served.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from kaito.engine.tensors import torn

LISTED = "KAITO_ADAPTERS"  # a variable, with what `listed` says
CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
# What --max-lora-rank may be (vllm/config/lora.py, v0.25.1). A test holds this against the list of
# arguments.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One that can be served."""

    name: str
    path: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One that cannot."""

    name: str
    why: str
    """Ends a sentence."""


def find(directory: str) -> list[Adapter | Broken]:
    """What is in the folders of a directory, by name; nothing where there is no directory.

    A folder without adapter_config.json is passed over, as upstream does, unless it has weights.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        return []
    folders = sorted(each for each in root.iterdir() if each.is_dir())
    found = (_looked_at(each) for each in folders if not each.name.startswith("."))
    return [each for each in found if each is not None]


def listed(adapters: Sequence[Adapter]) -> str:
    """As the launcher tells them to the server that loads them."""
    return json.dumps([[each.name, each.path] for each in adapters])


def max_rank(adapters: Sequence[Adapter]) -> int:
    """The least rank that vLLM can make room for and that all of them fit in."""
    most = max((each.rank for each in adapters), default=1)
    return next(rank for rank in RANKS if rank >= most)


def _looked_at(folder: pathlib.Path) -> Adapter | Broken | None:
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    config = folder / CONFIG
    if not config.is_file():
        return _broken(folder, f"has weights and no {CONFIG}") if weights else None
    try:
        said = json.loads(config.read_bytes())
    except (OSError, ValueError, RecursionError):
        return _broken(folder, f"has no JSON in {CONFIG}")
    if not isinstance(said, dict) or str(said.get("peft_type", "LORA")).upper() != "LORA":
        return _broken(folder, "is of another kind than LoRA, which is all that vLLM serves")
    rank = said.get("r")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= RANKS[-1]:
        return _broken(folder, f"has a rank that is none from 1 to {RANKS[-1]}")
    if said.get("bias", "none") != "none" or said.get("use_dora"):
        return _broken(folder, "has biases or DoRA, which vLLM does not serve")
    if weights is None:
        return _broken(folder, f"has no {WEIGHTS[0]}")
    if why := torn(weights):
        return _broken(folder, why)
    return Adapter(name=folder.name, path=str(folder), rank=rank)


def _broken(folder: pathlib.Path, why: str) -> Broken:
    return Broken(name=folder.name, why=why)
