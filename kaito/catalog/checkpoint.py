"""The files of a model: which of them hold its weights, and a model from files of one's own.

Upstream adds up every weight file of a repository (kaito.md 4.1), so that a model whose files hold
the weights twice counts double. Here each weight counts once, by these rules:

- The engine loads from the top folder, so other folders (original/, metal/, onnx/) do not count.
- consolidated*.safetensors are Mistral's own format: where there are any, they alone count.
- Otherwise *.safetensors count, and *.bin only where there are none.
- Shards (name-00001-of-00002.safetensors) stand for the file without numbers beside them, and the
  most of them for another split of the same name.
- What training leaves behind (optimizer.bin and its like) does not count.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kaito.catalog.config import Config, Unreadable, parse
from kaito.catalog.huggingface import model_of
from kaito.catalog.model import Access, Model

LARGEST_FILE = 64 * 1024**2  # of a config.json or an index; the largest index known has 20 MiB
CONFIG, PARAMS, QUANTIZATION = "config.json", "params.json", "hf_quant_config.json"
INDEX = ("model.safetensors.index.json", "consolidated.safetensors.index.json")
SHARD = re.compile(r"(?P<name>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
LEFTOVERS = frozenset({"optimizer.bin", "random_states.bin", "scheduler.bin", "training_args.bin"})


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files that the engine loads."""

    bytes: int
    mistral_format: bool


def weights(files: Mapping[str, int]) -> Weights | None:
    """Of files by path, with sizes in bytes; None where none holds weights."""
    top = {path: size for path, size in files.items() if "/" not in path}
    safe = [path for path in top if path.endswith(".safetensors")]
    consolidated = [path for path in safe if path.startswith("consolidated")]
    binary = [path for path in top if path.endswith(".bin") and path not in LEFTOVERS]
    chosen = _once(consolidated or safe or binary)
    if not chosen:
        return None
    return Weights(sum(top[path] for path in chosen), bool(consolidated))


def _once(paths: Iterable[str]) -> list[str]:
    """Each weight once: the most shards of a name instead of fewer or of one file."""
    splits: dict[str, dict[int, list[str]]] = {}
    for path in paths:
        match = SHARD.fullmatch(path)
        name = path if match is None else match["name"] + match["suffix"]
        count = 0 if match is None else int(match["count"])
        splits.setdefault(name, {}).setdefault(count, []).append(path)
    return [path for counts in splits.values() for path in counts[max(counts)]]


def config_of(owner: str, config: bytes, quantization: bytes | None) -> Config:
    """A configuration, with what NVIDIA's quantiser writes into a file of its own."""
    told = parse(owner, config)
    if quantization is None or told.fields.get("quantization_config"):
        return told
    section = parse(owner, quantization).section("quantization")
    return Config(owner, {**told.fields, "quantization_config": section.fields})


def model_in(
    path: Path,
    *,
    name: str | None = None,
    weights_bytes: int | None = None,
    date: datetime.date | None = None,
    access: Access | None = None,
) -> Model:
    """The model whose config.json or params.json this is, or whose folder.

    Its name is the folder's where none is given. Its weights are what is given, else what the
    index of the weights beside it says, else the weight files beside it. Raises Unreadable.
    """
    folder = path if path.is_dir() else path.parent
    file = _config_in(path)
    owner = name or folder.resolve().name
    beside = {entry.name: entry.stat().st_size for entry in _files(folder)}
    found = weights(beside)
    if weights_bytes is None:
        told = next((_total(owner, folder / index) for index in INDEX if index in beside), None)
        weights_bytes = told or (found.bytes if found else None)
    quantization = _read(owner, folder / QUANTIZATION) if QUANTIZATION in beside else None
    return model_of(
        owner,
        config_of(owner, _read(owner, file), quantization).fields,
        source=str(file),
        weights_bytes=weights_bytes,
        date=date,
        access=access,
        mistral_format=found is not None and found.mistral_format,
    )


def _config_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (CONFIG, PARAMS):
        if (path / name).is_file():
            return path / name
    raise Unreadable(f"{path} holds neither {CONFIG} nor {PARAMS}: name a model's own folder.")


def _files(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_file()]
    except OSError as error:
        raise Unreadable(f"{folder} cannot be read ({error.strerror}): name another.") from error


def _read(owner: str, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Unreadable(
            f"{file} cannot be read ({error.strerror}): give the {CONFIG} that comes with the "
            "weights."
        ) from error
    if len(data) > LARGEST_FILE:
        raise Unreadable(
            f"{file} has more than {LARGEST_FILE // 1024**2} MiB, which no configuration of "
            f"{owner} has: give the {CONFIG} that comes with the weights."
        )
    return data


def _total(owner: str, index: Path) -> int | None:
    """What an index of safetensors says of all its files together, bytes."""
    return parse(owner, _read(owner, index)).section("metadata").number("total_size")
