"""How long things take, by name and from files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from kaito.local.profile import RATES, SECONDS, Profile
from kaito.local.profiles import NAMES, find, read


@pytest.mark.parametrize("name", list(NAMES))
def test_a_name_is_a_profile(name: str) -> None:
    assert find(name) == NAMES[name]()


def test_every_timing_is_scaled() -> None:
    numbers = {each.name for each in dataclasses.fields(Profile) if each.type in ("float", float)}
    assert numbers == {*SECONDS, *RATES}
    real, scaled = Profile.azure(), Profile.azure().scaled(0.01)
    for name in SECONDS:
        assert getattr(scaled, name) == pytest.approx(getattr(real, name) / 100)
    for name in RATES:
        assert getattr(scaled, name) == pytest.approx(getattr(real, name) * 100)


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text("base: azure\nscale: 0.1\nimage_pull: 50\n")
    found = find(str(file))
    assert found.image_pull == pytest.approx(5)
    assert found.gpu_ready == pytest.approx(Profile.azure().gpu_ready / 10)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "a profile is a mapping"),
        ({"base": "gcp"}, "base is 'gcp'; it is one of demo, instant, azure"),
        ({"image_pul": 3}, "'image_pul' is no timing"),
        ({"image_pull": "3"}, "image_pull is '3'; it is a number"),
        ({"image_pull": -1}, "image_pull is -1; it is a number"),
        ({"scale": True}, "scale is True; it is a number"),
        ({"scale": 0}, "scale is 0; take the profile `instant`"),
    ],
)
def test_a_file_that_says_something_else_is_refused(content: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^f.yaml: {said}"):
        read(content, "f.yaml")


def test_neither_a_name_nor_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no profile"):
        find(str(tmp_path / "none"))
    broken = tmp_path / "broken"
    broken.write_text("a: [")
    with pytest.raises(ValueError, match="neither YAML nor JSON"):
        find(str(broken))
