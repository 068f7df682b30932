"""What each command loads: counted in modules, because seconds differ from machine to machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
# Half a second of imports each, or parts of KAITO that have no business there.
HEAVY = {"aiohttp", "asyncio", "msgspec", "prometheus_client", "pydantic", "structlog", "yaml"}
ELSEWHERE = {"azure", "cryptography", "kubernetes_asyncio", "cel_expr_python"}


def loaded_by(*statements: str) -> set[str]:
    """The modules that a fresh interpreter holds after these statements."""
    code = "\n".join((*statements, LOADED))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_help_loads_the_parser_and_nothing_else_of_kaito() -> None:
    modules = loaded_by(
        "import contextlib, io",
        "from kaito.cli import main",
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):",
        "    main(['--help'])",
    )
    assert {name for name in modules if name.partition(".")[0] == "kaito"} == {
        "kaito",
        "kaito.cli",
        "kaito.cli.options",
        "kaito.cli.parser",
        "kaito.cli.selection",
    }
    assert tops(modules) & (HEAVY | ELSEWHERE) == set()


@pytest.mark.parametrize("command", ["models", "skus"])
def test_a_look_into_the_catalogue_loads_the_catalogue_alone(command: str) -> None:
    modules = loaded_by(
        "import contextlib, io",
        "from kaito.cli import main",
        "with contextlib.redirect_stdout(io.StringIO()):",
        f"    assert main(['{command}']) == 0",
    )
    assert tops(modules) & (HEAVY | ELSEWHERE) == set()
    parts = {".".join(name.split(".")[:2]) for name in modules if name.startswith("kaito.")}
    assert parts == {"kaito.catalog", "kaito.cli"}


@pytest.mark.parametrize("command", ["manager", "provisioner"])
def test_a_daemon_in_a_cluster_loads_no_sdk_and_no_local_cluster(command: str) -> None:
    modules = loaded_by(f"import kaito.cli.{command}")
    assert tops(modules) & ELSEWHERE == set()
    assert {name for name in modules if name.startswith(("kaito.local", "kaito.testing"))} == set()


def test_the_manager_loads_nothing_of_any_cloud() -> None:
    modules = loaded_by("import kaito.cli.manager")
    assert {name for name in modules if name.startswith("kaito.provisioner")} == set()


def test_a_plan_without_a_cluster_loads_no_http_client_and_no_daemon() -> None:
    quick_start = Path(__file__).parents[3] / "examples" / "phi-3-mini.yaml"
    modules = loaded_by(
        "import contextlib, io",
        "from kaito.cli import main",
        "with contextlib.redirect_stdout(io.StringIO()):",
        f"    main(['plan', '--offline', '-f', {str(quick_start)!r}])",
    )
    assert tops(modules) & (ELSEWHERE | {"aiohttp", "structlog", "prometheus_client"}) == set()
    assert "kaito.controllers.workspace.controller" not in modules
