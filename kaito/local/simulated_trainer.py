"""A stand-in for the trainer: reads data, says how far it is, writes an adapter, learns nothing.

    python -m kaito.local.simulated_trainer --pretrained_model_name_or_path=microsoft/phi-4 \
        --method=lora --data=DIRECTORY --output=DIRECTORY --checkpoints=DIRECTORY

The adapter is well-formed, of a single weight, and its card says what it is. Words in the data let
a training end as a real one might, so that what follows from it can be seen:

    local.kaito.sh/fault=out-of-memory  it ends so; the names are those of kaito.engine.endings
    local.kaito.sh/fault=hold           it stops half-way until it is told to end; a run that goes
                                        on from a checkpoint passes

Standard library alone, as nothing else is needed. It looks at the begin of each file only.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaito.engine.endings import Ended, Ending, run

STEPS = 10
MOST_READ = 1024 * 1024  # bytes of a file
FAULT = re.compile(rb"local\.kaito\.sh/fault=([a-z-]+)")
HOLD = "hold"
WEIGHT = "base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight"
CARD = """\
---
base_model: {base}
library_name: peft
---
This adapter is simulated: a local cluster without a trainer has made it. It has learnt nothing.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train in appearance; the exit status."""
    options = _parser().parse_args(arguments)
    return run(lambda: _train(options))


def _parser() -> argparse.ArgumentParser:
    """The arguments of the trainer that this one stands for; of some nothing follows."""
    parser = argparse.ArgumentParser(prog="simulated_trainer", allow_abbrev=False)
    parser.add_argument("--pretrained_model_name_or_path", required=True, dest="base")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--method", choices=["lora", "qlora"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--num_processes", type=int, default=1)
    parser.add_argument("--name", default="")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--trust_remote_code", action="store_true")
    return parser


def _train(options: argparse.Namespace) -> str:
    texts = list(_texts(options.data))
    if not any(texts):
        raise Ended(Ending.DATASET_INVALID, f"{options.data} holds no data: give it a file.")
    faults = {found.decode() for text in texts for found in FAULT.findall(text)}
    for name in sorted(faults - {HOLD}):
        ending = Ending.__members__.get(name.replace("-", "_").upper())
        if ending is None:
            raise Ended(Ending.DATASET_INVALID, f"The data asks for {name}, which is no ending.")
        raise Ended(ending, f"The simulated trainer ends with {name}, as the data asks.")
    begun = _resumed(options.checkpoints)
    examples = sum(text.count(b"\n") + (not text.endswith(b"\n")) for text in texts if text)
    print(f"simulated training of {options.base}: nothing is learnt")  # noqa: T201 - its log
    for step in range(begun + 1, STEPS + 1):
        half = step == STEPS // 2
        if half:
            _save(options.checkpoints, step)
        # Told once it is safe: who reads this may end the training.
        _say(step, examples)
        if half and HOLD in faults:
            signal.pause()
    _write(options)
    return ""


def _texts(data: Path) -> Iterator[bytes]:
    for path in sorted(data.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                yield file.read(MOST_READ)


def _say(step: int, examples: int) -> None:
    progress = {
        "step": step,
        "steps": STEPS,
        "epoch": step / STEPS,
        "loss": round(2 / step, 3),
        "examples": examples,
        "tokensPerSecond": 1000,
        "secondsLeft": STEPS - step,
    }
    print(f"KAITO_TUNING {json.dumps(progress, separators=(',', ':'))}", flush=True)  # noqa: T201


def _resumed(checkpoints: Path) -> int:
    """The step of the last checkpoint, 0 without any."""
    states = checkpoints.glob("checkpoint-*/trainer_state.json")
    return max((int(json.loads(each.read_text())["global_step"]) for each in states), default=0)


def _save(checkpoints: Path, step: int) -> None:
    place = checkpoints / f"checkpoint-{step}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "trainer_state.json").write_text(json.dumps({"global_step": step}))


def _write(options: argparse.Namespace) -> None:
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": options.base,
        "revision": options.revision,
        "r": 1,
        "lora_alpha": 1,
        "target_modules": ["o_proj"],
    }
    header = json.dumps({WEIGHT: {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}})
    weights = struct.pack("<Q", len(header)) + header.encode() + struct.pack("<f", 0.0)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "adapter_config.json").write_text(json.dumps(config, indent=2))
    (options.output / "adapter_model.safetensors").write_bytes(weights)
    (options.output / "README.md").write_text(CARD.format(base=options.base))


if __name__ == "__main__":
    sys.exit(main())
