"""The plugin is loaded by every pytest that has kaito installed, so it must ask for little."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from kaito import testing

EXTRAS = ("cel_expr_python", "cryptography", "pytest_asyncio")
MODULES = 300  # of ours that the first cluster of a process may import


def test_the_plugin_loads_without_the_extras_and_imports_pytest_alone() -> None:
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "import pytest\n"
        "before = set(sys.modules)\n"
        "import kaito.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["kaito", "kaito.testing", "kaito.testing.plugin"]


def test_a_cluster_in_memory_imports_nothing_of_the_cloud_the_daemons_or_the_command() -> None:
    script = (
        "import asyncio, sys\n"
        "from kaito.testing import Cluster\n"
        "async def main():\n"
        "    async with Cluster(): pass\n"
        "asyncio.run(main())\n"
        "print(*sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    parts = ("kaito.", "azure", "cryptography", "kubernetes_asyncio", "pydantic")
    loaded = {name for name in run.stdout.split() if name.startswith(parts)}
    strange = {name for name in loaded if not name.startswith(("kaito.local", "kaito.testing"))}
    assert {name for name in strange if not name.startswith("kaito.runtime")} == set()
    assert len(loaded) < MODULES, "each module costs a first test half a millisecond"


def run_without_extras(*body: str) -> subprocess.CompletedProcess[str]:
    """Run the body of a coroutine in an interpreter that has none of the extras."""
    script = (
        "import asyncio, sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "from kaito.testing import Cluster\n"
        "async def main():\n" + "".join(f"    {line}\n" for line in body) + "asyncio.run(main())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def test_row_29_a_cluster_in_memory_needs_no_extras() -> None:
    assert run_without_extras("async with Cluster(): pass").returncode == 0


@pytest.mark.parametrize(
    "body",
    [
        ("async with Cluster(nodes=1): pass",),
        ("async with Cluster() as cluster:", "    await cluster.serve()"),
    ],
    ids=["nodes", "an address"],
)
def test_a_cluster_without_the_extras_says_what_to_install(body: tuple[str, ...]) -> None:
    run = run_without_extras(*body)
    assert "A Cluster needs `pip install 'kaito[local]'`" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", testing.__all__)
def test_what_is_shown_says_what_it_is(name: str) -> None:
    value = getattr(testing, name)
    assert inspect.getdoc(value), f"{name} has no docstring"
