"""One data directory belongs to one cluster at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kaito.local.cluster import DirectoryInUse, LocalCluster
from kaito.local.profile import Profile


async def test_a_second_cluster_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with LocalCluster(data_dir=tmp_path, profile=Profile.instant()):
        with pytest.raises(DirectoryInUse, match="in use by another local cluster"):
            async with LocalCluster(data_dir=tmp_path, profile=Profile.instant()):
                pass
    async with LocalCluster(data_dir=tmp_path, profile=Profile.instant()) as again:
        assert again.url.startswith("https://")


async def test_nobody_else_reads_what_a_cluster_keeps(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with LocalCluster(data_dir=data, profile=Profile.instant()):
        kept = [path for path in data.iterdir() if path.is_dir()]
        assert {path.name for path in kept} == {"apiserver", "azure", "registry", "state"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o700}
