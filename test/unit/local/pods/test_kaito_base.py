"""What runs for KAITO's own image, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.pods.images import Images, Program
from kaito.local.pods.kaito_base import (
    KAITO_BASE,
    MOVER,
    SIMULATED_ENGINE,
    SIMULATED_TRAINER,
    kaito_base,
    served_name,
)

IMAGE = "registry/kaito-base:1"


def of(programs: tuple[Program, ...], *command: str) -> Program:
    found = Images(programs).program({"image": IMAGE, "command": command})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["python3", "/workspace/vllm/inference_api.py", "--model=m"], SIMULATED_ENGINE),
        (["python3", "/workspace/tfs/fine_tuning.py", "--method=lora"], SIMULATED_TRAINER),
        (["python3", "-m", "kaito.engine.moving", "pull", "a:1"], MOVER),
        ([], SIMULATED_ENGINE),
    ],
)
def test_a_command_says_what_of_the_image_runs(command: list[str], program: Program) -> None:
    assert of(KAITO_BASE, *command) is program


def test_what_moves_data_is_the_real_program_and_told_what_the_pod_says() -> None:
    container = {"image": IMAGE, "command": ["python3", "-m", "kaito.engine.moving"]}
    container["args"] = ["pull", "--to", "/mnt/data", "registry/data:1"]
    assert not MOVER.simulated
    assert [*MOVER.command(container, {}, 0)][1:] == ["-m", "kaito.engine.moving"]
    assert [*MOVER.words(container)] == ["pull", "--to", "/mnt/data", "registry/data:1"]


def test_a_real_trainer_is_told_what_the_pod_says_less_what_its_command_says() -> None:
    own = ["train", "--pretrained_model_name_or_path=/small"]
    said = ["--pretrained_model_name_or_path=m/phi", "--revision=abc", "--method=lora"]
    program = of(kaito_base(trainer=own), "python3", "/workspace/tfs/fine_tuning.py", *said)
    container = {"command": ["python3", "/workspace/tfs/fine_tuning.py", *said]}
    assert [*program.command(container, {}, 4711)] == [*own, "--port=4711"]
    assert [*program.words(container)] == ["--method=lora"]
    assert not program.simulated


def test_a_real_trainer_without_a_model_of_its_own_gets_that_of_the_pod() -> None:
    said = ["--pretrained_model_name_or_path=m/phi", "--revision=abc"]
    command = ["python3", "/workspace/tfs/fine_tuning.py", *said]
    program = of(kaito_base(trainer=["train"]), *command)
    assert [*program.words({"command": command})] == said


@pytest.mark.parametrize(
    ("container", "name"),
    [
        ({"args": ["--served-model-name", "phi"]}, "phi"),
        ({"args": ["--served-model-name=phi"]}, "phi"),
        ({"command": ["/bin/sh", "-c", "python3 x.py --served-model-name 'phi' --tp 2"]}, "phi"),
        ({"command": ["run", "--model=/weights"]}, "/weights"),
        ({"args": ["--model", "a", "--served-model-name", "b"]}, "b"),
        ({"args": ["--served-model-name"]}, "engine"),
        ({"command": ["accelerate", "--served_model_name=phi"]}, "phi"),
        ({}, "engine"),
    ],
)
def test_the_served_name_stands_in_the_command(container: Any, name: str) -> None:
    assert served_name({"name": "engine", **container}) == name


def test_the_simulated_engine_gets_port_and_name() -> None:
    command = SIMULATED_ENGINE.command({"name": "e", "args": ["--served-model-name=phi"]}, {}, 4711)
    assert command[1:] == [
        "-m",
        "kaito.local.simulated_engine",
        "--port",
        "4711",
        "--model",
        "phi",
    ]
    assert SIMULATED_ENGINE.simulated


def test_the_simulated_engine_gets_the_names_of_adapters() -> None:
    mounts = [{"mountPath": path} for path in ("/dev/shm", "/mnt/adapter/a", "/mnt/adapter/b.c")]
    command = SIMULATED_ENGINE.command({"name": "e", "volumeMounts": mounts}, {}, 1)
    assert command[-4:] == ["--adapter", "a", "--adapter", "b.c"]


def test_what_a_probe_would_run_in_the_image_is_asked_of_the_stand_in() -> None:
    probe = {"exec": {"command": ["python3", "check.py"]}, "periodSeconds": 3}
    asked = SIMULATED_ENGINE.asked(
        {"name": "e", "startupProbe": probe, "livenessProbe": {"grpc": {}}}
    )
    assert asked["startupProbe"] == {
        "httpGet": {"path": "/health", "port": 5000},
        "periodSeconds": 3,
    }
    assert asked["livenessProbe"] == {"grpc": {}}


def test_a_real_engine_takes_the_place_of_the_simulated_one_and_serves_under_its_name() -> None:
    program = of(kaito_base(engine=["serve", "it"]), "vllm", "--served-model-name=phi-3")
    container = {"name": "phi", "command": ["vllm", "--served-model-name=phi-3"]}
    assert [*program.command(container, {}, 5555)] == [
        *("serve", "it", "--port=5555", "--served_model_name=phi-3")
    ]
    assert not program.simulated


def test_a_real_engine_finds_the_adapters_of_the_container() -> None:
    program = of(kaito_base(engine=["serve"]))
    mounts = [{"mountPath": "/mnt/adapter/hello"}]
    assert [*program.words({"name": "e", "volumeMounts": mounts})] == [
        "--adapters_dir=/mnt/adapter"
    ]
    assert [*program.words({"name": "e"})] == []
