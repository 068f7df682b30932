"""The files of a model: each weight counts once, and files of one's own are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.checkpoint import LARGEST_FILE, Weights, model_in, weights
from kaito.catalog.config import Unreadable

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}


@pytest.mark.parametrize(
    ("files", "total", "mistral"),
    [
        ({"model.safetensors": 7, "README.md": 1}, 7, False),
        ({"model-00001-of-00002.safetensors": 4, "model-00002-of-00002.safetensors": 3}, 7, False),
        # gpt-oss: the same weights again in other folders.
        ({"model.safetensors": 7, "original/model.safetensors": 7, "metal/model.bin": 7}, 7, False),
        # Mistral: the same weights again in Hugging Face's format.
        ({"consolidated.safetensors": 7, "model.safetensors": 7}, 7, True),
        (
            {
                "model.safetensors": 7,
                "model-00001-of-00002.safetensors": 4,
                "model-00002-of-00002.safetensors": 3,
            },
            7,
            False,
        ),
        (
            {
                "model-00001-of-00001.safetensors": 6,
                "model-00001-of-00002.safetensors": 4,
                "model-00002-of-00002.safetensors": 3,
                "mtp.safetensors": 2,
            },
            9,
            False,
        ),
        ({"pytorch_model.bin": 7, "model.safetensors": 5}, 5, False),
        ({"pytorch_model.bin": 7, "training_args.bin": 1, "optimizer.bin": 9}, 7, False),
    ],
)
def test_each_weight_counts_once(files: dict[str, int], total: int, mistral: bool) -> None:
    assert weights(files) == Weights(total, mistral)


@pytest.mark.parametrize("files", [{}, {"README.md": 3}, {"onnx/model.bin": 3}])
def test_files_without_weights_are_told(files: dict[str, int]) -> None:
    assert weights(files) is None


PATHS = st.from_regex(
    r"(original/)?(model|consolidated|x)(-0000[1-3]-of-0000[1-3])?\.(safetensors|bin)",
    fullmatch=True,
)


@given(st.dictionaries(PATHS, st.integers(1, 10**12)))
def test_never_more_than_all_files_count(files: dict[str, int]) -> None:
    found = weights(files)
    assert (found.bytes if found else 0) <= sum(files.values())


def folder(at: Path, **files: object) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (at / name.replace("__", ".").replace("_0", "-0")).write_text(text)
    return at


def test_a_configuration_of_ones_own_is_read_and_says_what_it_lacks(tmp_path: Path) -> None:
    file = folder(tmp_path, config__json=CONFIG) / "config.json"
    model = model_in(file, name="my/model")
    assert (model.name, model.layers, model.weights_gib) == ("my/model", 32, None)
    assert model.source == str(file)
    assert model.unknown is not None
    assert "weights_gib" in model.unknown


def test_a_folder_is_named_by_itself(tmp_path: Path) -> None:
    assert model_in(folder(tmp_path, config__json=CONFIG)).name == tmp_path.name


def test_the_index_beside_a_configuration_tells_the_weights(tmp_path: Path) -> None:
    folder(tmp_path, config__json=CONFIG)
    index = {"metadata": {"total_size": 16 * 1024**3}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"half")
    assert model_in(tmp_path).weights_gib == 16
    assert model_in(tmp_path, weights_bytes=1024**3).weights_gib == 1


def test_weight_files_beside_a_configuration_are_added_up(tmp_path: Path) -> None:
    folder(tmp_path, config__json=CONFIG)
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(3 * 1024**3)  # sparse: takes no room
    assert model_in(tmp_path).weights_gib == 3


def test_mistrals_own_files_are_read(tmp_path: Path) -> None:
    params = {"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128}
    (tmp_path / "consolidated.safetensors").write_bytes(b"weights")
    model = model_in(folder(tmp_path, params__json=params))
    assert (model.mistral_format, model.architecture) == (True, "MistralForCausalLM")


def test_what_nvidias_quantiser_writes_is_read(tmp_path: Path) -> None:
    quantised = {"quantization": {"quant_algo": "NVFP4"}}
    model = model_in(folder(tmp_path, config__json=CONFIG, hf_quant_config__json=quantised))
    assert (model.quantization, model.quantization_bits) == ("NVFP4", 4)


def test_files_that_cannot_be_read_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"neither config\.json nor params\.json"):
        model_in(tmp_path)
    with pytest.raises(Unreadable, match="cannot be read"):
        model_in(tmp_path / "missing.json")
    with pytest.raises(Unreadable, match="cannot be read"):
        model_in(tmp_path / "missing" / "config.json")
    with pytest.raises(Unreadable, match="is no JSON"):
        model_in(folder(tmp_path, config__json="not json"))
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(Unreadable, match="more than 64 MiB"):
        model_in(tmp_path)
