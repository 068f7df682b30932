"""The files of a volume change all at once, and lie inside of it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pods.payload import File, VolumeError, chosen, entries, publish

NOW = 1_767_225_600.0


def files(**contents: str) -> dict[str, File]:
    return {name.replace("__", "/"): File(text.encode(), 0o644) for name, text in contents.items()}


def visible(directory: Path) -> dict[str, str]:
    """What a reader sees."""
    found = {}
    for top in directory.iterdir():
        if top.name.startswith(".."):
            continue
        for path in [top, *top.resolve().rglob("*")]:
            if path.is_file():
                inner = path.relative_to(top.resolve()) if path != top else Path()
                found[(Path(top.name) / inner).as_posix()] = path.read_text()
    return found


def test_files_come_change_and_go(tmp_path: Path) -> None:
    assert publish(tmp_path, files(a="1", dir__b="2"), NOW)
    assert visible(tmp_path) == {"a": "1", "dir/b": "2"}
    assert publish(tmp_path, files(a="3", c="4"), NOW + 1)
    assert visible(tmp_path) == {"a": "3", "c": "4"}


def test_a_version_is_swapped_by_one_link(tmp_path: Path) -> None:
    publish(tmp_path, files(a="1"), NOW)
    before = (tmp_path / "..data").readlink()
    assert before.name.startswith("..2026_01_01_00_00_00.")
    assert (tmp_path / "a").readlink() == Path("..data/a")
    publish(tmp_path, files(a="2"), NOW)
    assert (tmp_path / "..data").readlink() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["..data", "a", (tmp_path / "..data").readlink().name]
    )


def test_nothing_is_written_when_nothing_changes(tmp_path: Path) -> None:
    publish(tmp_path, files(a="1"), NOW)
    link = (tmp_path / "..data").readlink()
    assert not publish(tmp_path, files(a="1"), NOW + 60)
    assert (tmp_path / "..data").readlink() == link
    assert publish(tmp_path, {"a": File(b"1", 0o600)}, NOW), "a mode is a change"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "..data", "..x/y", ""])
def test_no_file_leaves_its_volume(tmp_path: Path, path: str) -> None:
    volume = tmp_path / "volume"
    with pytest.raises(VolumeError):
        publish(volume, {path: File(b"", 0o644)}, NOW)
    assert list(tmp_path.rglob("*")) == []


def test_modes_hold_and_no_bit_beyond_them(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"", 0o4755), "b": File(b"", 0o400)}, NOW)
    modes = [(tmp_path / name).stat().st_mode & 0o7777 for name in "ab"]
    assert modes == [0o755, 0o400]


@given(content=st.binary(max_size=200))
def test_secrets_and_binary_data_are_kept_byte_by_byte(content: bytes) -> None:
    packed = base64.b64encode(content).decode()
    assert entries("secret", {"data": {"k": packed}}) == {"k": content}
    assert entries("configmap", {"binaryData": {"k": packed}, "data": {"t": "x"}}) == {
        "k": content,
        "t": b"x",
    }


def test_items_choose_names_and_modes() -> None:
    held = {"a": b"1", "b": b"2"}
    items = [{"key": "b", "path": "x/y"}, {"key": "a", "path": "z", "mode": 0o600}]
    assert chosen("configmap", held, items, mode=0o644, optional=False) == {
        "x/y": File(b"2", 0o644),
        "z": File(b"1", 0o600),
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("configmap", "configmap references non-existent config key: z"),
        ("secret", "references non-existent secret key: z"),
    ],
)
def test_a_key_that_is_not_there_is_an_error_unless_optional(kind: str, message: str) -> None:
    items = [{"key": "z", "path": "z"}]
    with pytest.raises(VolumeError, match=message):
        chosen(kind, {}, items, mode=0o644, optional=False)  # type: ignore[arg-type]
    assert chosen(kind, {}, items, mode=0o644, optional=True) == {}  # type: ignore[arg-type]
