"""One data directory belongs to one cluster at a time."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from kaito.local.cluster import DirectoryInUse, LocalCluster
from kaito.local.kinds import PODS
from kaito.local.pods.images import entrypoint
from kaito.local.profile import Profile
from kaito.runtime import Key
from kaito.testing import eventually
from test.integration.local.pods_of_programs import container, over, pod


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


async def test_a_pod_of_an_earlier_run_leaves_no_directory(start: Any, tmp_path: Path) -> None:
    arguments = {
        "data_dir": tmp_path,
        "nodes": 1,
        "profile": Profile.instant(processes=True),
        "programs": [entrypoint("python", [sys.executable])],
    }
    async with start(**arguments) as world:
        await world.client.create(PODS, pod(container("print('done')")))
        await over(world)
    async with start(**arguments) as world:
        homes = world.state / "pods"
        assert len(list(homes.iterdir())) == 1
        await world.client.delete(PODS, Key("default", "p"))
        await world.gone(PODS, "p")
        await eventually(lambda: not list(homes.iterdir()))
