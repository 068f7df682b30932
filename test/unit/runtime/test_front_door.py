"""What the library shows, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kaito import runtime, testing
from kaito.runtime.frontdoor import homes


@pytest.mark.parametrize("package", [runtime, testing], ids=lambda package: package.__name__)
def test_the_front_door_is_the_list(package: ModuleType) -> None:
    assert sorted(homes(package.__name__)) == package.__all__ == dir(package)


def test_what_is_not_there_is_told_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"'kaito.runtime' has no attribute 'Nonsense'"):
        runtime.Nonsense  # noqa: B018 - the access is the test


@pytest.mark.parametrize("name", runtime.__all__)
def test_what_is_shown_says_what_it_is(name: str) -> None:
    value = getattr(runtime, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), f"{name} has no docstring"


@pytest.mark.parametrize("name", runtime.__all__)
def test_help_shows_nothing_of_the_environment(name: str) -> None:
    value = getattr(runtime, name)
    if inspect.isfunction(value):
        defaults = [each.default for each in inspect.signature(value).parameters.values()]
        assert not any(default is os.environ for default in defaults)


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_row_22_importing_the_library_loads_no_models_and_no_other_client() -> None:
    loaded = loaded_by("import kaito.runtime")
    assert not loaded & {"pydantic", "kubernetes_asyncio", "kubernetes", "azure", "cryptography"}


def test_names_without_a_network_load_no_http_client() -> None:
    loaded = loaded_by("from kaito.runtime import Key, Object, Resource, Store, set_condition")
    assert "msgspec" in loaded
    assert not loaded & {"aiohttp", "structlog", "prometheus_client"}


def test_the_library_knows_nothing_of_kaito() -> None:
    found = set()
    for path in Path(runtime.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    assert {name for name in found if name.startswith("kaito")} == {
        name for name in found if name.startswith("kaito.runtime")
    }


CLOCKWORK = {"time.time", "time.monotonic", "random.random", "asyncio.sleep", "asyncio.timeout"}
HARMLESS = {"asyncio.sleep(0)", "asyncio.timeout(None)"}


def test_no_time_and_no_chance_but_from_the_clock_and_the_arguments() -> None:
    calls = [
        (path.name, ast.unparse(node))
        for path in Path(runtime.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKWORK
    ]
    assert [
        (file, call) for file, call in calls if file != "clock.py" and call not in HARMLESS
    ] == []
