"""The guides of the library and its test kit are current: code runs, names exist, links lead on.

A block of Python in a page is run, in the order of the page, with a cluster at hand (`kube` and
`client`). A comment before it says otherwise:

    <!-- from: examples/runtime/labeler.py -->   an excerpt, which must be in that file
    <!-- elsewhere -->                           the code of another library, which must parse
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from kaito import runtime, testing
from kaito.cli.parser import build_parser
from kaito.runtime import Client, Metrics
from kaito.testing import Cluster, plugin
from test.integration.examples.conftest import EXAMPLES

ROOT = EXAMPLES.parents[1]
GUIDE = ROOT / "docs" / "runtime"
TESTING = ROOT / "docs" / "testing.md"
PAGES = [*sorted(GUIDE.glob("*.md")), TESTING]
LIMIT = 60  # lines of an example
_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*?) -->\n+)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    kind: str
    note: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        yield Block(line, found["kind"], found["note"] or "", found["text"])


def named(page: Path) -> str:
    return page.name


def compiled(page: Path, block: Block) -> CodeType:
    # Padded, so that a traceback names the line of the page.
    text = "\n" * block.line + block.text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(text, str(page), "exec", flags=flags, dont_inherit=True)


@pytest.mark.parametrize("page", PAGES, ids=named)
async def test_the_code_of_a_page_runs(page: Path, kube: Cluster, kube_client: Client) -> None:
    names: dict[str, Any] = {"__name__": "guide", "kube": kube, "client": kube_client}
    for block in blocks(page):
        if block.kind == "python" and not block.note:
            code = compiled(page, block)
            done = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                await done


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_an_excerpt_is_what_its_file_says(page: Path) -> None:
    for block in blocks(page):
        kind, _, path = block.note.partition(": ")
        if kind == "from":
            file = textwrap.dedent((ROOT / path).read_text())
            plain = "\n".join(line.strip() for line in file.splitlines())
            wanted = "\n".join(line.strip() for line in block.text.strip().splitlines())
            assert wanted in plain, f"{page.name}:{block.line}: {path} has moved on"
        elif block.note:
            assert block.note == "elsewhere", f"{page.name}:{block.line}: {block.note!r}"
            if block.kind == "python":
                compiled(page, block)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_paths_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    paths = re.findall(r"`((?:kaito|examples|docs|test|config)/[\w./-]+)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_commands_of_a_page_are_taken(page: Path) -> None:
    shell = "".join(block.text for block in blocks(page) if block.kind == "sh")
    for command in re.findall(r"^kaito (.*)$", shell, re.M):
        build_parser().parse_args(shlex.split(command))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_names_of_the_library_in_a_page_exist(page: Path) -> None:
    prose = _BLOCK.sub("", page.read_text())
    known = {**vars(runtime), **{name: getattr(testing, name) for name in testing.__all__}}
    for dotted in re.findall(r"`([A-Z]\w+(?:\.[a-z_]\w*)?)(?:\(.*?\))?`", prose):
        name, _, member = dotted.partition(".")
        if member and name in known:
            owner = known[name]
            there = hasattr(owner, member) or member in getattr(owner, "__annotations__", {})
            there = there or f"self.{member}" in inspect.getsource(owner)
            assert there, f"{page.name}: `{dotted}`"


def test_every_page_is_on_the_front_page() -> None:
    front = (GUIDE / "index.md").read_text()
    assert [page.name for page in PAGES if f"{page.name})" not in front] == ["index.md"]


def test_an_example_is_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(lengths) == 6
    assert {name: length for name, length in lengths.items() if length > LIMIT} == {}


def test_the_page_of_metrics_names_them_all() -> None:
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.M)
    told = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in row.findall((GUIDE / "metrics.md").read_text())
    }
    there = {}
    for metric in vars(Metrics()).values():
        if hasattr(metric, "describe"):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            there[name] = (family.type, tuple(metric._labelnames))
    assert told == there


def test_the_page_of_testing_names_every_fixture() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", TESTING.read_text(), re.M))
    fixtures = {
        name
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    }
    assert fixtures <= told


def test_a_stranger_can_follow_the_tutorial(tmp_path: Path) -> None:
    """Its two files and its configuration, in a directory of their own."""
    shutil.copy(EXAMPLES / "labeler.py", tmp_path)
    shutil.copy(Path(__file__).with_name("test_labeler.py"), tmp_path)
    settings = [block.text for block in blocks(GUIDE / "tutorial.md") if block.kind == "ini"]
    (tmp_path / "pytest.ini").write_text("".join(settings))
    assert "2 passed" in outcome(tmp_path)


def test_the_operator_of_the_page_of_testing_passes_its_tests(tmp_path: Path) -> None:
    """With what the page says and nothing else."""
    for block in blocks(TESTING):
        if block.note.startswith("from: examples/testing/"):
            with (tmp_path / Path(block.note).name).open("a") as file:
                file.write(f"{block.text}\n\n")
    assert "17 passed" in outcome(tmp_path)


def outcome(directory: Path) -> str:
    """What pytest says in a directory that knows nothing of this one."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr
