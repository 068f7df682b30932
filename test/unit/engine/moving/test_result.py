"""What goes to others of what a training leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaito.engine.endings import VARIABLE, Ended, Ending
from kaito.engine.moving.main import main
from kaito.engine.moving.manifest import read
from kaito.engine.moving.pack import pack
from kaito.engine.moving.result import result
from kaito.engine.moving.store import store
from test.integration.engine.moving.conftest import files, write_adapter

CONFIG, WEIGHTS, CARD = "adapter_config.json", "adapter_model.safetensors", "README.md"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "results")


def test_it_is_the_adapter_and_its_card_and_nothing_else(adapter: Path) -> None:
    (adapter / "checkpoint-1").mkdir()
    (adapter / "checkpoint-1" / "optimizer.pt").write_bytes(b"x")
    (adapter / "training_args.bin").write_bytes(b"x")
    assert [path.name for path in result(adapter)] == [WEIGHTS, CARD, CONFIG]


def test_the_card_may_be_missing(adapter: Path) -> None:
    (adapter / CARD).unlink()
    assert [path.name for path in result(adapter)] == [WEIGHTS, CONFIG]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def linked(path: Path) -> None:
    elsewhere = path.rename(path.parent / "elsewhere")
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("name", "spoil", "ending"),
    [
        (CONFIG, Path.unlink, Ending.NOT_ENOUGH_RESULT),
        (WEIGHTS, Path.unlink, Ending.NOT_ENOUGH_RESULT),
        (WEIGHTS, cut, Ending.NOT_ENOUGH_RESULT),
        (WEIGHTS, linked, Ending.ARTIFACT_INVALID),
        (CONFIG, linked, Ending.ARTIFACT_INVALID),
        (CARD, linked, Ending.ARTIFACT_INVALID),
        (CONFIG, cut, Ending.ARTIFACT_INVALID),
        (CONFIG, lambda path: path.write_text("{}"), Ending.ARTIFACT_INVALID),
        (CONFIG, lambda path: path.write_text("[" * 100_000), Ending.ARTIFACT_INVALID),
        (CONFIG, lambda path: path.write_text('"' + "x" * 2**21 + '"'), Ending.ARTIFACT_INVALID),
    ],
)
def test_what_is_half_or_unsafe_goes_nowhere(
    adapter: Path, tmp_path: Path, name: str, spoil: Callable[[Path], object], ending: Ending
) -> None:
    spoil(adapter / name)
    target = tmp_path / "volume"
    target.mkdir()
    with pytest.raises(Ended) as caught:
        store(adapter, target)
    assert caught.value.ending == ending
    assert list(target.iterdir()) == []


def test_the_same_files_make_the_same_image(adapter: Path, tmp_path: Path) -> None:
    one = pack(result(adapter), "data", tmp_path / "one", {"a": "b"})
    other = write_adapter(tmp_path / "other")
    two = pack(list(reversed(result(other))), "data", tmp_path / "two", {"a": "b"})
    assert one.digest == two.digest
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads(one.manifest)["annotations"] == {"a": "b"}
    assert read(one.manifest) == read(two.manifest)


def test_a_volume_has_the_adapter_and_nothing_else_of_it(adapter: Path, tmp_path: Path) -> None:
    target = tmp_path / "volume"
    target.mkdir()
    (target / "theirs").write_text("x")
    assert store(adapter, target) == str(target)
    assert files(target) == {**files(adapter), "theirs": b"x"}


def test_a_mixture_of_two_adapters_is_none(adapter: Path, tmp_path: Path) -> None:
    target = tmp_path / "volume"
    target.mkdir()
    store(write_adapter(tmp_path / "old", b"old"), target)
    (target / CARD).unlink()
    (target / CARD).mkdir()
    with pytest.raises(IsADirectoryError):
        store(adapter, target)
    assert not (target / CONFIG).exists()


def test_of_checkpoints_in_a_volume_nothing_is_left(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "log"))
    target = tmp_path / "volume"
    checkpoints = target / ".kaito" / "uid"
    (checkpoints / "step-1").mkdir(parents=True)
    words = [f"--from={adapter}", f"--to={target}", f"--checkpoints={checkpoints}"]
    assert main(["store", *words]) == 0
    assert (tmp_path / "log").read_text() == str(target)
    assert sorted(path.name for path in target.iterdir()) == sorted(files(adapter))


def test_a_new_adapter_takes_the_place_of_an_old_one(adapter: Path, tmp_path: Path) -> None:
    old = write_adapter(tmp_path / "old", b"old")
    target = tmp_path / "volume"
    target.mkdir()
    store(old, target)
    (target / ".kaito" / ".arriving").mkdir(parents=True)
    (target / ".kaito" / ".arriving" / "torn").write_text("x")
    store(adapter, target)
    assert files(target) == files(adapter)


def test_what_arrives_meanwhile_from_another_is_left_alone(tmp_path: Path) -> None:
    one, other = (write_adapter(tmp_path / name, name.encode() * 9) for name in ("one", "other"))
    target = tmp_path / "volume"
    target.mkdir()

    class Large(type(one)):  # type: ignore[misc]  # the kind of path that this system has
        """Takes so long to read that another result is stored in between."""

        def open(self, *arguments: Any, **more: Any) -> Any:
            if self.name == CARD:
                store(other, target, "uid-2")
                assert files(target) == {**files(other), **arriving()}
            return super().open(*arguments, **more)

    def arriving() -> dict[str, bytes]:
        return {name: each for name, each in files(target).items() if "uid-1" in name}

    store(Large(one), target, "uid-1")
    assert files(target) == files(one)
