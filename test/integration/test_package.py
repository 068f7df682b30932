"""What a stranger gets from the wheel: every file, full types, and imports on their Python."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = [path for path in os.environ.get("KAITO_PYTHONS", "").split(os.pathsep) if path]

SAMPLE = """
from kaito.runtime import Again, Client, Controller, Key, Manager, Object, Resource, load, watch

DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")


async def main() -> None:
    config = await load()
    async with Client(config.transport()) as client:
        manager = Manager(client, name="sample")
        deployments = manager.informer(DEPLOYMENTS)

        async def reconcile(key: Key) -> Again | None:
            found: int = deployments.store.get(key)
            return None

        manager.add(Controller("sample", reconcile, primary=watch(deployments)))
        await manager.run()
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(directory.glob("kaito-*.whl"))


def test_the_wheel_holds_every_tracked_file_of_the_package(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "kaito"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so nothing says which files belong to the package")
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert "kaito/py.typed" in packed
    assert tracked <= packed


def test_a_project_that_checks_strictly_sees_the_types(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SAMPLE)
    check = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    done = subprocess.run(
        [*check, "--cache-dir", str(tmp_path / "cache"), "app.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 'expression has type "dict[str, Any] | None", variable has type "int"' in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(
    not PYTHONS,
    reason="set KAITO_PYTHONS to interpreters, joined by ':', to install the wheel into each; "
    "their dependencies are downloaded",
)
@pytest.mark.parametrize("python", PYTHONS or ["none"])
def test_the_wheel_imports_on_another_python(wheel: Path, tmp_path: Path, python: str) -> None:
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([own, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    imports = "import kaito.runtime, kaito.api, kaito.catalog, kaito.provisioner, kaito.cli"
    subprocess.run([own, "-W", "error", "-c", imports], cwd=tmp_path, check=True)
