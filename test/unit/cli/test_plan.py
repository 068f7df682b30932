"""`kaito plan` as its users call it, without a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaito.cli import main

EXAMPLES = Path(__file__).parents[3] / "examples"
QUICK_START = str(EXAMPLES / "phi-3-mini.yaml")


def workspace(size: str, model: str, **inference: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {"name": "w"},
        "resource": {
            "instanceType": size,
            "labelSelector": {"matchLabels": {"apps": "w"}},
        },
        "inference": {"preset": {"name": model}, **inference},
    }


@pytest.fixture
def plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Plans documents offline: exit code, standard output, standard error."""
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def planned(*documents: Any, options: tuple[str, ...] = ("--offline",)) -> Any:
        file = tmp_path / "manifest.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        code = main(["plan", "-f", str(file), *options])
        told = capsys.readouterr()
        return code, told.out, told.err

    return planned


@pytest.mark.parametrize(
    "file",
    [Path(QUICK_START), *sorted((EXAMPLES / "workspaces").glob("*.yaml"))],
    ids=lambda file: file.stem,
)
def test_every_example_fits_eighty_columns(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "-f", str(file), "--offline"])
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert max(len(line) for line in lines) <= 80


def test_the_quick_start_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", QUICK_START, "--offline"]) == 0
    told = capsys.readouterr().out
    for label in ("Nodes", "Split", "Context", "Memory", "Price", "Ready", "Objects", "Warning"):
        assert f"\n  {label} " in told


@pytest.mark.parametrize(
    ("size", "model", "words"),
    [
        ("Standard_NC6s_v3", "deepseek-r1-0528", "Standard_ND96isr_H200_v5"),
        ("Standard_XYZ", "phi-4", "names like it are"),
        ("Standard_NC24ads_A100_v4", "zz-9", "names that it knows are"),
    ],
)
def test_what_cannot_be_exits_1_with_the_way_out(
    plan: Any, size: str, model: str, words: str
) -> None:
    code, out, _ = plan(workspace(size, model))
    assert code == 1
    assert words in " ".join(out.split())


def test_a_model_without_a_configuration_exits_1_with_the_way_out(plan: Any) -> None:
    good = workspace("Standard_NC24ads_A100_v4", "phi-4")
    code, out, _ = plan(workspace("Standard_NC24ads_A100_v4", "acme/llm"), good)
    assert code == 1
    assert "--model-config acme/llm=PATH" in " ".join(out.split())
    assert "microsoft/phi-4" in out


def test_a_model_of_ones_own_is_read_from_its_configuration(plan: Any, tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "vocab_size": 32000,
        "torch_dtype": "bfloat16",
    }
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    index = {"metadata": {"total_size": 16 * 1024**3}, "weight_map": {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    options = ("--offline", "--model-config", f"acme/llm={folder}", "-o", "json")
    code, out, _ = plan(workspace("Standard_NC24ads_A100_v4", "acme/llm"), options=options)
    (told,) = json.loads(out)
    assert code == 0
    assert told["model"] == "acme/llm"
    assert told["estimate"]["maxContext"] == 8192


def test_yaml_is_what_the_controller_would_apply_and_nothing_else(plan: Any) -> None:
    found = workspace("Standard_NC24ads_A100_v4", "phi-4")
    code, out, err = plan(found, options=("--offline", "-o", "yaml"))
    assert (code, err) == (0, "")
    assert [each["kind"] for each in yaml.safe_load_all(out)] == [
        "Machine",
        "Service",
        "Deployment",
    ]


def test_json_holds_each_workspace_with_what_is_not_known_as_null(plan: Any) -> None:
    code, out, _ = plan(
        workspace("Standard_NX96_v9", "phi-4"),
        workspace("Standard_NC24ads_A100_v4", "phi-4"),
        options=("--offline", "-o", "json"),
    )
    unknown, known = json.loads(out)
    assert code == 0
    assert unknown["price"] is None
    assert known["price"]["usdPerHour"] > 0
    assert known["changes"] is None


def test_a_config_map_of_the_same_file_counts(plan: Any) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"inference_config.yaml": "vllm: {max-model-len: 99999}"},
    }
    code, out, _ = plan(workspace("Standard_NC24ads_A100_v4", "phi-4", config="c"), config)
    assert code == 1
    assert "16,384 tokens" in " ".join(out.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is no YAML"),
        ("kind: Secret", "holds no Workspace"),
        ("- 1", "is no object"),
        ("&a [*a]", "is no"),
        ("apiVersion: kaito.sh/v1beta1\nkind: Workspace", "has no metadata.name"),
    ],
)
def test_a_file_that_cannot_be_planned_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    assert main(["plan", "-f", str(file), "--offline"]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", "/nowhere.yaml", "--offline"]) == 1
    assert "/nowhere.yaml: No such file" in capsys.readouterr().err
