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
        """Workspaces that were given no name of their own get one each."""
        for place, document in enumerate(documents):
            if document["metadata"] == {"name": "w"}:
                document["metadata"] = {"name": f"w{place or ''}"}
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
        ("Standard_NX96_v9", "phi-4", "name a size of `kaito skus`"),
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
    assert code == 1
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


# The verdict


def verdicts(plan: Any, *documents: Any) -> list[tuple[str, bool | None]]:
    _, out, _ = plan(*documents, options=("--offline", "-o", "json"))
    return [(each["verdict"], each["runs"]) for each in json.loads(out)]


def test_the_verdict_is_the_first_line_and_in_json(plan: Any) -> None:
    refused = workspace("Standard_XYZ", "phi-4")
    stuck = workspace("Standard_NC6s_v3", "phi-3-mini-4k-instruct")
    unknown = workspace("Standard_NX96_v9", "phi-4")
    going = workspace("Standard_NC24ads_A100_v4", "phi-4")
    told = verdicts(plan, refused, stuck, unknown, going)
    assert [runs for _, runs in told] == [False, False, None, True]
    assert told[0][0] == "refused: nothing is brought up"
    assert told[1][0].startswith("applied, but the engine will not start: NVIDIA V100 has")
    assert told[3][0] == "goes"
    code, out, _ = plan(stuck)
    assert code == 0
    assert "\n  Verdict    applied, but the engine will not start:" in out
    assert "\n  Ready      never as it is\n" in out


def test_no_sentence_is_told_twice(plan: Any) -> None:
    _, out, _ = plan(workspace("Standard_NC4as_T4_v3", "phi-3-mini-4k-instruct"))
    assert " ".join(out.split()).count("turn into infinity") == 1


def test_the_context_that_the_engine_is_told_is_that_of_the_account(plan: Any) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"inference_config.yaml": "vllm: {max-model-len: 4096}"},
    }
    _, out, _ = plan(workspace("Standard_NC24ads_A100_v4", "phi-4", config="c"), config)
    said = " ".join(out.split())
    assert "Context 4,096 tokens, as max-model-len of its ConfigMap says; room for" in said


# Several Workspaces


