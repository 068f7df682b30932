"""What the server is told, held against what a controller says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito.engine.serving.arguments import PORT, environment, parse


def test_the_controllers_arguments_are_understood() -> None:
    found = parse(
        [
            "--pipeline=text-generation",
            "--torch_dtype=bfloat16",
            "--pretrained_model_name_or_path=microsoft/Phi-4",
            "--allow_remote_files",
            "--cache_dir=/workspace/weights",
            "--served_model_name=phi-4",
            "--revision=abc",
            "--trust_remote_code",
        ],
        {"KAITO_API_KEY": "secret"},
    )
    assert (found.model, found.name, found.revision) == ("microsoft/Phi-4", "phi-4", "abc")
    assert (found.dtype, found.trust_remote_code, found.key) == ("bfloat16", True, "secret")
    assert (found.port, found.adapters) == (PORT, Path("/mnt/adapter"))
    assert environment(found)["HF_HUB_CACHE"] == "/workspace/weights"
    assert "HF_HUB_OFFLINE" not in environment(found)


def test_nothing_is_fetched_unless_that_is_allowed() -> None:
    assert environment(parse([], {}))["HF_HUB_OFFLINE"] == "1"


def test_a_model_without_a_name_is_served_by_the_last_part_of_its_own() -> None:
    assert parse(["--pretrained_model_name_or_path=/weights/phi/"], {}).name == "phi"


@pytest.mark.parametrize(
    "wrong",
    [
        "--max_running=0",
        "--max_waiting=-1",
        "--nonsense",
        "--port=x",
        "--port=65536",
        "--drain_seconds=nan",
    ],
)
def test_wrong_arguments_are_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([wrong], {})
    assert wrong.partition("=")[0] in capsys.readouterr().err
