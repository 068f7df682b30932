"""Adapters are found where they are mounted, and the broken ones are told apart."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from kaito.engine.vllm.adapters import Adapter, Broken, find, listed, max_rank

CONFIG = {"peft_type": "LORA", "r": 8, "bias": "none"}


def weights(size: int = 8, cut: int = 0) -> bytes:
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    whole = struct.pack("<Q", len(text)) + text + bytes(size)
    return whole[: len(whole) - cut]


def adapter(root: Path, name: str = "law", data: bytes | None = None, **changes: object) -> None:
    folder = root / name
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "adapter_model.safetensors").write_bytes(weights() if data is None else data)


def test_folders_with_adapters_are_found_by_name(tmp_path: Path) -> None:
    adapter(tmp_path, "law", r=16)
    adapter(tmp_path, "art")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "..data").mkdir()
    (tmp_path / "a-file").touch()
    assert find(str(tmp_path)) == [
        Adapter(name="art", path=f"{tmp_path}/art", rank=8),
        Adapter(name="law", path=f"{tmp_path}/law", rank=16),
    ]


def test_without_a_directory_there_are_none(tmp_path: Path) -> None:
    assert find(str(tmp_path / "none")) == []


def test_weights_of_older_kinds_are_served_too(tmp_path: Path) -> None:
    adapter(tmp_path)
    (tmp_path / "law/adapter_model.safetensors").rename(tmp_path / "law/adapter_model.bin")
    assert isinstance(find(str(tmp_path))[0], Adapter)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "another kind than LoRA"),
        ({"r": 0}, "rank"),
        ({"r": "8"}, "rank"),
        ({"r": True}, "rank"),
        ({"r": 1024}, "rank"),
        ({"bias": "all"}, "biases"),
        ({"use_dora": True}, "DoRA"),
        ({"data": b""}, "cut off"),
        ({"data": weights(cut=1)}, "cut off"),
        ({"data": b"\xff" * 64}, "cut off"),
        ({"data": struct.pack("<Q", 2) + b"[]"}, "damaged"),
        ({"data": struct.pack("<Q", 2) + b"{}"}, "empty"),
        ({"data": struct.pack("<Q", 7) + b'{"a":1}'}, "damaged"),
    ],
)
def test_what_cannot_be_served_is_told_with_its_reason(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    adapter(tmp_path, **changes)  # type: ignore[arg-type]
    adapter(tmp_path, "art")
    whole, broken = find(str(tmp_path))
    assert isinstance(whole, Adapter)
    assert isinstance(broken, Broken)
    assert why in broken.why


def test_a_config_that_is_no_json_and_missing_files_are_told(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        adapter(tmp_path, name)
    (tmp_path / "a/adapter_config.json").write_bytes(b"\xff{")
    (tmp_path / "b/adapter_config.json").unlink()
    (tmp_path / "c/adapter_model.safetensors").unlink()
    assert find(str(tmp_path)) == [
        Broken(name="a", why="has no JSON in adapter_config.json"),
        Broken(name="b", why="has weights and no adapter_config.json"),
        Broken(name="c", why="has no adapter_model.safetensors"),
    ]


def test_room_is_made_for_the_largest() -> None:
    def of(*ranks: int) -> int:
        return max_rank([Adapter(name="a", path="", rank=rank) for rank in ranks])

    assert [of(), of(1), of(9), of(8, 33), of(512)] == [1, 1, 16, 64, 512]


def test_names_are_listed_whatever_letters_they_have() -> None:
    assert json.loads(listed([Adapter(name='a="1",b', path="/x", rank=1)])) == [['a="1",b', "/x"]]


def test_what_is_nested_too_deeply_to_be_read_is_told(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    adapter(tmp_path, "art")
    (tmp_path / "art/adapter_config.json").write_bytes(deep)
    adapter(tmp_path, "law", struct.pack("<Q", len(deep)) + deep)
    config, header = find(str(tmp_path))
    assert isinstance(config, Broken)
    assert "no JSON" in config.why
    assert isinstance(header, Broken)
    assert "damaged" in header.why
