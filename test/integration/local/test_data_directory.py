"""One data directory belongs to one cluster at a time."""

from __future__ import annotations

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
