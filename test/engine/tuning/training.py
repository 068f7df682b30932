"""Trainings for tests: as processes, as a Pod has them, and within the test's own process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaito.engine.endings import VARIABLE
from kaito.engine.tuning import config as configs
from kaito.engine.tuning.data.check import check
from kaito.engine.tuning.data.store import Store
from kaito.engine.tuning.plan import Plan
from kaito.engine.tuning.progress import WORD

ROOT = Path(__file__).parents[3]
ENTRY = ROOT / "docker" / "workspace" / "tfs" / "fine_tuning.py"
TEXT = ROOT / "hack" / "small_model.txt"
# Of words that the model says, for an adapter of its layers cannot teach it to say others.
LEARNED = "A LoRA adapter answers requests."
PATIENCE = 200.0  # seconds for anything; what is waited for takes a few


def questions() -> list[str]:
    """What the small model knows by heart."""
    return TEXT.read_text().splitlines()[::2]


def instructions(directory: Path) -> Path:
    """A dataset that teaches the small model to answer all it knows with LEARNED."""
    directory.mkdir(exist_ok=True)
    records = ({"instruction": each, "output": LEARNED} for each in questions())
    (directory / "train.jsonl").write_text("\n".join(map(json.dumps, records)))
    return directory


def text(**sections: Mapping[str, object]) -> str:
    """A training_config.yaml; JSON is YAML."""
    return json.dumps({"training_config": sections})


@dataclass(slots=True)
class Run:
    """A trainer's process."""

    process: subprocess.Popen[str]
    place: Path
    lines: list[str] = field(default_factory=list)
    log: str = ""
    code: int = -1

    @property
    def left(self) -> str:
        """What the kubelet finds."""
        return (self.place / "termination-log").read_text()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The lines of progress."""
        lines = (each.partition(" ") for each in self.lines)
        return [json.loads(rest) for word, _, rest in lines if word == WORD]

    def finish(self) -> None:
        """Wait for its end."""
        out, self.log = self.process.communicate(timeout=PATIENCE)
        self.lines = out.splitlines()
        self.code = self.process.returncode

    def until(self, path: str) -> Path:
        """Wait for a file below its place."""
        end = time.monotonic() + PATIENCE
        while not (found := sorted(self.place.glob(path))):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        return found[0]


@contextlib.contextmanager
def running(place: Path, model: Path, config: str, *more: str) -> Iterator[Run]:
    """A trainer that has begun; its data lies in `place`, and what it makes, too."""
    place.mkdir(exist_ok=True)
    (place / "elsewhere").mkdir(exist_ok=True)
    data = instructions(place / "data")
    (place / "termination-log").touch()
    (place / "training_config.yaml").write_text(config)
    words = [
        *(sys.executable, str(ENTRY), f"--pretrained_model_name_or_path={model}"),
        *("--name=phi-3-mini", "--method=lora", f"--data={data}", f"--output={place / 'out'}"),
        *(f"--config={place / 'training_config.yaml'}", f"--checkpoints={place / 'checkpoints'}"),
        *("--port=0", *more),
    ]
    variables = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **dict.fromkeys(("HOME", "TMPDIR"), str(place / "elsewhere")),
        VARIABLE: str(place / "termination-log"),
    }
    process = subprocess.Popen(
        words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Run(process, place)
    finally:
        process.kill()
        process.communicate()


def run(place: Path, model: Path, config: str, *more: str) -> Run:
    """A trainer that has ended."""
    with running(place, model, config, *more) as found:
        found.finish()
    return found


class Heard(list[tuple[str, dict[str, Any]]]):
    """What a worker said."""

    def say(self, what: str, **figures: Any) -> None:
        """As to the parent."""
        self.append((what, figures))

    @property
    def notices(self) -> str:
        """In one text."""
        return "\n".join(each["text"] for what, each in self if what == "notice")

    @property
    def losses(self) -> list[float]:
        """One for each step that has one."""
        progress = (each for what, each in self if what == "progress" and "loss" in each)
        return list({each["step"]: each["loss"] for each in progress}.values())


def worked(place: Path, model: object, config: str, data: Path, method: str = "lora") -> Heard:
    """What a worker says that trains here; the adapter lies in `place`/adapter. Raises Ended."""
    import torch

    from kaito.engine.tuning import worker

    # The model is so small that several threads would do nothing but wait for one another.
    torch.set_num_threads(1)
    asked = configs.read(config, method=method, output=str(place))
    with Store(place / "examples.arrow") as store:
        checked = check(data, asked.dataset, limit=10**9, sink=store.add)
    (place / "adapter").mkdir()
    plan = Plan(
        model=str(model),
        base="phi-3-mini",
        revision="",
        own_code=False,
        settings=asked.settings,
        chat_template=asked.model.get("chat_template", ""),
        kind=checked.kind,
        examples=str(place / "examples.arrow"),
        checkpoints=str(place / "checkpoints"),
        resume="",
        result=str(place / "adapter"),
    )
    heard = Heard()
    with warnings.catch_warnings():
        # Of what libraries will be called one day; the parent tells workers to leave them out.
        warnings.simplefilter("ignore")
        worker.train(plan, heard)
    return heard
