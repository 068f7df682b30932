"""What a pod has written is held against the limits of its volumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito.local.pods.usage import exceeded, limits
from kaito.runtime import Object

POD: Object = {
    "spec": {
        "volumes": [
            {"name": "free", "emptyDir": {}},
            {"name": "plain"},
            {"name": "small", "emptyDir": {"sizeLimit": "1Ki"}},
        ]
    }
}


def test_only_volumes_with_a_limit_are_watched() -> None:
    assert limits(POD) == {"small": "1Ki"}


@pytest.mark.parametrize(("size", "too_much"), [(1024, False), (1025, True)])
def test_a_volume_may_be_as_large_as_its_limit(tmp_path: Path, size: int, too_much: bool) -> None:
    for name in ("free", "small"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "free/x").write_bytes(bytes(5000))
    (tmp_path / "small/deep/x").write_bytes(bytes(size))
    told = exceeded(POD, tmp_path)
    assert told == ('Usage of EmptyDir volume "small" exceeds the limit "1Ki". ' * too_much)


def test_a_link_counts_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "big").write_bytes(bytes(5000))
    (tmp_path / "small/link").symlink_to(tmp_path / "big")
    assert exceeded(POD, tmp_path) == ""
    assert exceeded(POD, tmp_path / "nowhere") == ""
