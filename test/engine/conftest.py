"""A small real model, and servers of it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from test.engine.serving import ADAPTERS, Server, break_adapters, running

# Nobody here asks Hugging Face for anything. Its libraries read this when they are imported.
os.environ["HF_HUB_OFFLINE"] = "1"
REASON = "PyTorch is not in this environment: `make test-engine` runs these tests"
HAS_TORCH = importlib.util.find_spec("torch") is not None
ROOT = Path(__file__).parent.parent.parent


class Unavailable(pytest.Module):
    """A file of tests that this environment cannot even import."""

    def collect(self) -> Iterable[pytest.Item]:
        """None, with the reason."""
        pytest.skip(REASON)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip what needs PyTorch where there is none."""
    return None if HAS_TORCH else Unavailable.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The directory of a small real model; its adapter is beside it. Trained once for a text."""
    files = [ROOT / "hack" / name for name in ("small_model.py", "small_model.txt")]
    mark = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:16]
    found = Path(tempfile.gettempdir()) / f"kaito-small-model-{os.getuid()}-{mark}"
    if not found.exists():
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "made"
            subprocess.run(
                [
                    *(sys.executable, "-m", "hack.small_model", str(made / "model")),
                    *("--adapter", str(made / "adapters" / "hello")),
                ],
                cwd=ROOT,
                check=True,
                capture_output=True,
                timeout=300,
            )
            half = Path(f"{found}.{os.getpid()}")
            shutil.copytree(made, half)
            half.rename(found)
    return found / "model"


@pytest.fixture(scope="session")
def adapters(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good adapter under three names, and broken ones."""
    directory = tmp_path_factory.mktemp("adapters")
    for name in ADAPTERS:
        shutil.copytree(small_model.parent / "adapters" / "hello", directory / name)
    break_adapters(directory)
    return directory


@pytest.fixture(scope="session")
def server(small_model: Path, adapters: Path) -> Iterator[Server]:
    """One that serves the model and its adapters."""
    with running(small_model, "--adapters_dir", str(adapters), **ADAPTERS) as found:
        yield found


@pytest.fixture
def narrow(small_model: Path) -> Iterator[Server]:
    """One that answers one request at a time, and lets one more wait."""
    adapters = f"--adapters_dir={small_model.parent / 'adapters'}"
    with running(small_model, adapters, "--max_running=1", "--max_waiting=1") as found:
        yield found
