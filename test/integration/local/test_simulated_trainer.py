"""The stand-in for the trainer, as a process: what it reads, says, writes and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kaito.engine.endings import Ending

PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Place:
    """Directories as a Pod has them."""

    top: Path

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "kaito.local.simulated_trainer"),
                *("--pretrained_model_name_or_path=org/model", "--method=lora", "--revision=abc"),
                f"--data={self.top / 'data'}",
                f"--output={self.top / 'results'}",
                f"--checkpoints={self.top / 'checkpoints'}",
            ],
            env={**os.environ, "KAITO_TERMINATION_LOG": str(self.top / "message")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def train(self, data: str) -> tuple[int, list[str]]:
        """The exit code, and the lines of standard output."""
        (self.top / "data").mkdir(exist_ok=True)
        (self.top / "data" / "train.jsonl").write_text(data)
        process = self.start()
        said, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, said.splitlines()

    @property
    def message(self) -> str:
        return (self.top / "message").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def steps(lines: list[str]) -> list[int]:
    """The steps that progress was told of."""
    mark = "KAITO_TUNING "
    told = [json.loads(each.removeprefix(mark)) for each in lines if each.startswith(mark)]
    return [each["step"] for each in told]


def test_a_training_tells_its_steps_and_writes_an_adapter_that_says_what_it_is(
    place: Place,
) -> None:
    code, said = place.train('{"text": "one"}\n{"text": "two"}\n')
    assert (code, steps(said)) == (0, list(range(1, 11)))
    assert json.loads(said[1].removeprefix("KAITO_TUNING "))["examples"] == 2
    results = place.top / "results"
    config = json.loads((results / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "org/model"
    assert "simulated" in (results / "README.md").read_text()
    weights = (results / "adapter_model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    [(_, tensor)] = header.items()
    assert len(weights) == 8 + int.from_bytes(weights[:8], "little") + tensor["data_offsets"][1]


@pytest.mark.parametrize("ending", [Ending.OUT_OF_MEMORY, Ending.DATASET_INVALID])
def test_words_in_the_data_say_how_it_ends(place: Place, ending: Ending) -> None:
    word = ending.name.lower().replace("_", "-")
    code, said = place.train(f'{{"text": "local.kaito.sh/fault={word}"}}')
    assert (code, steps(said)) == (ending, [])
    assert word in place.message
    assert not (place.top / "results").exists()


@pytest.mark.parametrize(
    ("data", "why"), [("", "holds no data"), ("local.kaito.sh/fault=tired", "tired")]
)
def test_data_that_nothing_can_be_made_of_is_refused(place: Place, data: str, why: str) -> None:
    assert place.train(data)[0] == Ending.DATASET_INVALID
    assert why in place.message


def test_a_training_that_was_stopped_goes_on_from_its_checkpoint(place: Place) -> None:
    data = place.top / "data"
    data.mkdir()
    (data / "train.txt").write_text("local.kaito.sh/fault=hold")
    with place.start() as process:
        assert process.stdout is not None
        while '"step":5,' not in process.stdout.readline():
            pass
        process.terminate()
        assert process.wait(PATIENCE) == Ending.STOPPED
    with place.start() as process:
        said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, steps(said.splitlines())) == (0, [6, 7, 8, 9, 10])
