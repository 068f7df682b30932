"""Only a checkpoint that is whole, and of this very training, is gone on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito.engine.tuning.checkpoints import SEAL, is_whole, key, last_whole, prepare, seal


def write(place: Path, step: int) -> Path:
    checkpoint = place / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    (checkpoint / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    return checkpoint


def sealed(place: Path, step: int) -> Path:
    checkpoint = write(place, step)
    seal(checkpoint)
    return checkpoint


def test_the_last_whole_one_is_found_by_its_number(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        sealed(tmp_path, step)
    (tmp_path / "checkpoint-").mkdir()
    assert last_whole(tmp_path) == tmp_path / "checkpoint-100"


def test_where_there_is_none_it_begins_anew(tmp_path: Path) -> None:
    assert last_whole(tmp_path) is None


def test_one_without_a_seal_is_removed(tmp_path: Path) -> None:
    whole, torn = sealed(tmp_path, 10), write(tmp_path, 20)
    assert last_whole(tmp_path) == whole
    assert not torn.exists()


@pytest.mark.parametrize("damage", ["cut", "zeros", "gone", "no-seal", "half-seal", "list"])
def test_one_that_was_torn_is_none(tmp_path: Path, damage: str) -> None:
    checkpoint = sealed(tmp_path, 10)
    weights, mark = checkpoint / "adapter_model.safetensors", checkpoint / SEAL
    match damage:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-1])
        case "zeros":  # as a file system leaves it whose data never came to the disk
            weights.write_bytes(bytes(weights.stat().st_size))
        case "gone":
            weights.unlink()
        case "no-seal":
            mark.unlink()
        case "half-seal":
            mark.write_text(mark.read_text()[:-5])
        case "list":
            mark.write_text("[]")
    assert not is_whole(checkpoint)


def test_one_that_is_written_again_is_sealed_again(tmp_path: Path) -> None:
    checkpoint = sealed(tmp_path, 10)
    (checkpoint / "trainer_state.json").write_text("{}")
    assert not is_whole(checkpoint)
    seal(checkpoint)
    assert is_whole(checkpoint)


def test_those_of_another_training_are_removed_and_nothing_else(tmp_path: Path) -> None:
    mine, other = key(["model", "data"]), key(["model", "other data"])
    sealed(tmp_path / mine, 10)
    sealed(tmp_path / other, 20)
    (tmp_path / "precious").mkdir()
    place = prepare(tmp_path, mine)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([mine, "precious"])
    assert last_whole(place) == place / "checkpoint-10"


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert key(["ab", "c"]) != key(["a", "bc"])
