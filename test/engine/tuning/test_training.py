"""A trainer as a Pod runs it: to its end, killed and gone on with, stopped, several at once."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from kaito.engine.endings import Ending
from kaito.engine.tuning.checkpoints import SEAL, is_whole
from kaito.engine.tuning.result import FILES
from kaito.engine.vllm import adapters
from test.engine.serving import ANSWER, QUESTION, Server, free_port
from test.engine.serving import running as serving
from test.engine.tuning.training import LEARNED, PATIENCE, Run, run, running, text, worked

STEPS = 96
CONFIG = text(
    TrainingArguments={
        "learning_rate": "5e-3",
        "num_train_epochs": 24,
        "per_device_train_batch_size": 4,
        "save_steps": 10,
    },
    LoraConfig={"lora_alpha": 16},
)
ENDLESS = text(TrainingArguments={"num_train_epochs": 10_000, "save_steps": 5})


@pytest.fixture(scope="module")
def trained(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One that was killed in the middle, and gone on with to its end."""
    place = tmp_path_factory.mktemp("trained") / "here"
    with running(place, small_model, CONFIG) as killed:
        sealed = killed.until(f"checkpoints/*/checkpoint-20/{SEAL}")
        killed.process.send_signal(signal.SIGKILL)
        # Ends when the worker, who has the other end of it, has ended, too.
        killed.finish()
    assert not (place / "out" / "adapter_config.json").exists()
    # The next one was being written when the node went.
    torn = sealed.parent.parent / "checkpoint-95"
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{")
    return run(place, small_model, CONFIG)


def weights(done: Run) -> bytes:
    return (done.place / "out" / "adapter_model.safetensors").read_bytes()


def test_a_training_leaves_an_adapter_with_its_card(trained: Run) -> None:
    assert trained.code == 0, trained.log
    out = trained.place / "out"
    assert sorted(each.name for each in out.iterdir()) == sorted(FILES)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("phi-3-mini", 8)
    layers = {each.rpartition(".")[2] for each in config["target_modules"]}
    assert layers == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}
    assert config["inference_mode"] is True
    assert f"| Steps | {STEPS} |" in (out / "README.md").read_text()


def test_how_far_it_is_stands_on_standard_output(trained: Run) -> None:
    first, last = trained.told[0], trained.told[-1]
    assert first["steps"] == STEPS
    assert last["step"] == STEPS
    assert last["secondsLeft"] == 0
    assert last["loss"] < 0.05
    assert last["examples"] == 24 * 14
    assert last["tokensPerSecond"] > 0
    assert trained.left.startswith(f"Trained {STEPS} steps on 14 instructions with answers")


def test_nothing_of_the_data_is_in_the_log(trained: Run) -> None:
    assert LEARNED not in "\n".join([*trained.lines, trained.log])


def test_nothing_is_written_elsewhere(trained: Run) -> None:
    assert list((trained.place / "elsewhere").rglob("*")) == []


def test_the_two_last_checkpoints_are_kept_and_whole(trained: Run) -> None:
    found = list((trained.place / "checkpoints").glob("*/checkpoint-*"))
    assert sorted(each.name for each in found) == ["checkpoint-90", "checkpoint-96"]
    assert all(is_whole(each) for each in found)


def test_a_run_goes_on_from_its_last_whole_checkpoint(trained: Run) -> None:
    step = trained.told[0]["step"]
    assert 20 <= step < STEPS
    assert f"It goes on from checkpoint-{step}." in trained.log


def test_a_run_that_was_killed_learns_what_it_would_have_learned(
    trained: Run, small_model: Path, tmp_path: Path
) -> None:
    worked(tmp_path, small_model, CONFIG, trained.place / "data")
    # Shuffled and trained alike, to the last bit.
    undisturbed = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights(trained) == undisturbed


def test_a_signal_ends_all_processes_with_a_checkpoint(small_model: Path, tmp_path: Path) -> None:
    port = free_port()
    words = ("--num_processes=2", f"--port={port}")
    with running(tmp_path / "here", small_model, ENDLESS, *words) as stopped:
        stopped.until(f"checkpoints/*/checkpoint-5/{SEAL}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as page:
            metrics = page.read().decode()
        stopped.process.send_signal(signal.SIGTERM)
        stopped.finish()
    assert stopped.code == Ending.STOPPED, stopped.log
    assert 'kaito_tuning_phase_info{phase="training"} 1.0' in metrics
    assert "kaito_tuning_steps 70000.0" in metrics
    step = stopped.told[-1]["step"]
    assert f"told to stop after step {step} of 70000, and left a checkpoint" in stopped.left
    (place,) = (stopped.place / "checkpoints").iterdir()
    assert is_whole(place / f"checkpoint-{step}")
    assert {each.name for each in (place / f"checkpoint-{step}").glob("rng_state*")} == {
        "rng_state_0.pth",
        "rng_state_1.pth",
    }
    assert not list((stopped.place / "out").iterdir())


def test_the_launcher_of_vllm_finds_the_adapter_whole(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "tuned").symlink_to(trained.place / "out")
    assert [(type(each), each.name) for each in adapters.find(str(tmp_path))] == [
        (adapters.Adapter, "tuned")
    ]


def answer(server: Server, name: str) -> str:
    said = server.client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": QUESTION}], temperature=0
    )
    return said.choices[0].message.content or ""


def test_the_adapter_changes_answers_as_strongly_as_it_is_told(
    trained: Run, small_model: Path, tmp_path: Path
) -> None:
    for name in ("tuned", "without"):
        (tmp_path / name).symlink_to(trained.place / "out")
    with serving(small_model, f"--adapters_dir={tmp_path}", tuned="1.0", without="0") as server:
        assert answer(server, "tuned") == LEARNED
        assert answer(server, "without") == ANSWER
        assert answer(server, "phi-3-mini") == ANSWER
