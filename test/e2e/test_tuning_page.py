"""The commands of docs/tuning.md, run as they stand there."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kaito.runtime import from_kubeconfig
from test.e2e.stage import HAS_KUBECTL, PATIENCE, ROOT, Process

PAGE = ROOT / "docs" / "tuning.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "127.0.0.1:6443"
TOOLS = HAS_KUBECTL and shutil.which("bash") is not None


@pytest.mark.skipif(not TOOLS, reason="kubectl or bash is not installed")
async def test_the_commands_lead_from_a_workspace_to_an_adapter_in_use(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    kubeconfig = tmp_path / "kubeconfig"
    options = ("--kubeconfig", str(kubeconfig), "--profile", "instant")
    cluster = Process(tmp_path / "cluster.log", "local", "up", *options)
    await cluster.start()
    try:
        assert await cluster.line() == "ready", cluster.said
        here = urlsplit((await from_kubeconfig(str(kubeconfig))).server).netloc
        said = await shell(commands().replace(PORT, here), tmp_path)
        assert f"{here}/adapters/phi-3:0.0.1@sha256:" in said
        assert '"id": "phi-3-adapter", "object": "model"' in said
        assert '"attempts":1' in said
    finally:
        await cluster.stop()


def commands() -> str:
    """All of the page, in their order."""
    found = BLOCK.findall(PAGE.read_text())
    assert len(found) >= 5
    return "".join(found)


async def shell(script: str, directory: Path) -> str:
    """Run commands as a person would, each only when the one before went well; what they print."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euxo", "pipefail", "-c", script),
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
