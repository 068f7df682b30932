"""What can be found wrong is found by a process that has no PyTorch, before there are workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kaito.engine.endings import VARIABLE, Ended, Ending
from kaito.engine.tuning.arguments import LIMIT, parse
from kaito.engine.tuning.card import card
from kaito.engine.tuning.data.check import Checked
from kaito.engine.tuning.result import FILES, publish, scratch
from kaito.engine.tuning.trainer import CONFIG

ENTRY = Path(__file__).parents[4] / "docker" / "workspace" / "tfs" / "fine_tuning.py"
# PyTorch is where these tests run once more, and none of these may import it.
WITHOUT = "import sys; sys.modules['torch'] = None; sys.argv[:] = sys.argv[1:]; "
PATIENCE = 60


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text('{"text": "Hello."}\n')
    return tmp_path


def words(place: Path, *more: str) -> list[str]:
    told = ["--pretrained_model_name_or_path=/none", "--name=small", "--method=lora", "--port=0"]
    return [*told, f"--data={place / 'data'}", f"--output={place / 'out'}", *more]


def ended(place: Path, *more: str, config: str = "") -> tuple[int, str, str]:
    """The exit code, what is left for the kubelet, and the log."""
    log = place / "termination-log"
    log.touch()
    run = f"{WITHOUT}import runpy; runpy.run_path({str(ENTRY)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", run, str(ENTRY), *words(place, *more)],
        env={**os.environ, VARIABLE: str(log), CONFIG: config},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, log.read_text(), done.stderr


def test_broken_data_ends_it_before_a_worker_is_started(place: Path) -> None:
    (place / "data" / "a.jsonl").write_text('{"text": "Hello."}\n{"text": 5}\n')
    code, left, log = ended(place)
    assert code == Ending.DATASET_INVALID
    assert left == (
        "The dataset file a.jsonl holds plain texts, and 1 of 2 records are broken: line 2 has a "
        "number in place of a text as text: mend or remove them."
    )
    assert left in log
    assert list((place / "out").iterdir()) == []


def test_data_above_the_limit_ends_it(place: Path) -> None:
    assert ended(place, "--limit=5")[0] == Ending.DATASET_TOO_LARGE


def test_a_config_that_is_wrong_ends_it(place: Path) -> None:
    code, left, _ = ended(place, config="training_config: {LoraConfig: {rank: 8}}")
    assert code == Ending.CONFIG_INVALID
    assert left == "training_config.yaml: LoraConfig.rank is no setting."


def test_a_config_file_wins_and_must_be_there(place: Path) -> None:
    path = place / "training_config.yaml"
    code, left, _ = ended(place, f"--config={path}")
    assert (code, "needs the key" in left) == (Ending.CONFIG_INVALID, True)
    path.write_text("training_config: {LoraConfig: {r: many}}")
    _, left, _ = ended(place, f"--config={path}", config="training_config: {}")
    assert "LoraConfig.r must be a whole number" in left


@pytest.mark.parametrize("named", ["/etc/passwd", '"/mnt/\\0"'])
def test_a_template_of_chats_is_no_way_to_read_files(place: Path, named: str) -> None:
    config = f"training_config: {{ModelConfig: {{chat_template: {named}}}}}"
    code, left, _ = ended(place, config=config)
    assert code == Ending.CONFIG_INVALID
    assert "a file below /workspace/chat_templates or /mnt" in left


def test_a_word_that_is_wrong_ends_it(place: Path) -> None:
    code, left, _ = ended(place, "--num_processes=0")
    assert code == Ending.CONFIG_INVALID
    assert "--num_processes: must be a number from 1 to 64" in left


def test_a_signal_while_the_data_is_read_ends_it(place: Path) -> None:
    # A pipe in place of the ConfigMap, in which it waits for good.
    os.mkfifo(place / "config")
    run = [sys.executable, str(ENTRY), *words(place, f"--config={place / 'config'}")]
    with (
        subprocess.Popen(run, stderr=subprocess.PIPE) as process,
        (place / "config").open("w"),  # opens when the other side does
    ):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == Ending.STOPPED


def test_a_command_line_says_little_and_means_much() -> None:
    told = parse(["--pretrained_model_name_or_path=microsoft/phi-4", "--method=qlora"])
    assert (told.name, told.base) == ("phi-4", "microsoft/phi-4")
    assert (told.processes, told.limit, told.own_code) == (1, LIMIT, False)
    assert told.checkpoints == Path("/mnt/results/.checkpoints")


def test_an_adapter_is_of_a_name_and_not_of_a_place(tmp_path: Path) -> None:
    told = parse([f"--pretrained_model_name_or_path={tmp_path}", "--name=phi", "--method=lora"])
    assert told.base == "phi"


def made(place: Path, *, but: str = "") -> Path:
    directory = scratch(place / "out") / "adapter"
    directory.mkdir()
    for name in FILES:
        if name not in ("README.md", but):
            (directory / name).write_text(name)
    return directory


def test_a_result_has_three_files_that_anybody_may_read(place: Path) -> None:
    publish(made(place), place / "out", "The card.")
    found = {each.name: each for each in (place / "out").iterdir() if each.is_file()}
    assert sorted(found) == sorted(FILES)
    assert {each.stat().st_mode & 0o777 for each in found.values()} == {0o644}


def test_half_a_result_is_none(place: Path) -> None:
    with pytest.raises(Ended, match="left no adapter_model"):
        publish(made(place, but="adapter_model.safetensors"), place / "out", "The card.")
    assert not any((place / "out" / name).exists() for name in FILES)


def test_what_an_earlier_run_left_is_no_result_of_this_one(place: Path) -> None:
    publish(made(place), place / "out", "The card.")
    scratch(place / "out")
    assert not any((place / "out" / name).exists() for name in FILES)


def test_a_scratch_that_leads_elsewhere_is_not_followed(place: Path) -> None:
    (place / "out").mkdir()
    (place / "precious").mkdir()
    (place / "precious" / "file").touch()
    (place / "out" / ".scratch").symlink_to(place / "precious")
    scratch(place / "out")
    assert (place / "precious" / "file").exists()


def test_a_card_says_what_of_what_from_what() -> None:
    history = [{"step": each, "loss": 1 / each} for each in range(1, 101)]
    text = card(
        name="phi-4",
        base="microsoft/phi-4",
        method="lora",
        checked=Checked(
            kind="chat",
            described="chats",
            examples=7,
            files=("a|b.json", os.fsdecode(b"\xff.json")),
            size=9,
            digest="d1" * 32,
        ),
        settings={"LoraConfig": {"r": 8}, "DataCollator": {}},
        outcome={
            "steps": 100,
            "epochs": 3.0,
            "commit": "abc",
            "dtype": "float32",
            "device": "cpu",
            "history": history,
        },
    )
    assert text.startswith("---\nbase_model: microsoft/phi-4\nlibrary_name: peft\n")
    for line in (
        "| Revision | abc |",
        "| Data | 7 chats in a\\|b.json, ?.json |",
        f"| Data's SHA-256 | {'d1' * 32} |",
        "| 1 | 1.0000 |  |",
        "| 100 | 0.0100 |  |",
        "LoraConfig:\n  r: 8",
    ):
        assert line in text
    assert text.count("\n| ") < 40
    assert text.encode()  # what cannot be written would end a training at its very last step
