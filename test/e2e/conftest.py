"""Fixtures of the whole-system tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from test.e2e.stage import Stage, stage


@pytest.fixture
def profile() -> str:
    """How long simulated things take; a test that needs them to last says so."""
    return "instant"


@pytest.fixture
async def bare(tmp_path: Path, profile: str) -> AsyncIterator[Stage]:
    """A local cluster without the daemons."""
    async with stage(tmp_path, "--no-controllers", "--profile", profile) as made:
        yield made


@pytest.fixture
async def running(bare: Stage) -> Stage:
    """A local cluster with both daemons."""
    for daemon in ("manager", "provisioner"):
        await bare.process(daemon).start()
    return bare