def own_node(name: str) -> dict[str, Any]:
    labels = {
        "apps": "w",
        "nvidia.com/gpu.product": "NVIDIA-A100",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.memory": "81920",
    }
    status = {
        "allocatable": {"nvidia.com/gpu": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


def named(name: str, size: str) -> dict[str, Any]:
    return {**workspace(size, "phi-4"), "metadata": {"name": name}}


def test_a_node_that_one_takes_is_not_there_for_the_next(plan: Any) -> None:
    _, out, _ = plan(
        named("a", ""), named("b", ""), own_node("n"), options=("--offline", "-o", "json")
    )
    first, second = json.loads(out)
    assert first["ownNodes"] == ["n"]
    assert first["gpus"] == "1 x NVIDIA-A100 (80 GiB)"
    assert first["waits"] is None
    assert second["ownNodes"] == []
    assert second["waits"].startswith("0 of 1 nodes are there.")


def test_no_two_workspaces_ask_for_machines_of_one_name(plan: Any) -> None:
    size = "Standard_NC24ads_A100_v4"
    _, out, _ = plan(named("a", size), named("b", size), options=("--offline", "-o", "json"))
    machines = [each["objects"][0]["metadata"]["name"] for each in json.loads(out)]
    assert len(set(machines)) == 2


# What is asked for wrongly


def test_one_workspace_twice_is_told(plan: Any) -> None:
    code, _, err = plan(named("a", ""), named("a", ""))
    assert code == 1
    assert "Workspace default/a is there more than once" in err


def test_a_version_that_does_not_exist_is_told(plan: Any) -> None:
    code, _, err = plan({**workspace("", "phi-4"), "apiVersion": "kaito.sh/v9"})
    assert code == 1
    assert "kaito.sh/v9, which does not exist: write kaito.sh/v1beta1 or kaito.sh/v1alpha1" in err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The folder of a model that no catalogue knows."""
    folder = tmp_path / "llm"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 3}
    (folder / "config.json").write_text(json.dumps(config))
    index = {"metadata": {"total_size": 16 * 1024**3}, "weight_map": {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_configuration_without_a_name_is_that_of_the_only_stranger(
    plan: Any, checkpoint: Path
) -> None:
    options = ("--offline", "--model-config", str(checkpoint), "-o", "json")
    size = "Standard_NC24ads_A100_v4"
    _, out, _ = plan(workspace(size, "acme/llm"), workspace(size, "phi-4"), options=options)
    assert [each["model"] for each in json.loads(out)] == ["acme/llm", "microsoft/phi-4"]


@pytest.mark.parametrize(
    ("presets", "name", "words"),
    [
        (("phi-4",), "acme/llm=", "acme/llm, which no Workspace has for a preset: they have phi-4"),
        (("phi-4",), "", "none of the presets asked for are in no catalogue"),
        (("a/b", "c/d"), "", "2 of the presets asked for are in no catalogue"),
    ],
)
def test_a_configuration_that_no_workspace_uses_is_told(
    plan: Any, checkpoint: Path, presets: tuple[str, ...], name: str, words: str
) -> None:
    found = [workspace("Standard_NC24ads_A100_v4", preset) for preset in presets]
    code, _, err = plan(*found, options=("--offline", "--model-config", f"{name}{checkpoint}"))
    assert code == 1
    assert words in err


def test_a_secret_that_pods_read_is_needed(plan: Any) -> None:
    found = workspace("Standard_NC24ads_A100_v4", "llama-3.1-8b-instruct")
    found["inference"]["preset"]["presetOptions"] = {"modelAccessSecret": "hf"}
    _, out, _ = plan(found)
    assert "\n  Needs      Secret hf with the key HF_TOKEN in default\n" in out
    _, out, _ = plan(found, options=("--offline", "-o", "json"))
    (told,) = json.loads(out)
    assert told["secrets"] == [{"name": "hf", "key": "HF_TOKEN", "exists": None}]


def test_what_is_refused_for_want_of_a_token_is_not_printed_to_be_applied(plan: Any) -> None:
    found = workspace("Standard_NC24ads_A100_v4", "llama-3.1-8b-instruct")
    code, out, err = plan(found, options=("--offline", "-o", "yaml"))
    assert (code, out) == (1, "")
    assert "modelAccessSecret is not set" in err


def test_a_node_class_without_anything_to_stand_on_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--node-class", "karpenter.azure.com/AKSNodeClass/default"]
    assert main(["plan", "--offline", "-f", QUICK_START, *options]) != 0
    assert "--node-request is machine" in capsys.readouterr().err
    assert main(["plan", "--offline", "-f", QUICK_START, *options, "--node-request=nodepool"]) == 0


def tuning(model: str, size: str = "Standard_NC24ads_A100_v4", **changes: Any) -> dict[str, Any]:
    document = workspace(size, model)
    del document["inference"]
    document["tuning"] = {
        "preset": {"name": model},
        "method": "qlora",
        "input": {"urls": ["https://data.example.com/questions.jsonl"]},
        "output": {"image": "registry.example.com/adapters/a:1", "imagePushSecret": "push"},
        **changes,
    }
    return document


def test_a_training_is_told_in_full_within_eighty_columns(plan: Any) -> None:
    code, out, _ = plan(tuning("phi-4"))
    assert code == 0
    for label in ("Trains", "Step", "Memory", "Disk", "Price", "Takes", "Begins", "Objects"):
        assert f"\n  {label} " in out
    assert max(map(len, out.splitlines())) <= 80
    assert "each million tokens" in " ".join(out.split())
    assert "a month" not in out


def test_time_and_price_are_for_as_many_tokens_as_one_says(plan: Any) -> None:
    options = ("--offline", "--tokens", "20M", "-o", "json")
    code, out, _ = plan(tuning("phi-4"), options=options)
    (told,) = json.loads(out)
    found = told["training"]
    assert code == 0
    assert found["tokens"] == 20_000_000
    assert found["processes"] == 1
    assert found["memoryGiBPerGPU"]["needed"] < found["memoryGiBPerGPU"]["usable"]
    for end in ("low", "high"):
        million = found["secondsPerMillionTokens"][end]
        assert found["seconds"][end] == pytest.approx(20 * million, abs=20)
        hours = found["seconds"][end] / 3600
        assert found["usd"][end] == pytest.approx(hours * told["price"]["usdPerHour"], abs=0.01)


def test_settings_in_the_file_count(plan: Any) -> None:
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {
            "training_config.yaml": "training_config: {LoraConfig: {r: 64}, QuantizationConfig: "
            "{load_in_8bit: true}}"
        },
    }
    options = ("--offline", "-o", "json")
    code, out, _ = plan(tuning("phi-4", config="settings"), settings, options=options)
    (told,) = json.loads(out)
    assert code == 0
    assert (told["training"]["rank"], told["training"]["bits"]) == (64, 8)


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        ("llama-2-70b", "Standard_NC4as_T4_v3", "Standard_NC24ads_A100_v4"),
        ("gpt-oss-20b", "Standard_NC24ads_A100_v4", "whose layers the trainer does not know"),
    ],
)
def test_a_training_that_cannot_be_exits_1_with_the_way_out(
    plan: Any, model: str, size: str, words: str
) -> None:
    secret = {"presetOptions": {"modelAccessSecret": "hf"}}
    code, out, _ = plan(tuning(model, size, preset={"name": model, **secret}))
    assert code == 1
    assert words in " ".join(out.split())


@pytest.mark.parametrize("tokens", ["0", "-1", "1.5M", "many", "5T", "9" * 20, ""])
def test_what_is_no_number_of_tokens_is_refused(plan: Any, tokens: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        plan(tuning("phi-4"), options=("--offline", f"--tokens={tokens}"))
    assert exit_.value.code == 2


def test_a_model_that_is_served_has_no_training(plan: Any) -> None:
    options = ("--offline", "-o", "json")
    _, out, _ = plan(workspace("Standard_NC24ads_A100_v4", "phi-4"), options=options)
    (told,) = json.loads(out)
    assert told["training"] is None
